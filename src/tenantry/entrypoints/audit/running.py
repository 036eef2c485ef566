"""One audit from beginning to end: canaries made, attacks made, canaries put away, a report."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tenantry.domain.audit import Report, Result, Wall
from tenantry.entrypoints.audit.attack import HELD, Attack, Verdict, found, not_run, void
from tenantry.entrypoints.audit.attacks.placement import NOWHERE
from tenantry.entrypoints.audit.attacks.seals import home_of
from tenantry.entrypoints.audit.catalogue import catalogue
from tenantry.entrypoints.audit.evidence import leaks
from tenantry.entrypoints.audit.exchange import Ask
from tenantry.entrypoints.audit.ground import Ground
from tenantry.entrypoints.audit.operator import Operator, Refused
from tenantry.entrypoints.audit.routes import operations_of
from tenantry.entrypoints.audit.stage import (
    CANARIES,
    foreign_invoice,
    furnish,
    make_canary,
    make_plan,
    put_away_after,
    put_stale_away,
)
from tenantry.entrypoints.audit.things import NoSuchThing
from tenantry.entrypoints.audit.wire import Wire
from tenantry.ports.objects import ObjectKind

if TYPE_CHECKING:
    from tenantry.bootstrap.audit import LocalStores

_DETAIL_CHARS: Final = 500
_FIRST: Final = "region.own-call"
_NAMED: Final = (
    "SELECT document_id FROM tenantry.document WHERE tenant_id = $1"
    " UNION ALL SELECT segment_id FROM tenantry.segment WHERE tenant_id = $1"
)
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


def run_audit(target: Target, local_for: LocalFor, progress: Progress) -> Report:
    """Raises `Refused` or `OSError` where no canary could be made; then nothing is left either."""
    started = datetime.now(UTC)
    data, admin = Wire(target.url, target.ca_bundle), Wire(target.admin_url)
    problems: list[str] = []
    results: list[Result] = []
    ids: list[str] = []
    version = ""
    local: LocalStores | None = None
    try:
        operator = Operator(admin, target.token)
        tenants = operator.every("/tenants")
        put_stale_away(operator, data, tenants, started)
        run = started.strftime("%Y%m%d-%H%M%S-") + secrets.token_hex(2)
        with put_away_after(operator, data, run, problems):
            ground = _ground(target, operator, data, run, tenants, local_for)
            ids = [canary.id for canary in ground.canaries]
            version = str(_description(data, "")["info"]["version"])
            local = ground.local
            results += _made(ground, _chosen(catalogue(ground), target.only), progress)
        results += _cleaned(operator, ground, problems)
    finally:
        if local is not None:
            local.close()
        data.close()
        admin.close()
    return Report(started, datetime.now(UTC), version, target.url, ids, results)


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
    models = {row["id"]: row for row in operator.get("/models")["data"]}
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
    rows = operator.get("/placements")["data"]
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
    results = []
    for number, attack in enumerate(attacks, 1):
        result = _result(attack, _verdict(ground, attack))
        results.append(result)
        progress(number, len(attacks), result)
    return results


def _verdict(ground: Ground, attack: Attack) -> Verdict:
    """What came of it; whatever its own judgement, a reply that told of another tenant is found."""
    mark = len(ground.data.exchanges)
    try:
        verdict = attack.run(ground)
    except (NoSuchThing, Refused, OSError) as problem:
        verdict = void(str(problem))
    except (KeyError, ValueError, TypeError) as problem:
        verdict = void(f"a reply was not what it is documented to be: {type(problem).__name__}")
    told = leaks(ground.data.exchanges[mark:], ground.canaries)
    return found(told[0]) if told else verdict


def _result(attack: Attack, verdict: Verdict) -> Result:
    detail = verdict.detail[:_DETAIL_CHARS]
    return Result(attack.id, attack.wall, attack.sentence, verdict.outcome, detail, attack.after)


def _cleaned(operator: Operator, ground: Ground, problems: Sequence[str]) -> list[Result]:
    """That the canaries were put away, by what the control plane and the disk say of them."""

    def judged(name: str, sentence: str, wrong: Sequence[str], reason: str = "") -> Result:
        attack = Attack(f"cleaning.{name}", Wall.CLEANING, sentence, lambda ground: HELD)
        verdict = found("; ".join(wrong)) if wrong else not_run(reason) if reason else HELD
        return _result(attack, verdict)

    keys, active, budgets = [], [], []
    for tenant in [canary.id for canary in ground.canaries]:
        rows = operator.get("/keys", tenant=tenant)["data"]
        keys += [row["id"] for row in rows if row["revoked_at"] is None]
        if operator.get(f"/tenants/{tenant}")["status"] != "suspended":
            active.append(tenant)
        rows = operator.get("/budgets", tenant=tenant)["data"]
        budgets += [row["id"] for row in rows if row.get("id")]
    return [
        judged("documents", "The canaries' documents were deleted.", list(problems)),
        judged(
            "objects",
            "No original of the canaries is left on disk, and nothing names a segment of theirs.",
            _left(ground),
            ground.not_local,
        ),
        judged("budgets", "The canaries' budgets were removed.", budgets),
        judged("keys", "Every API key of the canaries is revoked.", keys),
        judged("tenants", "The canaries are suspended; a ledger keeps its tenants.", active),
    ]


def _left(ground: Ground) -> list[str]:
    """The canaries of which an original, or the row of a document or a segment, is still there. A
    segment that no row names is an orphan, which the worker sweeps within two hours."""
    local = ground.local
    if local is None:
        return []
    found = []
    for canary in ground.canaries:
        named = local.rows("superuser", _NAMED, canary.id)
        if named or local.count(home_of(canary), ObjectKind.ORIGINAL):
            found.append(canary.id)
    return found
