"""Two admins' keys that end each other at once, and what one makes: as the database has it."""

import asyncio

from tests.support.ledger import World, in_world
from tests.support.postgres import Database

from tenantry.domain.ids import ApiKeyId, TenantId
from tenantry.domain.tenant import Scope

_REVOKE = "SELECT revoke_own_key($1, $2)"
_CREATE = "SELECT create_own_key($1, $2, '', 'hint', $3, $4, '\\x00', '{infer}', NULL, NULL)"


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


def test_a_key_on_which_another_tenants_operator_budget_is_makes_keys(database: Database) -> None:
    async def body(world: World) -> None:
        tenants = (world.anna.tenant_id, world.bert.tenant_id)
        anna, bert = [
            (await world.control.create_key(tenant_id, scopes=frozenset({Scope.ADMIN}))).id
            for tenant_id in tenants
        ]
        # Ids are made at random; that a tenant's budget names another one's key is made here.
        for capped in (anna, bert):
            await world.as_superuser(
                "INSERT INTO tenantry.budget (tenant_id, subject, period, basis, amount, hard)"
                " VALUES ($1, 'api_key:' || $2, 'day', 'cost', 1, true)",
                world.bert.tenant_id,
                capped,
            )

        async def made(tenant_id: TenantId, by: ApiKeyId, n: int) -> str:
            new = "key_" + str(n) * 26
            async with world.work.writing(tenant_id) as unit:
                answer: str = await unit.fetchval(
                    _CREATE, by, new, bytes([n]) * 32, "TK" + str(n) * 18
                )
            return answer

        assert await made(tenants[0], anna, 1) == "created"
        assert await made(tenants[1], bert, 2) == "capped"

    in_world(database, body)
