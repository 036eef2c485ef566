"""Settlement: each attempt ends once, both books are posted, holds fall free (metering.md)."""

from decimal import Decimal

from tests.support.ledger import World, in_world
from tests.support.postgres import Database

from tenantry.domain.usage import Usage

USED = Usage(uncached_in=1_000, out=500)


def test_case_01_settled_three_times_posts_once(database: Database) -> None:
    async def body(world: World) -> None:
        reservation = await world.admitted()
        assert await world.budget() == (0, Decimal("0.0315"))
        first = await world.settle(reservation, world.outcome(USED))
        again = [await world.settle(reservation, world.outcome(USED)) for _ in range(2)]
        assert first.posted
        assert [settled.posted for settled in again] == [False, False]
        assert await world.sums() == (Decimal("0.0105"), Decimal("0.0315"))
        assert await world.sums(world.bert) == (0, 0)
        assert await world.budget() == (Decimal("0.0315"), 0)
        assert await world.in_flight() == 0
        entries = await world.fetch("SELECT token_class FROM charge_entry ORDER BY 1")
        assert [row[0] for row in entries] == ["out", "uncached_in"]

    in_world(database, body)
