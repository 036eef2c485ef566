"""What the store in PostgreSQL holds, forgets and sweeps, between processes and through crashes."""

from __future__ import annotations

import asyncio
import hashlib
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from tests.support.postgres import Database, new_cluster, scratch_folder

from tenantry.adapters.postgres.idempotency import PostgresExpiredKeys, PostgresIdempotency
from tenantry.adapters.postgres.migrate import migrate
from tenantry.domain.errors import Unavailable
from tenantry.domain.ids import ApiKeyId, TenantId
from tenantry.ports.idempotency import Claim, Claimed, KeyKind, Lost, Running, UsedKey

ROOT = Path(__file__).parents[3]
A, B = TenantId("tnt_" + "a" * 26), TenantId("tnt_" + "b" * 26)
EVERYTHING_PAST = (
    "UPDATE tenantry.idempotency SET lease_until = now() - interval '1 s', "
    "expires_at = now() + interval '1 s' * $1::int"
)
INVOCATION = "0a1b2c3d-0000-4000-8000-000000000001"


def claim_of(
    kind: KeyKind, tenant: TenantId = A, *, name: str = "k", resent: bool = False
) -> Claim:
    key = UsedKey(kind, tenant, ApiKeyId("key_1"), hashlib.sha256(name.encode()).digest())
    return Claim(key, bytes(32), uuid.uuid4(), resent)


def played(
    database: Database, scene: Callable[[PostgresIdempotency, Any], Awaitable[None]]
) -> None:
    """With a store as the application, and a connection that may do anything."""

    async def run() -> None:
        admin = await asyncpg.connect(database.dsn("superuser"))
        try:
            async with asyncpg.create_pool(
                database.dsn("app"),
                min_size=1,
                max_size=2,
                server_settings={"lock_timeout": "200"},
            ) as pool:
                await scene(PostgresIdempotency(pool), admin)
        finally:
            await admin.close()

    asyncio.run(run())


@pytest.mark.parametrize("kind", ["given", "implied"])
def test_a_lapsed_lease_is_a_lost_run_until_the_key_expires(
    database: Database, kind: KeyKind
) -> None:
    async def scene(store: PostgresIdempotency, admin: Any) -> None:
        first, second = claim_of(kind), claim_of(kind)
        await store.claim(first)
        await admin.execute(EVERYTHING_PAST, 60)
        assert await store.claim(second) == Lost(first.body_hmac)
        await store.prolong([first])  # it was slow, not dead
        assert await store.claim(second) == Running(first.body_hmac)
        await admin.execute(EVERYTHING_PAST, -1)
        assert await store.claim(second) == Claimed()
        await store.keep(first, b"too late")
        assert await store.claim(first) == Running(second.body_hmac)

    played(database, scene)


def test_forgotten_implied_keys_are_known_to_be_forgotten(database: Database) -> None:
    async def scene(store: PostgresIdempotency, admin: Any) -> None:
        early = claim_of("implied", name="early", resent=True)
        assert await store.claim(early) == Claimed()  # nothing was ever forgotten
        given, implied = claim_of("given"), claim_of("implied")
        await store.claim(given)
        await store.claim(implied)
        # As a crash does.
        await admin.execute("TRUNCATE tenantry.idempotency_implied, tenantry.implied_keys_known")
        assert await store.claim(claim_of("given")) == Running(given.body_hmac)
        assert await store.claim(claim_of("implied", resent=True)) == Lost(None)
        assert await store.claim(claim_of("implied", name="n", resent=True)) == Lost(None)
        await store.prolong([implied])  # whoever still runs it makes it known again
        assert await store.claim(claim_of("implied", resent=True)) == Running(implied.body_hmac)
        fresh = claim_of("implied", name="fresh")
        assert await store.claim(fresh) == Claimed()
        await store.free(fresh)
        again = claim_of("implied", name="fresh", resent=True)
        assert await store.claim(again) == Claimed()
        await admin.execute("UPDATE tenantry.implied_keys_known SET since = since - interval '1h'")
        assert await store.claim(claim_of("implied", name="m", resent=True)) == Claimed()

    played(database, scene)


def test_the_sweep_takes_what_has_expired_and_sees_nothing_else(database: Database) -> None:
    async def scene(store: PostgresIdempotency, admin: Any) -> None:
        for tenant in (A, B):
            for number in range(5):
                await store.claim(claim_of("given", tenant, name=f"{number}"))
                await store.claim(claim_of("implied", tenant, name=f"{number}"))
        await admin.execute(EVERYTHING_PAST + " WHERE tenant_id = $2", -1, A)
        async with asyncpg.create_pool(database.dsn("control"), min_size=1, max_size=1) as pool:
            control = PostgresExpiredKeys(pool)
            seen = await pool.fetch("SELECT DISTINCT tenant_id FROM tenantry.idempotency")
            assert [row["tenant_id"] for row in seen] == [A]
            assert [await control.sweep(6) for _ in range(3)] == [6, 4, 0]
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await pool.fetch("SELECT sealed FROM tenantry.idempotency")
        left = await admin.fetch("SELECT DISTINCT tenant_id FROM tenantry.idempotency")
        assert [row["tenant_id"] for row in left] == [B]

    played(database, scene)


