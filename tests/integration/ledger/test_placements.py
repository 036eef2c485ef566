"""Where tenants are: a placement is a tenant's for good, unless the tenant is shredded."""

import dataclasses
from decimal import Decimal

import pytest
from tests.support.ledger import POOL, World, in_world
from tests.support.postgres import Database

from tenantry.adapters.clock import SystemClock
from tenantry.adapters.postgres.endpoints import PostgresEndpoints
from tenantry.domain.errors import BadRequest, Conflict, TenantSuspended
from tenantry.domain.ids import TenantId
from tenantry.domain.placement import NO_ACCOUNT, Placement
from tenantry.domain.plan_values import PlanError
from tenantry.ports.control import Budget

SHREDDED = """
UPDATE tenantry.tenant SET status = 'shredded' WHERE tenant_id = '{0}';
INSERT INTO tenantry.shred (tenant_id, asked_by, keys_destroyed_at, processes_at, found, erased_at)
VALUES ('{0}', 'x', now(), now(), '{{}}', now())"""
UNTOLD = """
UPDATE tenantry.placement SET definition = jsonb_set(definition, '{account}', to_jsonb($2::text))
WHERE placement_id = $1"""
CERTIFIED = "UPDATE tenantry.shred SET certificate = '', signature = '' WHERE tenant_id = '{0}'"


def test_a_silo_is_nobodys_default(database: Database) -> None:
    async def body(world: World) -> None:
        silo = Placement(
            "acme", "silo", "222222222222", "eu-west-1", inference_profiles={"arn:x": "m"}
        )
        await world.control.apply_placement(silo)
        assert silo in await world.control.list_placements()
        await world.control.apply_plans({"enterprise": {"placement": "silo"}})
        for placement in (None, "pool", "nowhere"):
            with pytest.raises(BadRequest):
                await world.control.create_tenant("acme", plan="enterprise", placement=placement)
        tenant = await world.control.create_tenant("acme", plan="enterprise", placement="acme")
        assert tenant.placement == silo
        assert (await world.directory.refresh(world.anna)).tenant.placement == POOL
        with pytest.raises(PlanError, match="anna is in a pool"):
            await world.control.apply_plans({"standard": {"placement": "silo"}})
        assert (await world.directory.refresh(world.anna)).tenant.placement == POOL

    in_world(database, body)


def test_a_tenant_stays_in_the_placement_that_it_began_in(database: Database) -> None:
    async def body(world: World) -> None:
        control, elsewhere = world.control, dataclasses.replace(POOL, id="a", account="3" * 12)
        await control.apply_placement(elsewhere)
        assert (await world.directory.refresh(world.anna)).tenant.placement == POOL
        assert (await control.create_tenant("carla", plan="standard")).placement == POOL
        with pytest.raises(Conflict, match="anna among them"):
            await control.apply_placement(dataclasses.replace(POOL, account="3" * 12))
        with pytest.raises(Conflict, match="anna among them"):
            await control.apply_placement(dataclasses.replace(POOL, kind="silo"))
        moved = dataclasses.replace(POOL, region="us-west-2", regions=frozenset({"us-west-2"}))
        await control.apply_placement(moved)
        assert (await world.directory.refresh(world.anna)).tenant.placement == moved
        await control.apply_placement(dataclasses.replace(elsewhere, account="4" * 12))
        dora = await control.create_tenant("dora", plan="standard", placement="a")
        assert dora.placement.account == "4" * 12

    in_world(database, body)


def test_a_placement_that_nothing_could_be_called_with_is_not_stored(database: Database) -> None:
    async def body(world: World) -> None:
        with pytest.raises(BadRequest, match="`account` must be 12 digits"):
            await world.control.apply_placement(dataclasses.replace(POOL, id="a", account="1"))
        with pytest.raises(BadRequest, match="`invocation_log`: 'http://x' is no S3 location"):
            await world.control.apply_placement(
                dataclasses.replace(POOL, invocation_log="http://x")
            )
        assert await world.control.list_placements() == [POOL]

    in_world(database, body)


