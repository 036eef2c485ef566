"""A list of tenants is printed to its end, however many pages that takes."""

from __future__ import annotations

from tests.support.ledger import World, in_world
from tests.support.postgres import Database

from tenantry.entrypoints.cli.tenants import listed


def test_tenants_are_listed_to_the_end_or_to_the_limit(database: Database) -> None:
    async def body(world: World) -> None:
        for number in range(3):
            await world.control.create_tenant(f"more-{number}", plan="standard")
        whole = sorted(tenant.id for tenant in await world.control.list_tenants())
        assert len(whole) == 5
        for page in (1, 2, 5, 100):
            for limit in (None, 1, 2, 4, 5, 9):
                most = 5 if limit is None else min(limit, 5)
                found, more = await listed(world.control, None, limit, page=page)
                assert ([tenant.id for tenant in found], more) == (whole[:most], most < 5)
                found, more = await listed(world.control, whole[2], limit, page=page)
                rest = whole[3 : 3 + most]
                assert ([tenant.id for tenant in found], more) == (rest, len(rest) < 2)
        assert await listed(world.control, whole[-1], None) == ([], False)

    in_world(database, body)
