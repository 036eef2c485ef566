"""Two tenants with two months of usage that is rolled up and waits for its invoices, and what comes
to its hours afterwards: with a mark, or missed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from tests.support.billing import House, months_ago, period_of
from tests.support.ledger import World, in_world
from tests.support.postgres import Database

from tenantry.adapters.postgres.rollups import PostgresRollups
from tenantry.application.invoicing import regenerate
from tenantry.application.rolling_up import roll_up
from tenantry.domain.period import Span
from tenantry.domain.tenant import Principal
from tenantry.domain.usage import Usage
from tenantry.ports.billing import Finalised

USED = Usage(uncached_in=1_000_000, out=500_000)  # charge 31.5
MISSED = Usage(uncached_in=100_000, out=20_000)
LATE = Decimal("1.80")  # its charge
WHOLE = 12  # steps of a look back over 62 days, 6 days each


class Past:
    """Both tenants used something in each of the last two months, all of it rolled up."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.house = House.of(world)
        self.rollups = PostgresRollups(world.databases.control)
        self.at = months_ago(2)
        self.people = (world.anna, world.bert)
        self.before, self.after = (period_of(world.anna, months_ago(n)) for n in (2, 1))

    async def made(self) -> None:
        for who in self.people:
            await self.house.contract(who)
            await self.house.since(who, self.before.start)
            for at in (self.at, months_ago(1)):
                await self.house.used(who, USED, at)
        await roll_up(self.rollups)
        # As where each hour was rolled up soon after its end, long before its period was over.
        await self.world.as_superuser("DELETE FROM tenantry.mended_hour")
        # Two months before it are looked through, whatever the day.
        await self.world.as_superuser("UPDATE tenantry.rollup SET through = $1", self.after.end)

    async def not_rolled_up(self) -> None:
        """As where the worker was down: the usage waits in the ledger for its first roll-up."""
        for table in ("charge_hour", "charge_hour_detail", "cost_hour_detail", "mended_hour"):
            await self.world.as_superuser(f"DELETE FROM tenantry.{table}")
        await self.world.as_superuser("UPDATE tenantry.rollup SET through = $1", self.at)

    async def missed(self, who: Principal, **changes: Any) -> None:
        """Posted to an hour that is rolled up, by a transaction that left no mark."""
        await self.house.used(who, MISSED, self.at + timedelta(hours=3), **changes)

    async def late(self, who: Principal, **changes: Any) -> None:
        """As `missed`, with the mark that every settlement to an hour that is rolled up has."""
        await self.missed(who, **changes)
        await self.world.as_superuser(
            "INSERT INTO tenantry.late_hour (tenant_id, hour) VALUES ($1, $2)",
            who.tenant_id,
            self.at + timedelta(hours=3),
        )

    async def looked_through(self) -> None:
        before = None
        for _ in range(WHOLE):
            before = await self.rollups.look_back(before, 6 * 24)

    async def finalise(self, who: Principal, period: Span) -> Finalised:
        return await self.house.finalise(who, period)

    async def late_in_draft(self, who: Principal) -> Decimal:
        """The charge of what the next invoice would have of earlier periods by now."""
        book, tenant_id = self.house.billing.book, who.tenant_id
        reading = await book.read(tenant_id, await book.next_period(tenant_id), now())
        lines = [line for each in reading.earlier for line in each.late]
        return sum((line.charge for line in lines), Decimal(0))

    async def read_again(self, who: Principal, made: Finalised) -> Decimal:
        """The charge of its own period's usage as it is read to make it again."""
        book = self.house.billing.book
        stored = await book.document(who.tenant_id, str(made.number))
        values = (stored.period, stored.watermark, stored.issued_at)
        reading = await book.read(who.tenant_id, *values)
        return sum((line.charge for line in reading.usage), Decimal(0))

    async def same(self, who: Principal, *made: Finalised) -> bool:
        found = []
        for invoices in (self.house.billing.book, self.house.billing.invoices):
            for each in made:
                stored = await invoices.document(who.tenant_id, str(each.number))
                found.append((await regenerate(invoices, who.tenant_id, stored)).same)
        return all(found)

    @asynccontextmanager
    async def clock_of(self, function: str, at: datetime) -> AsyncIterator[None]:
        """What a function takes for now."""
        [row] = await self.world.fetch(
            f"SELECT pg_get_functiondef('tenantry.{function}'::regproc) AS definition"
        )
        moved = row["definition"].replace("clock_timestamp()", f"timestamptz '{at}'")
        assert moved != row["definition"]
        await self.world.as_superuser(moved)
        yield
        await self.world.as_superuser(row["definition"])

    async def the_present_goes_on(self) -> None:
        """The period that runs ends in more than a month, whatever the day."""
        await self.world.as_superuser(
            "UPDATE tenantry.billing_account SET period_end = now() + interval '40 days'"
        )

    async def mended(self) -> list[tuple[str, datetime]]:
        """Those that wait for an invoice."""
        rows = await self.world.fetch(
            "SELECT tenant_id, hour FROM mended_hour WHERE seen_at IS NULL ORDER BY 1, 2"
        )
        return [tuple(row) for row in rows]


def in_past(database: Database, body: Callable[[Past], Awaitable[None]]) -> None:
    async def run(world: World) -> None:
        past = Past(world)
        await past.made()
        await body(past)

    in_world(database, run)


def while_one_is_made(past: Past, meanwhile: Callable[[], Awaitable[None]]) -> None:
    """Once, when the next invoice has read its usage and is not committed."""
    book: Any = past.house.billing.book
    number = book._next

    async def after(*values: Any) -> Any:
        book._next = number
        await meanwhile()
        return await number(*values)

    book._next = after


def adjusted(made: Finalised) -> Decimal:
    lines = [line for line in made.document["lines"] if line["kind"] == "adjustment"]
    return sum((Decimal(line["amount"]) for line in lines), Decimal(0))


def now() -> datetime:
    return datetime.now(UTC)


async def blocked(connection: Any) -> int:
    """The backend that waits for a lock, as soon as one does."""
    async with asyncio.timeout(30):
        while True:
            pids = await connection.fetch(
                "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
                " AND datname = current_database()"
            )
            if pids:
                return int(pids[0]["pid"])
            await asyncio.sleep(0.01)