def test_a_pool_without_an_account_is_told_one_at_any_time(database: Database) -> None:
    async def body(world: World) -> None:
        control, fresh = world.control, dataclasses.replace(POOL, id="fresh", account="5" * 12)
        with pytest.raises(BadRequest, match="is none"):
            await control.apply_placement(dataclasses.replace(fresh, account=NO_ACCOUNT))
        await control.apply_placement(fresh)
        await world.as_superuser(UNTOLD, "fresh", NO_ACCOUNT)
        await control.create_tenant("carla", plan="standard", placement="fresh")
        silo = dataclasses.replace(POOL, id="fresh", kind="silo", account="3" * 12)
        with pytest.raises(Conflict, match="it stays a pool"):
            await control.apply_placement(silo)
        await control.apply_placement(dataclasses.replace(POOL, id="fresh", account="3" * 12))
        assert (await control.get_tenant("carla")).placement.account == "3" * 12
        with pytest.raises(Conflict):
            await control.apply_placement(dataclasses.replace(POOL, id="fresh"))

    in_world(database, body)


def test_who_is_shredded_holds_no_placement_and_no_plan(database: Database) -> None:
    async def body(world: World) -> None:
        control, moved = world.control, dataclasses.replace(POOL, account="3" * 12)
        silo = {"standard": {"placement": "silo"}}

        async def is_held_by(name: str) -> None:
            with pytest.raises(Conflict, match=f"{name} among them"):
                await control.apply_placement(moved)
            with pytest.raises(PlanError, match=f"{name} is in a pool"):
                await control.apply_plans(silo)

        for name, who in (("anna", world.anna), ("bert", world.bert)):
            await is_held_by(name)
            await world.as_superuser(SHREDDED.format(who.tenant_id))
            await is_held_by(name)  # until its shred is certified, keys of it may lie there
            await world.as_superuser(CERTIFIED.format(who.tenant_id))
        await control.apply_placement(moved)
        await control.apply_plans(silo)
        assert (await control.get_tenant("anna")).status == "shredded"

    in_world(database, body)


def test_who_is_shredded_is_given_no_budget_and_no_webhook(database: Database) -> None:
    async def body(world: World) -> None:
        anna, bert = world.anna.tenant_id, world.bert.tenant_id
        endpoints = PostgresEndpoints(
            world.databases.control, seal=lambda secret, _: secret,
            open_sealed=lambda sealed, _: sealed, clock=SystemClock(),
        )  # fmt: skip

        async def given(tenant_id: TenantId, host: str, limit: int) -> None:
            cap = Budget(tenant_id, "tenant", "", "month", "charge", Decimal(limit), True)
            await world.control.set_budget(cap)
            await endpoints.add(tenant_id, f"https://{host}.example.com/hooks")

        for tenant_id in (anna, bert):
            await given(tenant_id, "a", 1)
        await world.as_superuser(SHREDDED.format(anna))
        for name in ("set_budget", "add"):
            with pytest.raises(TenantSuspended, match="shredded"):
                await (given(anna, "b", 2) if name == "set_budget" else
                       endpoints.add(anna, "https://b.example.com/hooks"))  # fmt: skip
        await given(bert, "b", 2)
        for tenant_id, limit, count in ((anna, "1", 1), (bert, "2", 2)):
            [cap] = [c for c in await world.control.list_budgets(tenant_id) if c["id"]]
            assert (str(cap["limit"]), len(await endpoints.all_of(tenant_id))) == (limit, count)

    in_world(database, body)


def test_of_several_pools_one_is_named(database: Database) -> None:
    async def body(world: World) -> None:
        control = world.control
        await world.as_superuser("UPDATE tenantry.placement SET kind = 'silo'")
        with pytest.raises(BadRequest, match="there are: none"):
            await control.create_tenant("carla", plan="standard")
        await control.apply_placement(dataclasses.replace(POOL, id="us"))
        assert (await control.create_tenant("carla", plan="standard")).placement.id == "us"
        await control.apply_placement(dataclasses.replace(POOL, id="eu"))
        with pytest.raises(BadRequest, match="there are: eu, us"):
            await control.create_tenant("dora", plan="standard")
        found = await control.create_tenant("dora", plan="standard", placement="eu")
        assert found.placement.id == "eu"

    in_world(database, body)
