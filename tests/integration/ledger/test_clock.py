"""Workers whose machines have the wrong time: what they decide by time, they decide by the
database's."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.support.ledger import World, in_world
from tests.support.postgres import Database
from tests.support.skewed import SkewedClock

from tenantry.adapters.postgres.clock import PostgresTime
from tenantry.adapters.postgres.log_readings import PostgresLogReadings
from tenantry.application.clock_watch import CheckedClock, ClockWatch
from tenantry.application.ledger_rounds import ledger_rounds
from tenantry.application.true_up import TrueUp
from tenantry.bootstrap.doctor.clocks import clock_facts
from tenantry.ports.admission import AttemptOutcome

HOLD = timedelta(hours=72)


def _watched(world: World, ahead: timedelta, name: str) -> tuple[CheckedClock, ClockWatch]:
    machine = SkewedClock(ahead)
    clock = CheckedClock(machine)
    return clock, ClockWatch(clock, machine, PostgresTime(world.databases.control), name)


async def _written_off(world: World, clock: Any) -> object:
    rounds = ledger_rounds(
        world.keeper, TrueUp(world.keeper, world.directory, {}), clock,
        PostgresLogReadings(world.databases.control), hold=HOLD, estimate_after=HOLD, log_poll_s=1,
    )  # fmt: skip
    return await next(each for each in rounds if each.name == "write-off").work()


def test_a_hold_is_as_long_as_the_database_says(database: Database) -> None:
    async def body(world: World) -> None:
        unknown = AttemptOutcome(0, 1, "unknown", error="gone")
        await world.settle(await world.admitted(), unknown)
        clock, watch = _watched(world, timedelta(hours=100), "w/1")
        await watch.check()
        assert await _written_off(world, clock) == 0
        assert len(await world.keeper.open_attempts(10)) == 1
        # The same round by the machine's own clock gives up what is a second old.
        assert await _written_off(world, SkewedClock(timedelta(hours=100))) == 1

    in_world(database, body)


def test_a_skew_is_told_once_a_day_and_worker(database: Database) -> None:
    async def body(world: World) -> None:
        for ahead, name in (
            (timedelta(minutes=7), "a/gateway"),
            (timedelta(minutes=7), "a/gateway"),
            (timedelta(hours=-2), "b/gateway"),
            (timedelta(seconds=20), "c/gateway"),
        ):
            clock, watch = _watched(world, ahead, name)
            assert clock.now() - datetime.now(UTC) > ahead - timedelta(seconds=5), "not yet checked"
            skew = await watch.check()
            assert abs((skew - ahead).total_seconds()) < 20
            assert abs((clock.now() - datetime.now(UTC)).total_seconds()) < 20
        rows = await world.fetch("SELECT tenant_id, once_key, body FROM notice ORDER BY once_key")
        told = [(row["tenant_id"], json.loads(row["body"])["worker"]) for row in rows]
        assert told == [("", "a/gateway"), ("", "b/gateway")]
        assert [round(json.loads(row["body"])["ahead_s"], -2) for row in rows] == [400, -7200]
        # The next day by the database's clock is another one.
        await world.as_superuser("UPDATE tenantry.notice SET once_key = 'yesterday' || once_key")
        await watch.check()
        _, watch = _watched(world, timedelta(minutes=7), "a/gateway")
        await watch.check()
        assert len(await world.fetch("SELECT FROM notice")) == 3

    in_world(database, body)


def test_doctor_compares_the_clocks_and_blames_neither(database: Database) -> None:
    async def body(world: World) -> None:
        fact, problems = await clock_facts(world.databases, SkewedClock(timedelta()))
        assert (fact.endswith(" s from the database's"), problems) == (True, [])
        fact, (problem,) = await clock_facts(world.databases, SkewedClock(timedelta(hours=-1)))
        assert re.fullmatch(
            r"the clocks of this machine and of the database differ by 36\d\d s"
            r" \(the database's is ahead\)",
            fact.replace("359", "360"),
        )
        assert problem.startswith(fact)

    in_world(database, body)
