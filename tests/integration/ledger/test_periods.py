"""Civil days and billing periods in the database equal those of the domain."""

import asyncio
import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import asyncpg
from tests.support.ledger import World, in_world
from tests.support.postgres import Database

from tenantry.domain.period import billing_period, civil_day
from tenantry.domain.usage import Usage
from tenantry.ports.control import Budget

USED = Usage(uncached_in=1_000, out=500)
CHARGE = Decimal("0.0315")
# Midnights that never come or come twice, half-hour shifts, a skipped day, both hemispheres.
ZONES = [
    "UTC",
    "America/New_York",
    "America/Sao_Paulo",
    "America/Havana",
    "America/Santiago",
    "America/Asuncion",
    "America/St_Johns",
    "Asia/Beirut",
    "Asia/Tehran",
    "Asia/Kathmandu",
    "Asia/Gaza",
    "Africa/Cairo",
    "Africa/Casablanca",
    "Atlantic/Azores",
    "Australia/Lord_Howe",
    "Europe/Dublin",
    "Pacific/Apia",
    "Pacific/Chatham",
    "Pacific/Kiritimati",
]
# Until here the server's and Python's copies of the time zone database agree, whatever their age.
YEARS = (2008, 2023)
EDGE_S = (-3_601, -1, 0, 1, 1_799, 3_599, 3_600)


def _instants(zone: str, draw: random.Random) -> list[datetime]:
    """Random ones, and those around every shift of the clock and around midnights."""
    found = []
    here = ZoneInfo(zone)
    for _ in range(40):
        days = draw.randrange((YEARS[1] - YEARS[0]) * 365)
        found.append(
            datetime(YEARS[0], 1, 1, tzinfo=UTC)
            + timedelta(days=days, seconds=draw.randrange(86_400))
        )
    hour = datetime(YEARS[0], 1, 1, tzinfo=UTC)
    end = datetime(YEARS[1], 1, 1, tzinfo=UTC)
    step = timedelta(days=1)
    while hour < end:
        if hour.astimezone(here).utcoffset() != (hour + step).astimezone(here).utcoffset():
            low, high = hour, hour + step
            while high - low > timedelta(seconds=1):
                middle = low + (high - low) / 2
                if middle.astimezone(here).utcoffset() == low.astimezone(here).utcoffset():
                    low = middle
                else:
                    high = middle
            shift = high.replace(microsecond=0)
            found += [shift + timedelta(seconds=each) for each in EDGE_S]
        hour += step
    return found


def test_days_and_periods_equal_the_domains(module_database: Database) -> None:
    draw = random.Random(16)

    async def check() -> None:
        connection = await asyncpg.connect(module_database.dsn("superuser"))
        for zone in ZONES:
            asked = [(at, draw.choice([1, 1, 15, 28, 29, 30, 31])) for at in _instants(zone, draw)]
            rows = await connection.fetch(
                "SELECT d.day_start, d.day_end, b.period_start, b.period_end"
                " FROM unnest($1::timestamptz[], $2::int[]) WITH ORDINALITY AS q (at, anchor, n),"
                " tenantry.civil_day(q.at, $3) d,"
                " tenantry.billing_period(q.at, $3, q.anchor) b ORDER BY q.n",
                [at for at, _ in asked],
                [anchor for _, anchor in asked],
                zone,
            )
            for (at, anchor), row in zip(asked, rows, strict=True):
                day, period = civil_day(at, zone), billing_period(at, zone, anchor)
                assert (row["day_start"], row["day_end"]) == (day.start, day.end), (zone, at)
                spans = (row["period_start"], row["period_end"])
                assert spans == (period.start, period.end), (zone, at, anchor)
                assert at in day, (zone, at)
                assert at in period, (zone, at, anchor)
        await connection.close()

    asyncio.run(check())


def test_november_in_new_york(module_database: Database) -> None:
    async def check() -> None:
        connection = await asyncpg.connect(module_database.dsn("superuser"))

        async def period(at: datetime) -> Any:
            return await connection.fetchrow(
                "SELECT period_start, (extract(epoch FROM period_end - period_start) / 3600)::int"
                " AS hours FROM tenantry.billing_period($1, 'America/New_York', 1)",
                at,
            )

        last = await period(datetime(2026, 12, 1, 4, 59, 59, 999_000, tzinfo=UTC))
        first = await period(datetime(2026, 12, 1, 5, 0, 0, tzinfo=UTC))
        march = await period(datetime(2026, 3, 15, tzinfo=UTC))
        assert (last["period_start"].month, last["hours"]) == (11, 721)
        assert first["period_start"] == datetime(2026, 12, 1, 5, tzinfo=UTC)
        assert march["hours"] == 743
        await connection.close()

    asyncio.run(check())


