"""Numbers of invoices are one series over all tenants: what is said of one is of no other."""

from __future__ import annotations

from tests.support.ledger import World, in_world
from tests.support.postgres import Database


def test_a_gap_is_told_of_its_own_series(database: Database) -> None:
    async def body(world: World) -> None:
        control = world.databases.control
        year = await control.fetchval("SELECT extract(year FROM now() AT TIME ZONE 'UTC')::integer")
        await world.as_superuser(f"INSERT INTO tenantry.invoice_series VALUES ('CN-{year}', 4)")
        gap = await control.fetchrow(
            "SELECT * FROM tenantry.continue_after($1, 7, 'anna', 'restored')", f"INV-{year}"
        )
        assert (gap["series"], gap["first"], gap["last"]) == (f"INV-{year}", 1, 7)
        rows = await world.fetch("SELECT series, last FROM tenantry.invoice_series ORDER BY 1")
        assert [tuple(row) for row in rows] == [(f"CN-{year}", 4), (f"INV-{year}", 7)]
        await world.as_superuser("DELETE FROM tenantry.invoice_series")  # which no invoice has made

    in_world(database, body)