@pytest.mark.parametrize("table", ["idempotency", "idempotency_given", "idempotency_implied"])
def test_a_tenant_s_keys_are_there_for_its_own_unit_of_work_alone(
    database: Database, table: str
) -> None:
    async def scene(store: PostgresIdempotency, admin: Any) -> None:
        await store.claim(claim_of("given"))
        await store.claim(claim_of("implied"))
        app = await asyncpg.connect(database.dsn("app"))
        count = f"SELECT count(*) FROM tenantry.{table}"
        for tenant, expected in ((None, 0), (B, 0), (A, 2)):
            async with app.transaction():
                if tenant is not None:
                    await app.execute("SELECT set_config('tenantry.tenant', $1, true)", tenant)
                if table == "idempotency":
                    assert await app.fetchval(count) == expected
        if table != "idempotency":
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await app.fetchval(count)
        forced = (
            "SELECT relrowsecurity AND relforcerowsecurity FROM pg_class "
            "WHERE oid = $1::text::regclass"
        )
        assert await admin.fetchval(forced, f"tenantry.{table}")
        await app.close()

    played(database, scene)


def test_a_store_that_does_not_answer_is_unavailable(database: Database) -> None:
    async def scene(store: PostgresIdempotency, admin: Any) -> None:
        async with admin.transaction():
            await admin.execute("LOCK TABLE tenantry.idempotency_implied")
            with pytest.raises(Unavailable):
                await store.claim(claim_of("implied", name="other"))
        assert await store.claim(claim_of("implied", name="other")) == Claimed()

    played(database, scene)


# Between processes


@pytest.fixture
def worker(database: Database) -> Iterator[Callable[[], subprocess.Popen[str]]]:
    started: list[subprocess.Popen[str]] = []

    def start() -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "tests.support.idempotency_process"]
        process = subprocess.Popen(
            [*command, database.dsn("app"), INVOCATION],
            cwd=ROOT,
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate(timeout=30)


def said(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_two_processes_run_an_invocation_once(database: Database, worker) -> None:
    first = worker()
    assert said(first) == "running"
    second = worker()
    assert said(second) == "joined"
    first.communicate("\n", timeout=30)
    assert said(second) == "replayed"


def test_a_killed_process_takes_its_answer_with_it(database: Database, worker) -> None:
    first = worker()
    assert said(first) == "running"
    second = worker()
    assert said(second) == "joined"
    first.send_signal(signal.SIGKILL)
    first.wait(30)

    async def lapse(_: PostgresIdempotency, admin: Any) -> None:
        await admin.execute(EVERYTHING_PAST, 60)

    played(database, lapse)
    assert said(second) == "result_not_kept"


def test_a_crash_of_the_server_is_noticed() -> None:
    """A killed backend makes PostgreSQL empty what has no WAL."""
    with scratch_folder() as folder:
        cluster = new_cluster(folder)
        cluster.start()
        try:
            asyncio.run(_crash(cluster))
        finally:
            cluster.stop()


async def _crash(cluster: Any) -> None:
    await migrate(cluster.dsn("migrator"))
    given, implied = claim_of("given"), claim_of("implied")
    before = await _checkpointer(cluster)
    async with asyncpg.create_pool(cluster.dsn("app"), min_size=1, max_size=1) as pool:
        store = PostgresIdempotency(pool)
        await store.claim(given)
        await store.claim(implied)
        os.kill(await pool.fetchval("SELECT pg_backend_pid()"), signal.SIGKILL)
    await _recovered(cluster, before)
    async with asyncpg.create_pool(cluster.dsn("app"), min_size=1, max_size=1) as pool:
        store = PostgresIdempotency(pool)
        assert await store.claim(claim_of("given")) == Running(given.body_hmac)
        assert await store.claim(claim_of("implied", resent=True)) == Lost(None)


async def _recovered(cluster: Any, before: int) -> None:
    """Until the server has noticed the killed backend, it takes connections as ever."""
    async with asyncio.timeout(60):
        while True:
            try:
                if await _checkpointer(cluster) != before:
                    return
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                pass
            await asyncio.sleep(0.05)


async def _checkpointer(cluster: Any) -> int:
    """The process that a server starts anew when it recovers."""
    connection = await asyncpg.connect(cluster.dsn("superuser"))
    try:
        return await connection.fetchval(
            "SELECT pid FROM pg_stat_activity WHERE backend_type = 'checkpointer'"
        )
    finally:
        await connection.close()
