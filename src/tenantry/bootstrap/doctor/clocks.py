"""What `doctor` finds of the two clocks: this machine's and the database's, by which money goes."""

from __future__ import annotations

from tenantry.adapters.postgres.clock import PostgresTime
from tenantry.adapters.postgres.connections import Databases
from tenantry.application.clock_watch import CheckedClock, is_skewed, skew_told
from tenantry.ports.clock import Clock


async def clock_facts(databases: Databases, machine: Clock) -> tuple[str, list[str]]:
    """How far they are apart, and a problem where that is too far. Raises `Unavailable`."""
    moment = await PostgresTime(databases.control).read(machine.monotonic)
    clock = CheckedClock(machine)
    clock.set(moment)
    skew = clock.ahead()
    if is_skewed(skew, moment.within_s):
        told = skew_told(skew, "this machine")
        return told, [
            f"{told}: set the wrong one right. Requests are admitted, priced and invoiced by the"
            " database's, and signatures of clients are fresh or not by it"
        ]
    return f"{abs(skew.total_seconds()):.0f} s from the database's", []
