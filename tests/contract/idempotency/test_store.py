"""What every store of idempotency keys does: the one in PostgreSQL, and the one in memory."""

from __future__ import annotations

import asyncio
import hashlib
import uuid
from collections.abc import Awaitable, Callable

import asyncpg
import pytest
from tests.support.idempotency import MemoryIdempotency
from tests.support.postgres import Database

from tenantry.adapters.postgres.idempotency import PostgresIdempotency
from tenantry.domain.ids import ApiKeyId, TenantId
from tenantry.ports.idempotency import (
    Claim,
    Claimed,
    IdempotencyStore,
    KeptAnswer,
    KeyKind,
    Lost,
    Running,
    UsedKey,
)

A, B = TenantId("tnt_" + "a" * 26), TenantId("tnt_" + "b" * 26)
Scene = Callable[[IdempotencyStore], Awaitable[None]]
KINDS: list[KeyKind] = ["given", "implied"]


@pytest.fixture(params=["memory", "postgres"])
def played(request: pytest.FixtureRequest) -> Callable[[Scene], None]:
    if request.param == "memory":
        return lambda scene: asyncio.run(scene(MemoryIdempotency()))
    database: Database = request.getfixturevalue("database")

    async def on_postgres(scene: Scene) -> None:
        async with asyncpg.create_pool(database.dsn("app"), min_size=1, max_size=4) as pool:
            await scene(PostgresIdempotency(pool))

    return lambda scene: asyncio.run(on_postgres(scene))


def claim_of(
    kind: KeyKind, tenant: TenantId = A, name: str = "k", body: str = "b", api_key: str = "key_1"
) -> Claim:
    digest = hashlib.sha256(name.encode()).digest()
    key = UsedKey(kind, tenant, ApiKeyId(api_key), digest)
    return Claim(key, hashlib.sha256(body.encode()).digest(), uuid.uuid4())


@pytest.mark.parametrize("kind", KINDS)
def test_one_claims_and_the_others_find_it(played, kind: KeyKind) -> None:
    async def scene(store: IdempotencyStore) -> None:
        first, second = claim_of(kind), claim_of(kind, body="other")
        assert await store.claim(first) == Claimed()
        assert await store.claim(second) == Running(first.body_hmac)
        await store.prolong([first])
        await store.keep(second, b"not theirs to end")
        assert await store.claim(second) == Running(first.body_hmac)
        await store.keep(first, b"sealed")
        kept = KeptAnswer(first.body_hmac, first.request_id, b"sealed")
        assert await store.claim(second) == kept
        for late in (store.free, store.lose):
            await late(first)
        await store.prolong([first])
        assert await store.claim(second) == kept

    played(scene)


@pytest.mark.parametrize("kind", KINDS)
def test_of_many_at_once_one_runs(played, kind: KeyKind) -> None:
    async def scene(store: IdempotencyStore) -> None:
        claims = [claim_of(kind, name=f"{n % 5}") for n in range(200)]
        found = await asyncio.gather(*(store.claim(claim) for claim in claims))
        assert sum(one == Claimed() for one in found) == 5
        assert sum(isinstance(one, Running) for one in found) == 195

    played(scene)


@pytest.mark.parametrize("kind", KINDS)
def test_a_freed_key_runs_again_and_a_lost_one_never(played, kind: KeyKind) -> None:
    async def scene(store: IdempotencyStore) -> None:
        first, second = claim_of(kind), claim_of(kind, body="other")
        await store.claim(first)
        await store.free(first)
        assert await store.claim(second) == Claimed()
        await store.lose(second)
        assert await store.claim(first) == Lost(second.body_hmac)

    played(scene)


@pytest.mark.parametrize("kind", KINDS)
def test_tenants_api_keys_and_kinds_do_not_meet(played, kind: KeyKind) -> None:
    async def scene(store: IdempotencyStore) -> None:
        mine = claim_of(kind)
        await store.claim(mine)
        await store.keep(mine, b"mine")
        other_kind: KeyKind = "implied" if kind == "given" else "given"
        for other in (claim_of(kind, B), claim_of(kind, api_key="key_2"), claim_of(other_kind)):
            assert await store.claim(other) == Claimed()
            await store.keep(other, b"theirs")
        assert await store.claim(mine) == KeptAnswer(mine.body_hmac, mine.request_id, b"mine")

    played(scene)
