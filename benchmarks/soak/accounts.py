"""The ledger against itself, against the emulator's bill, and against what customers were told."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final

from benchmarks.soak.cast import Member
from benchmarks.soak.world import World
from tenantry.domain.money import total

SETTLED_S: Final = 90.0
_OPEN_BATCHES: Final = """
SELECT count(*) FROM tenantry.batch_job WHERE state IN ('planned', 'submitting', 'running')
"""
_INTENTS: Final = """
SELECT request_id::text || '/' || call || ':' || attempt AS attempt, state FROM tenantry.intent
"""
_CHARGED: Final = """
SELECT request_id::text AS request, sum(amount) AS charge FROM tenantry.customer_ledger
WHERE tenant_id = $1 AND request_id = ANY ($2::uuid[]) GROUP BY request_id
"""
_USED: Final = """
SELECT coalesce(sum(amount), 0) AS charge FROM tenantry.customer_ledger WHERE tenant_id = $1
"""


def check(world: World) -> None:
    """With nothing under way. Attempts that died before the emulator saw them are given up."""
    _end_batches(world)
    _settle(world)
    for violation in world.stack.violations():
        world.journal.broke("an invariant of the ledger does not hold", repr(violation))
    for member in world.members:
        _told(world, member)
    for member in world.present():
        _usage(world, member)


def _end_batches(world: World) -> None:
    """Starts what waits in the emulator, until every job has ended."""
    deadline = time.monotonic() + SETTLED_S
    while world.stack.rows(_OPEN_BATCHES)[0][0]:
        world.stack.emulator.own("POST", "start-batches")
        if time.monotonic() > deadline:
            jobs = world.stack.rows("SELECT * FROM tenantry.batch_job WHERE state <> 'settled'")
            world.journal.broke("a batch job does not end", repr([dict(job) for job in jobs]))
            return
        time.sleep(0.5)


def _settle(world: World) -> None:
    """Until nothing is open but what nobody has billed, and the ledger equals the bill."""
    stack, deadline = world.stack, time.monotonic() + SETTLED_S
    tenants = [member.tenant for member in world.members]
    while True:
        stack.emulator.own("POST", "flush-logs")
        states = {row["attempt"]: row["state"] for row in stack.rows(_INTENTS)}
        billed, booked = stack.bill(*tenants), stack.ledger(*tenants)
        ended = set(states.values()) <= {"unknown"} and not billed.keys() & states.keys()
        if ended and billed == booked:
            break
        if time.monotonic() > deadline:
            wrong = {
                attempt: (billed.get(attempt), booked.get(attempt))
                for attempt in billed.keys() | booked.keys()
                if billed.get(attempt) != booked.get(attempt)
            }
            world.journal.broke(
                "ledger and bill differ",
                f"{len(wrong)} attempts (bill, ledger): {dict(list(wrong.items())[:5])};"
                f" open: {dict(list(states.items())[:10])}",
            )
            return
        time.sleep(0.5)
    now = datetime.now(UTC)
    stack.keeper(lambda keeper: keeper.give_up(now))
    if left := stack.open_requests(*tenants):
        world.journal.broke("a reservation is left over", repr(left[:10]))


def _told(world: World, member: Member) -> None:
    """Each charge that an answer told is the ledger's, to the last digit."""
    with member.lock:
        told, member.told = member.told, {}
    rows = world.stack.rows(_CHARGED, member.id, list(told))
    booked = {row["request"]: row["charge"] for row in rows}
    for request, charge in told.items():
        if booked.get(request, Decimal(0)) != charge:
            world.journal.broke(
                "a customer was told another charge",
                f"{member.name} {request}: told {charge}, booked {booked.get(request)}",
            )


def _usage(world: World, member: Member) -> None:
    """What the tenant reads of its running period is the sum of its book. All of a soak lies in
    one period, unless it runs over a month's end."""
    path = "/v1/usage?group_by=model"
    status, _, body = world.stack.http("GET", path, tenant=member)
    if status != 200:
        world.journal.broke("usage cannot be read", f"{member.name}: {status} {body[:300]!r}")
        return
    shown = total(Decimal(row["charge"]) for row in json.loads(body)["data"])
    [used] = world.stack.rows(_USED, member.id)
    if shown != used["charge"]:
        told = f"{member.name}: shown {shown}, booked {used['charge']}"
        world.journal.broke("usage is not the ledger's", told)
