"""What a worker remembers of API keys: found, dropped and read again by the tenant's own alone."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from tests.support.ledger import PEPPER, World, in_world, opened, plan_table
from tests.support.postgres import Database

from tenantry.adapters.clock import SystemClock
from tenantry.adapters.postgres import directory
from tenantry.adapters.postgres.directory import PostgresDirectory
from tenantry.domain.errors import KeyRevoked, TenantSuspended, Unavailable
from tenantry.domain.tenant import Principal


class Counted:
    """The pool, and how often it was asked for a connection."""

    def __init__(self, pool: Any) -> None:
        self._pool = pool
        self.asked = 0

    @asynccontextmanager
    async def acquire(self, **options: Any) -> AsyncIterator[Any]:
        self.asked += 1
        async with self._pool.acquire(**options) as connection:
            yield connection


def worker_of(world: World) -> tuple[PostgresDirectory, Counted]:
    """A directory that remembers nothing yet, and its pool."""
    pool = Counted(world.databases.app)
    made = PostgresDirectory(pool, pepper=PEPPER, open_sealed=opened, clock=SystemClock())
    return made, pool


def test_what_was_read_after_a_stale_verdict_is_kept(database: Database) -> None:
    async def body(world: World) -> None:
        worker, pool = worker_of(world)
        anna, bert = world.keys["anna"], world.keys["bert"]
        old = await worker.by_bearer(anna.bearer, fresh=False)
        await worker.by_bearer(bert.bearer, fresh=False)
        await world.control.apply_plans({"standard": plan_table(requests_per_day=7)})
        pool.asked = 0
        new = await worker.refresh(old)
        assert new.tenant.plan.requests_per_day == 7
        assert pool.asked == 1
        for _ in range(3):
            assert await worker.by_bearer(anna.bearer, fresh=False) == new
        known = await worker.by_bearer(bert.bearer, fresh=False)  # whom nobody has refreshed
        assert known.tenant.plan.requests_per_day is None
        assert pool.asked == 1
        assert await worker.by_bearer(anna.bearer, fresh=True) == new
        assert pool.asked == 2

    in_world(database, body)


def test_a_signer_is_kept_with_its_secret(database: Database) -> None:
    async def body(world: World) -> None:
        worker, pool = worker_of(world)
        key = world.keys["anna"]
        signer = await worker.by_access_key_id(key.access_key_id, fresh=False)
        assert isinstance(signer.who, Principal)
        await world.control.apply_plans({"standard": plan_table(requests_per_day=7)})
        pool.asked = 0
        new = await worker.refresh(signer.who)
        again = await worker.by_access_key_id(key.access_key_id, fresh=False)
        assert again.who == new and again.secret == key.secret_access_key.encode()
        assert pool.asked == 1

    in_world(database, body)


def test_other_keys_of_the_tenant_are_read_anew_and_none_that_is_bad_is_kept(
    database: Database,
) -> None:
    async def body(world: World) -> None:
        worker, _ = worker_of(world)
        tenant_id = world.anna.tenant_id
        spare = await world.control.create_key(tenant_id)
        first = await worker.by_bearer(world.keys["anna"].bearer, fresh=False)
        second = await worker.by_bearer(spare.bearer, fresh=False)
        await world.control.apply_plans({"standard": plan_table(requests_per_day=7)})
        await worker.refresh(first)
        told = await worker.by_bearer(spare.bearer, fresh=False)
        assert told.tenant.plan.requests_per_day == 7
        await world.control.revoke_key(tenant_id, spare.id)
        with pytest.raises(KeyRevoked):
            await worker.refresh(second)
        with pytest.raises(KeyRevoked):
            await worker.by_bearer(spare.bearer, fresh=False)
        await world.control.set_suspended(tenant_id, True)
        with pytest.raises(TenantSuspended):
            await worker.refresh(first)
        with pytest.raises(TenantSuspended):
            await worker.by_bearer(world.keys["anna"].bearer, fresh=False)
        await worker.by_bearer(world.keys["bert"].bearer, fresh=False)

    in_world(database, body)


def test_forgetting_a_tenant_looks_at_its_own_keys_alone(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def body(world: World) -> None:
        worker, pool = worker_of(world)
        bearers = [world.keys["bert"].bearer]
        for _ in range(20):
            bearers.append((await world.control.create_key(world.bert.tenant_id)).bearer)
        for bearer in (world.keys["anna"].bearer, *bearers):
            await worker.by_bearer(bearer, fresh=False)
        looked: list[Principal] = []
        whose = Principal.tenant_id.fget  # type: ignore[attr-defined]

        def counted(principal: Principal) -> Any:
            looked.append(principal)
            return whose(principal)

        monkeypatch.setattr(Principal, "tenant_id", property(counted))
        worker.forget(world.anna.tenant_id)
        monkeypatch.undo()
        assert len(looked) <= 1
        pool.asked = 0
        for bearer in bearers:
            await worker.by_bearer(bearer, fresh=False)
        assert pool.asked == 0
        await worker.by_bearer(world.keys["anna"].bearer, fresh=False)
        assert pool.asked == 1

    in_world(database, body)


def test_a_worker_remembers_so_many_keys(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(directory, "CACHED_KEYS_MAX", 3)

    async def body(world: World) -> None:
        worker, pool = worker_of(world)
        anna = await worker.by_bearer(world.keys["anna"].bearer, fresh=False)
        made = [await world.control.create_key(world.bert.tenant_id) for _ in range(5)]
        for key in made:
            await worker.by_bearer(key.bearer, fresh=False)
        with pytest.raises(Unavailable):
            await worker.refresh(anna)
        pool.asked = 0
        for key in made[2:]:
            await worker.by_bearer(key.bearer, fresh=False)
        assert pool.asked == 0
        for bearer in (made[0].bearer, world.keys["anna"].bearer):
            await worker.by_bearer(bearer, fresh=False)
        assert pool.asked == 2

    in_world(database, body)
