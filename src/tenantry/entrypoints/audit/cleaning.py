"""That the canaries were put away, by what the control plane, the database and the disk say."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from tenantry.domain.audit import Result, Wall
from tenantry.entrypoints.audit.attack import HELD, Attack, Verdict, found, not_run, result_of
from tenantry.entrypoints.audit.attacks.places import SEALED
from tenantry.entrypoints.audit.attacks.seals import home_of
from tenantry.entrypoints.audit.ending import Ending, how_to_suspend
from tenantry.entrypoints.audit.ground import Ground
from tenantry.entrypoints.audit.operator import Operator, Refused
from tenantry.ports.objects import ObjectKind

_NAMED: Final = (
    "SELECT document_id FROM tenantry.document WHERE tenant_id = $1"
    " UNION ALL SELECT segment_id FROM tenantry.segment WHERE tenant_id = $1"
)
_ENDED: Final = ("suspended", "shredded")


def cleaned(operator: Operator, ground: Ground, ending: Ending) -> list[Result]:
    """Also where nothing answers any more: then what is not known to be gone is found."""
    keys, budgets, unknown = [], [], []
    active = dict.fromkeys(ending.left)
    for canary in ground.canaries:
        try:
            rows = operator.every("/keys", tenant=canary.id)
            keys += [row["id"] for row in rows if row["revoked_at"] is None]
            rows = operator.every("/budgets", tenant=canary.id)
            budgets += [row["id"] for row in rows if row.get("id")]
            if operator.get(f"/tenants/{canary.id}")["status"] not in _ENDED:
                active[canary.tenant] = None
        except (Refused, OSError) as problem:
            unknown.append(f"{canary.name} is not known: {problem}")
            active[canary.tenant] = None
    return [
        _judged("documents", "The canaries' documents were deleted.", ending.problems),
        _judged(
            "objects",
            "No original of the canaries is left on disk, and nothing names a segment of theirs.",
            _left(ground),
            ground.not_local,
        ),
        _judged("budgets", "The canaries' budgets were removed.", budgets + unknown),
        _judged("keys", "Every API key of the canaries is revoked.", keys + unknown),
        _judged(
            "tenants",
            "The canaries are suspended; a ledger keeps its tenants.",
            [how_to_suspend(list(active))] if active else [],
        ),
        _judged(
            "costs",
            "No KMS key of a canary's own and no vectors of one in an engine go on to cost.",
            [],
            _stays(ground, ending),
        ),
    ]


def _judged(name: str, sentence: str, wrong: Sequence[str], reason: str = "") -> Result:
    attack = Attack(f"cleaning.{name}", Wall.CLEANING, sentence, lambda ground: HELD)
    verdict: Verdict = found("; ".join(wrong)) if wrong else not_run(reason) if reason else HELD
    return result_of(attack, verdict)


def _left(ground: Ground) -> list[str]:
    """The canaries of which an original, or the row of a document or a segment, is still there. A
    segment that no row names is an orphan, which the worker sweeps within two hours."""
    local = ground.local
    if local is None:
        return []
    left = []
    for canary in ground.canaries:
        try:
            named = local.rows("app", _NAMED, canary.id, tenant=canary.id)
            if named or local.count(home_of(canary), ObjectKind.ORIGINAL):
                left.append(canary.id)
        except Exception as problem:  # of a database that has gone away, in its driver's words
            left.append(f"{canary.id} is not known: {type(problem).__name__}")
    return left


def _stays(ground: Ground, ending: Ending) -> str:
    """What of the canaries stays that costs; empty where nothing does."""
    kept = [canary for canary in ground.canaries if canary.id not in ending.shredded]
    if not kept:
        return ""
    what = []
    if any(canary.own_kms_key for canary in kept):
        what.append("KMS keys of their own")
    if ending.engine not in (None, SEALED):
        what.append(f"vectors and rooms in {ending.engine}")
    if what:
        return f"{' and '.join(what)} stay until `tenantry tenants shred` with each canary's name"
    if ending.engine is None:
        return "where the passages rest is not seen from here; in another vector engine rooms stay"
    return ""
