"""One audit from beginning to end: canaries made, attacks made, canaries put away, a report."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tenantry.domain.audit import Outcome, Report, Result
from tenantry.domain.errors import TenantryError
from tenantry.entrypoints.audit.attack import (
    Attack,
    Verdict,
    found,
    not_run,
    result_of,
    void,
)
from tenantry.entrypoints.audit.attacks.placement import NOWHERE
from tenantry.entrypoints.audit.attacks.places import engine_of, room_of
from tenantry.entrypoints.audit.catalogue import catalogue
from tenantry.entrypoints.audit.cleaning import cleaned
from tenantry.entrypoints.audit.ending import Ending, put_away_after, put_stale_away
from tenantry.entrypoints.audit.evidence import leaks
from tenantry.entrypoints.audit.exchange import Ask
from tenantry.entrypoints.audit.ground import Ground
from tenantry.entrypoints.audit.operator import Operator, Refused
from tenantry.entrypoints.audit.routes import operations_of
from tenantry.entrypoints.audit.stage import (
    CANARIES,
    foreign_batch_job,
    foreign_invoice,
    furnish,
    make_canary,
    make_plan,
)
from tenantry.entrypoints.audit.things import BATCH_JOB, NoSuchThing
from tenantry.entrypoints.audit.wire import Wire

if TYPE_CHECKING:
    from tenantry.bootstrap.audit import LocalStores

_GONE: Final = "the deployment did not answer any more"
_ASKED_AFTER_S: Final = (0.0, 1.0, 3.0)
_FIRST: Final = "region.own-call"
LocalFor = Callable[[str], "LocalStores | str"]
Progress = Callable[[int, int, Result], None]


@dataclass(frozen=True, slots=True)
class Target:
    """The deployment, and how to ask it."""

    url: str
    admin_url: str
    token: str
    ca_bundle: Path | None = None
    plan: str | None = None  # whose models the canaries use
    placements: tuple[str, ...] = ()  # of A and B; none: the first pool
    only: tuple[str, ...] = ()  # attacks whose ids begin so; none: all
    shred: bool | None = None  # the canaries, at the end; None: where they would go on to cost


def run_audit(target: Target, local_for: LocalFor, progress: Progress) -> Report:
    """Raises `Refused` or `OSError` where the attacks could not begin, with the names of canaries
    that are left, if any. Once they have begun there is a report, whatever comes."""
    started = datetime.now(UTC)
    data, admin = Wire(target.url, target.ca_bundle), Wire(target.admin_url)
    ending = Ending(target.shred)
    local: LocalStores | None = None
    try:
        operator = Operator(admin, target.token)
        tenants = operator.every("/tenants")
        run = started.strftime("%Y%m%d-%H%M%S-") + secrets.token_hex(2)
        with _told_of_what_is_left(ending):
            put_stale_away(operator, data, tenants, started, ending, partial(_room, local_for))
            with put_away_after(operator, data, run, ending):
                ground = _ground(target, operator, data, run, tenants, local_for)
                local, ending.engine = ground.local, engine_of(ground)
                version = str(_description(data, "")["info"]["version"])
                results = _made(ground, _chosen(catalogue(ground), target.only), progress)
        results += cleaned(operator, ground, ending)
    finally:
        if local is not None:
            local.close()
        data.close()
        admin.close()
    ids = [canary.id for canary in ground.canaries]
    return Report(started, datetime.now(UTC), version, target.url, ids, results)


def _room(local_for: LocalFor, tenant_id: str) -> str | None:
    local = local_for(tenant_id)
    if isinstance(local, str):
        return None
    with closing(local):
        return room_of(local, tenant_id)


@contextmanager
def _told_of_what_is_left(ending: Ending) -> Iterator[None]:
    """An end before the report is one line, and names the canaries that it could not put away."""
    try:
        yield
    except (NoSuchThing, Refused, OSError) as problem:
        raise Refused("; ".join((str(problem), *ending.told()))) from None
    except KeyboardInterrupt:
        if not ending.left:
            raise
        raise Refused("; ".join(("interrupted", *ending.told()))) from None


def _description(wire: Wire, token: str) -> Any:
    reply = wire.send(Ask("GET /openapi.json", "/openapi.json"), who="operator")
    if not reply.ok or not isinstance(reply.json().get("paths"), dict):
        raise Refused(f"{wire.url} does not describe itself: {reply.status}")
    return reply.json()


def _ground(
    target: Target,
    operator: Operator,
    data: Wire,
    run: str,
    tenants: Sequence[Mapping[str, Any]],
    local_for: LocalFor,
) -> Ground:
    operations = operations_of(_description(data, ""))
    admin_operations = operations_of(_description(operator.wire, ""))
    models = {row["id"]: row for row in operator.every("/models")}
    places = _places(operator, target.placements)
    plans = [make_plan(operator, target.plan, place) for place in places]
    a, b = (
        make_canary(operator, name, run, plan, place)
        for name, plan, place in zip(CANARIES[:2], plans, places, strict=True)
    )
    c = make_canary(operator, CANARIES[2], run, plans[0], places[0], regions=[NOWHERE])
    for canary in (a, b):
        furnish(operator, canary, data, datetime.now(UTC))
    if number := foreign_invoice(operator, tenants):
        b.things["invoice"] = number
    else:
        b.things.pop("invoice", None)
    local = local_for(a.id)
    if not isinstance(local, str) and (job := foreign_batch_job(local, (a, b, c))):
        b.things[BATCH_JOB] = job
    return Ground(
        data=data,
        operator=operator,
        token=target.token,
        operations=operations,
        admin_operations=admin_operations,
        models=models,
        plan=plans[0],
        now=lambda: datetime.now(UTC),
        a=a,
        b=b,
        c=c,
        local=None if isinstance(local, str) else local,
        not_local=local if isinstance(local, str) else "",
    )


def _places(operator: Operator, wanted: tuple[str, ...]) -> list[Any]:
    """The placements of A and B. Raises `Refused`."""
    rows = operator.every("/placements")
    if not wanted:
        pools = [row for row in rows if row["kind"] == "pool"] or rows
        if not pools:
            raise Refused("there is no placement")
        return [pools[0], pools[0]]
    by_id = {row["id"]: row for row in rows}
    for name in wanted:
        if name not in by_id:
            raise Refused(f"there is no placement {name}")
    return [by_id[wanted[0]], by_id[wanted[-1]]]


def _chosen(attacks: Sequence[Attack], only: tuple[str, ...]) -> Sequence[Attack]:
    """Those that are asked for, and those without which they would show nothing."""
    if not only:
        return attacks
    found = [attack for attack in attacks if attack.id.startswith((*only, _FIRST))]
    if not any(attack.id.startswith(only) for attack in found):
        raise Refused(f"no attack begins with {', '.join(only)}")
    return found


def _made(ground: Ground, attacks: Sequence[Attack], progress: Progress) -> list[Result]:
    results, gone = [], False
    for number, attack in enumerate(attacks, 1):
        verdict = not_run(_GONE) if gone else _verdict(ground, attack)
        gone = gone or (verdict.outcome is Outcome.VOID and not _answers(ground))
        results.append(result_of(attack, verdict))
        progress(number, len(attacks), results[-1])
    return results


def _answers(ground: Ground) -> bool:
    """Whether the deployment is still there, as far as a few questions tell."""
    for pause_s in _ASKED_AFTER_S:
        time.sleep(pause_s)
        try:
            for wire in (ground.data, ground.operator.wire):
                _description(wire, "")
        except (Refused, OSError):
            continue
        return True
    return False


def _verdict(ground: Ground, attack: Attack) -> Verdict:
    """What came of it; whatever its own judgement, a reply that told of another tenant is found."""
    mark = len(ground.data.exchanges)
    try:
        verdict = attack.run(ground)
    except (NoSuchThing, Refused, OSError) as problem:
        verdict = void(str(problem))
    except (KeyError, ValueError, TypeError) as problem:
        verdict = void(f"a reply was not what it is documented to be: {type(problem).__name__}")
    except TenantryError as problem:  # of the objects on this machine
        verdict = void(f"it could not be made: {problem.message}")
    except Exception as problem:  # of one attack, which must not be the end of all others
        verdict = void(f"it could not be made: {type(problem).__name__}")
    told = leaks(ground.data.exchanges[mark:], ground.canaries)
    return found(told[0]) if told else verdict
