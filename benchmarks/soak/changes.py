"""What operators and tenants change while traffic goes on, and what has to hold from then on."""

from __future__ import annotations

import dataclasses
import json
import random
import tempfile
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from tests.support.stack import ALL_SCOPES, MODEL
from tests.support.stack_command import tenantry

from benchmarks.soak.caller import Caller
from benchmarks.soak.cast import SPENT, Cap, Member, join
from benchmarks.soak.chats import CHAT
from benchmarks.soak.world import World
from tenantry.adapters.postgres.control import PostgresControl
from tenantry.domain.ids import TenantId
from tenantry.domain.money import times
from tenantry.domain.price import Step
from tenantry.ports.control import Budget

_PROBES: Final = 6  # so that each worker is asked
_IN_FLIGHT_S: Final = 2.0
_BATCH_RECORDS: Final = 100  # Bedrock's least
_HELLO: Final[Mapping[str, Any]] = {
    "model": MODEL,
    "messages": [{"role": "user", "content": "Hello."}],
    "max_tokens": 20,
}


def plan(world: World, chance: random.Random) -> str:
    """Another markup, and of who has a budget another one: smaller, or larger."""
    member = chance.choice(world.present())
    changed: dict[str, Any] = {"markup": str(chance.choice((1, 2, 3, 4)))}
    if "month" in member.caps:
        limit = times(member.caps["month"].limit, Decimal(chance.choice(("0.5", "2"))))
        changed["monthly_budget"] = str(limit)
    member.apply_plan(world.stack, **changed)
    return f"{member.name} {changed}"


def budget(world: World, chance: random.Random) -> str:
    """One a day of the whole tenant, until the next one takes its place."""
    member = chance.choice(world.present())
    limit = Decimal(chance.choice(("0.0005", "0.01", "100", "100")))
    world.reasons.give(SPENT, member.id)
    new = Budget(TenantId(member.id), "tenant", member.id, "day", "charge", limit)

    async def set_(control: PostgresControl) -> datetime:
        await control.set_budget(new)
        return await control.now()

    member.caps["day"] = Cap(limit, world.stack.control(set_))
    return f"{member.name} {limit} a day"


def prices(world: World, chance: random.Random) -> str:
    """An edition for now: what is admitted from here on costs otherwise."""
    factor = Decimal(chance.choice(("0.5", "1.5", "2")))

    async def import_(control: PostgresControl) -> int:
        book = await control.current_prices()
        price = book.models[MODEL]
        tiers = {
            tier: tuple(_dearer(step, factor) for step in steps)
            for tier, steps in price.tiers.items()
        }
        models = {**book.models, MODEL: dataclasses.replace(price, tiers=tiers)}
        now = await control.now()
        stored = await control.import_prices(
            dataclasses.replace(book, models=models, effective_from=now, source="soak")
        )
        version: int = stored.version
        return version

    return f"edition {world.stack.control(import_)}, × {factor}"


def _dearer(step: Step, factor: Decimal) -> Step:
    if step.rates is None:
        return step
    rates = {token_class: times(rate, factor) for token_class, rate in step.rates.items()}
    return dataclasses.replace(step, rates=rates)


def key(world: World, chance: random.Random) -> str:
    """A tenant goes over to another API key; the old one opens nothing from then on."""
    member = chance.choice(world.present())
    before = member.key
    with world.reasons.lasting({"key_revoked"}, member.id, after_s=_IN_FLIGHT_S):
        member.key = world.stack.control(
            lambda control: control.create_key(
                TenantId(member.id),
                name="soak",
                scopes=ALL_SCOPES,
            )
        )
        world.stack.control(lambda control: control.revoke_key(TenantId(member.id), before.id))
    _must_be_refused(world, member, chance, "key_revoked", before.bearer)
    return member.name


def suspension(world: World, chance: random.Random) -> str:
    """Refused from the call's end on, and served again once it is resumed."""
    member = chance.choice(world.present())
    with world.reasons.lasting({"tenant_suspended"}, member.id, after_s=_IN_FLIGHT_S):
        world.stack.control(lambda control: control.set_suspended(TenantId(member.id), True))
        _must_be_refused(world, member, chance, "tenant_suspended")
        world.ending.pause(chance.random() * 5)
        world.stack.control(lambda control: control.set_suspended(TenantId(member.id), False))
    return member.name


def shred(world: World, chance: random.Random) -> str:
    """A tenant goes for good, every worker makes place for another, and a new tenant comes."""
    member = chance.choice([one for one in world.present() if one.role.name == "leaving"])
    world.reasons.give({"tenant_suspended", "key_revoked", "not_found"}, member.id)
    path = f"/admin/v1/tenants/{member.id}/shred"
    status, _, said = world.stack.http("POST", path, {"confirm": member.name}, admin=True)
    if status != 202:
        world.journal.broke("a shred was refused", f"{member.name}: {status} {said!r}")
        return member.name
    _must_be_refused(world, member, chance, "tenant_suspended", other="key_revoked")
    member.has_left = True
    newcomer = join(world.stack, member.role)
    world.reasons.give(newcomer.role.refusals, newcomer.id)
    world.members.append(newcomer)
    return f"{member.name}; {newcomer.name} joined"


def receiver_away(world: World, chance: random.Random) -> str:
    seconds = 2 + chance.random() * 15
    world.receiver.go_away()
    world.ending.pause(seconds)
    world.receiver.return_()
    return f"for {seconds:.0f} s"


def batch(world: World, chance: random.Random) -> str:
    """Submitted by the command line; it is answered before the next quiet moment."""
    member = chance.choice([one for one in world.present() if one.role.name == "free"])
    message = {"role": "user", "content": [{"text": f"The word is {member.canary}."}]}
    record = {"modelInput": {"messages": [message], "inferenceConfig": {"maxTokens": 8}}}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "records.jsonl")
        file.write_text((json.dumps(record) + "\n") * _BATCH_RECORDS, encoding="utf-8")
        given = {
            **{
                f"TENANTRY_{name.upper()}": str(value)
                for name, value in world.stack.settings.items()
            },
            "TENANTRY_API_KEY": member.key.bearer,
        }
        done = tenantry(
            world.stack.home, "batch", "submit", str(file), "--model", MODEL, environment=given
        )
    if done.returncode != 0:
        world.journal.broke("a batch was refused", f"{member.name}: {done.stderr}")
    return member.name


def _must_be_refused(
    world: World,
    member: Member,
    chance: random.Random,
    code: str,
    bearer: str | None = None,
    other: str | None = None,
) -> None:
    """Every worker refuses both what would be admitted and what is only read."""
    caller = Caller(world, member, chance)
    may = (other,) if other else ()
    for _ in range(_PROBES):
        caller.ask("probe", "openai", "POST", CHAT, _HELLO, bearer=bearer, must=code, may=may)
        caller.ask("probe", "tenantry", "GET", "/v1/limits", bearer=bearer, must=code, may=may)
        caller.hang_up()  # so that another worker may take the next one
