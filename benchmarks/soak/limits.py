"""Whether any budget or limit was passed, by what the ledger says of each request."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any, Final

from benchmarks.soak.cast import Cap, Member
from benchmarks.soak.world import World

_MINUTE: Final = timedelta(seconds=60)
_SPENT: Final = """
SELECT coalesce(sum(amount), 0) AS total,
       coalesce(sum(amount) FILTER (WHERE admitted_at > $2), 0) AS since
FROM tenantry.customer_ledger
WHERE tenant_id = $1 AND ($3 = 'month' OR day = (now() AT TIME ZONE 'UTC')::date)
"""
# One row for each request: a `request` is what a limit counts, whatever calls it made.
_REQUESTS: Final = """
SELECT request_id, min(day) AS day, min(admitted_at) AS admitted_at, max(ended_at) AS ended_at,
       sum(tokens)::bigint AS tokens,
       bool_or('trued_up' = ANY (flags)) AS trued_up
FROM tenantry.attempt WHERE tenant_id = $1 AND ending = 'settled'
GROUP BY request_id ORDER BY admitted_at
"""


def check(world: World) -> None:
    for member in world.members:
        for period, cap in member.caps.items():
            _budget(world, member, period, cap)
        if member.plan.keys() & {"requests_per_day", "requests_per_minute", "tokens_per_minute",
                                 "concurrent_requests"}:  # fmt: skip
            _counts(world, member)


def _budget(world: World, member: Member, period: str, cap: Cap) -> None:
    """What is spent fits into it; where it was lowered below what was spent, nothing came since."""
    [spent] = world.stack.rows(_SPENT, member.id, cap.since, period)
    if spent["total"] > cap.limit and spent["since"] > Decimal(0):
        told = f"{member.name}: {spent['total']} of {cap.limit} a {period}, {spent['since']} since"
        world.journal.broke("a budget was passed", told)


def _counts(world: World, member: Member) -> None:
    rows = world.stack.rows(_REQUESTS, member.id)
    days: dict[Any, int] = {}
    for row in rows:
        days[row["day"]] = days.get(row["day"], 0) + 1
    minute = [len(within) for within in _minutes(rows)]
    tokens = [sum(row["tokens"] or 0 for row in within) for within in _minutes(rows)]
    seen = {
        "requests_per_day": max(days.values(), default=0),
        "requests_per_minute": max(minute, default=0),
        "tokens_per_minute": max(tokens, default=0),
        "concurrent_requests": _at_once(rows),
    }
    for limit, most in seen.items():
        allowed = member.plan.get(limit)
        if allowed is not None and most > allowed:
            world.journal.broke("a limit was passed", f"{member.name}: {limit} {most} of {allowed}")


def _minutes(rows: list[Any]) -> list[list[Any]]:
    """For each request, those that were admitted within the 60 seconds that begin with it."""
    found, end = [], 0
    for begin, row in enumerate(rows):
        while end < len(rows) and rows[end]["admitted_at"] < row["admitted_at"] + _MINUTE:
            end += 1
        found.append(rows[begin:end])
    return found


def _at_once(rows: list[Any]) -> int:
    """The most that were under way at one instant. Of who was trued up it is not known when its
    slot was free again."""
    steps = [(row["admitted_at"], 1) for row in rows if not row["trued_up"]]
    steps += [(row["ended_at"], -1) for row in rows if not row["trued_up"]]
    most = now = 0
    for _, step in sorted(steps):
        now += step
        most = max(most, now)
    return most
