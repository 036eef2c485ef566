"""Usage by the hour where clocks are moved, also by half an hour: a row holds what it names."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from tests.support.archiving import rolled_up, with_partitions
from tests.support.billing import House
from tests.support.ledger import World, open_world
from tests.support.postgres import Database

from tenantry.domain.tenant import Principal
from tenantry.domain.usage import Usage

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
# Clocks of Lord Howe go half an hour back at 15:00, and on at 15:30 UTC; those of Chatham an hour,
# at a quarter to three; Havana's at midnight.
CHANGES = (
    ("Australia/Lord_Howe", datetime(2025, 4, 5, 15, tzinfo=UTC)),
    ("Australia/Lord_Howe", datetime(2025, 10, 4, 15, 30, tzinfo=UTC)),
    ("Pacific/Chatham", datetime(2025, 4, 5, 14, tzinfo=UTC)),
    ("America/Havana", datetime(2025, 11, 2, 5, tzinfo=UTC)),
)


def hour_of(at: datetime, zone: str) -> datetime:
    """Walked back to where the minute hand of a clock stood at the full hour, or was moved."""

    def minute(instant: datetime) -> int:
        return instant.astimezone(ZoneInfo(zone)).minute

    begun = at.replace(second=0, microsecond=0)
    while minute(begun) and minute(begun - MINUTE) == minute(begun) - 1:
        begun -= MINUTE
    return begun


async def pages(
    world: World, who: Principal, span: tuple[datetime, datetime], by: Sequence[str], limit: int
) -> Mapping[datetime, tuple[int, int]]:
    """By hour, requests and tokens, read page by page."""
    found: dict[datetime, tuple[int, int]] = {}
    after: list[str] | None = None
    while rows := await world.ledger.usage(who, *span, by, after=after, limit=limit):
        for row in rows:
            hour = datetime.fromisoformat(row.group["hour"])
            assert hour not in found, "each hour has one row"
            found[hour] = (row.requests, sum(row.tokens.values()))
        after = [*rows[-1].group.values(), rows[-1].currency]
    return found


def instants(change: datetime) -> Iterator[datetime]:
    """Every 13 minutes of some hours around it, and its very edges."""
    yield change - timedelta(microseconds=1)
    yield change
    yield from (change - 3 * HOUR + 13 * MINUTE * n for n in range(28))


@pytest.mark.parametrize(("zone", "change"), CHANGES)
def test_an_hours_row_holds_what_was_admitted_from_its_instant_on(
    database: Database, zone: str, change: datetime
) -> None:
    async def run() -> None:
        async with open_world(database, zone=zone) as world:
            house, span = House.of(world), (change - 24 * HOUR, change + 24 * HOUR)
            await with_partitions(world, date(change.year, change.month - 1, 1))
            expected: dict[str, dict[datetime, tuple[int, int]]] = {}
            for who, more in ((world.anna, 0), (world.bert, 1_000)):
                mine: dict[datetime, list[int]] = defaultdict(list)
                for number, at in enumerate(instants(change), start=1 + more):
                    await house.used(who, Usage(out=number), at)
                    mine[hour_of(at, zone)].append(number)
                expected[who.tenant_id] = {h: (len(n), sum(n)) for h, n in mine.items()}
            for rolled in (False, True):
                if rolled:
                    await rolled_up(world)
                for who in (world.anna, world.bert):
                    for by in (["hour"], ["key", "hour"], ["model", "hour"]):
                        read = await pages(world, who, span, by, 3)
                        assert read == expected[who.tenant_id], (rolled, by)

    asyncio.run(run())