async def _days_pass(world: World, days: int) -> None:
    """Moves all that is there into the past, as if the clock had gone on.

    Billing periods move with whole months only, of which one day is none.
    """
    back = f"- interval '{days} days'"
    months = back if days > 31 else ""
    for statement in (
        f"UPDATE tenantry.counter SET day_start = day_start {back}, day_end = day_end {back},"
        f" day = day - {days}, period_start = period_start {months},"
        f" period_end = period_end {months}",
        f"UPDATE tenantry.budget_use SET period_start = period_start {back},"
        f" period_end = period_end {back} WHERE period = 'day' OR {days > 31}",
        f"UPDATE tenantry.open_request SET admitted_at = admitted_at {back},"
        f" day = day - {days}, period_start = period_start {back}",
        "ALTER TABLE tenantry.charge_entry DISABLE TRIGGER append_only",
        f"UPDATE tenantry.charge_entry SET admitted_at = admitted_at {back}",
        "ALTER TABLE tenantry.charge_entry ENABLE TRIGGER append_only",
        "ALTER TABLE tenantry.cost_entry DISABLE TRIGGER append_only",
        f"UPDATE tenantry.cost_entry SET admitted_at = admitted_at {back}",
        "ALTER TABLE tenantry.cost_entry ENABLE TRIGGER append_only",
    ):
        await world.as_superuser(statement)


def test_a_request_belongs_to_the_period_of_its_admission(database: Database) -> None:
    """Settled any number of periods later, it moves the balance of its own."""

    async def body(world: World) -> None:
        await world.plan(requests_per_day=3, monthly_budget="1")
        for period in ("day", "month", "total"):
            await world.control.set_budget(
                Budget(world.anna.tenant_id, "tenant", "", period, "charge", 4 * CHARGE)  # type: ignore[arg-type]
            )
        oldest = await world.admitted()
        await world.admitted()
        await _days_pass(world, 70)
        middle = await world.admitted()
        await _days_pass(world, 35)
        newest = await world.admitted()
        assert (await world.refused()).limit == "tenant total charge"
        for reservation in (oldest, middle, newest):
            await world.settle(reservation, world.outcome(USED))
        rows = await world.fetch(
            "SELECT settled, reserved FROM budget_use WHERE tenant_id = $1 AND subject = 'plan'"
            " ORDER BY period_end",
            world.anna.tenant_id,
        )
        assert [tuple(row) for row in rows] == [(CHARGE, CHARGE), (CHARGE, 0), (CHARGE, 0)]
        [total] = await world.fetch(
            "SELECT settled, reserved FROM budget_use WHERE period = 'total'"
        )
        assert tuple(total) == (3 * CHARGE, CHARGE)

    in_world(database, body)


def test_a_new_day_begins_at_zero(database: Database) -> None:
    async def body(world: World) -> None:
        await world.plan(requests_per_day=1)
        await world.control.set_budget(
            Budget(world.anna.tenant_id, "user", "alice", "day", "charge", CHARGE)
        )
        await world.admitted(user_hash="alice")
        assert (await world.refused()).code == "requests_per_day"
        await _days_pass(world, 1)
        limits = {row["name"]: row["used"] for row in await world.ledger.limits(world.anna)}
        assert limits["requests_per_day"] == 0
        await world.admitted(user_hash="alice")
        assert (await world.refused()).code == "requests_per_day"

    middle_of_the_period = (datetime.now(UTC).day + 14) % 28 + 1
    in_world(database, body, zone="America/Havana", anchor_day=middle_of_the_period)


def test_when_a_budget_begins_anew_is_told_by_the_calendar_that_counts_it(
    database: Database,
) -> None:
    """The database's, whose copy of the time zones may be of another age than Python's."""

    async def body(world: World) -> None:
        await world.as_superuser(
            "CREATE OR REPLACE FUNCTION tenantry.midnight(p_day date, p_zone text)"
            " RETURNS timestamptz LANGUAGE sql STABLE STRICT AS"
            " $$ SELECT p_day::timestamp AT TIME ZONE p_zone + interval '1 hour' $$"
        )
        await world.plan(monthly_budget="1")
        for period in ("day", "month", "total"):
            await world.control.set_budget(
                Budget(world.anna.tenant_id, "user", "alice", period, "charge", CHARGE)  # type: ignore[arg-type]
            )

        async def told() -> dict[tuple[str, str], datetime | None]:
            rows = await world.control.list_budgets(world.anna.tenant_id)
            return {(row["scope"], row["period"]): row["resets_at"] for row in rows}

        before = await told()
        assert before["user", "total"] is None
        for period in ("day", "month"):
            assert before["user", period].strftime("%H:%M:%S") == "01:00:00"  # type: ignore[union-attr]
        await world.admitted(user_hash="alice")
        assert await told() == before
        refused = await world.refused(user_hash="alice")
        assert refused.resets_at == before["user", refused.limit.split()[-2]]

    in_world(database, body)


def test_a_clock_that_goes_back_reopens_nothing(database: Database) -> None:
    async def body(world: World) -> None:
        await world.plan(requests_per_day=1)
        await world.as_superuser(
            "UPDATE tenantry.counter SET day_requests = 1, day_start = day_start + '1 day',"
            " day_end = day_end + '1 day', latest_slot = extract(epoch FROM now())::bigint / 6 + 5"
        )
        assert (await world.refused()).code == "requests_per_day"
        await world.plan(requests_per_day=5)
        await world.admitted()

    in_world(database, body)
