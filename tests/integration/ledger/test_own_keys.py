"""Two admins' keys that end each other at once: one of them stays."""

import asyncio

from tests.support.ledger import World, in_world
from tests.support.postgres import Database

from tenantry.domain.ids import ApiKeyId
from tenantry.domain.tenant import Scope

_REVOKE = "SELECT revoke_own_key($1, $2)"


def test_the_second_of_two_waits_and_is_no_admin_any_more(database: Database) -> None:
    async def body(world: World) -> None:
        tenant_id = world.anna.tenant_id
        first, second = [
            (await world.control.create_key(tenant_id, scopes=frozenset({Scope.ADMIN}))).id
            for _ in range(2)
        ]

        async def revoke(by: ApiKeyId, which: ApiKeyId) -> str:
            async with world.work.writing(tenant_id) as unit:
                answer: str = await unit.fetchval(_REVOKE, by, which)
            return answer

        async with world.work.writing(tenant_id) as unit:
            assert await unit.fetchval(_REVOKE, first, second) == "revoked"
            later = asyncio.create_task(revoke(second, first))
            done, _ = await asyncio.wait([later], timeout=0.5)
            assert not done, "it waits for the first"
        assert await later == "not_admin"
        assert await revoke(first, first) == "last_admin"
        left = [key.id for key in await world.control.list_keys(tenant_id) if not key.revoked_at]
        assert first in left
        assert second not in left

    in_world(database, body)
