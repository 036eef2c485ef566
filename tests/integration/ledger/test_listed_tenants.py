"""A list of tenants is printed to its end, however many pages that takes."""

from __future__ import annotations

from tests.support.ledger import World, in_world
from tests.support.postgres import Database

from tenantry.application.pages import every_tenant
from tenantry.entrypoints.cli.tenants import listed


def test_tenants_are_listed_to_the_end_or_to_the_limit(database: Database) -> None:
    async def body(world: World) -> None:
        for number in range(3):
            await world.control.create_tenant(f"more-{number}", plan="standard")
        whole = sorted(tenant.id for tenant in await world.control.list_tenants())
        assert len(whole) == 5
        for after, rest in ((None, whole), (whole[2], whole[3:]), (whole[-1], [])):
            for rows in (1, 2, 5, 100):
                paged = every_tenant(world.control, after=after, page_rows=rows)
                assert [tenant.id async for tenant in paged] == rest
            for limit in (None, 1, 2, 4, 5, 9):
                shown, left_out, more = await listed(world.control, after, limit, everyone=False)
                assert [tenant.id for tenant in shown] == rest[:limit]
                assert (left_out, more) == (0, len(shown) < len(rest))

    in_world(database, body)
