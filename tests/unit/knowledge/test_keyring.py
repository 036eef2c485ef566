"""Opened keys are bounded in time and use, and what was opened with them does not outlive them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
from tests.support import knowledge as support
from tests.support.noted_keys import MemoryNotedKeys

from tenantry.adapters.keys.key_cache import KeyCache
from tenantry.adapters.keys.key_folder import KeyFolder
from tenantry.adapters.keys.keyring import IDLE_MAX_S, Keyring
from tenantry.adapters.keys.local_kms import LocalKms
from tenantry.adapters.objects.durable_file import DurableFiles
from tenantry.adapters.sealed.partitions import SealedPartitions
from tenantry.domain.document import Home
from tenantry.domain.errors import NotFound, Unavailable
from tenantry.domain.ids import DocumentId
from tenantry.ports.keys import Purpose, WrappedKey
from tenantry.ports.vectors import Query

A, B = (support.home(support.tenant(f"tnt_{name}", silo=True)) for name in "ab")
TTL_S = 60.0


class CountingKms(LocalKms):
    """Counts how often it was asked to open a key; waits where a test holds it."""

    def __init__(self, accounts: Path) -> None:
        super().__init__(accounts, DurableFiles())
        self.opened = 0
        self.asked = asyncio.Event()
        self.held: asyncio.Event | None = None

    async def unwrap(self, account: str, wrapped: WrappedKey) -> bytes:
        self.opened += 1
        self.asked.set()
        if self.held is not None:
            await self.held.wait()
        return await super().unwrap(account, wrapped)


class Worker:
    def __init__(self, root: Path, **options: Any) -> None:
        self.now = 0.0
        self.kms = CountingKms(root / "accounts")
        self.keys = Keyring(
            KeyFolder(root / "accounts", DurableFiles()),
            self.kms,
            MemoryNotedKeys(),
            lambda: self.now,
            cached_key_ttl_s=TTL_S,
            **options,
        )
        self.lost: list[str] = []
        self.keys.on_loss(self.lost.append)

    async def started(self, *homes: Home) -> None:
        for home in homes:
            await self.keys.create(home)
        self.kms.opened = 0
        self.kms.asked.clear()

    async def use(self, home: Home = A) -> bytes:
        return await self.keys.subkey(home, 1, Purpose.BLOB, b"")

    async def switch(self, home: Home, enabled: bool) -> None:
        await self.kms.set_enabled(home.account, f"own-{home.tenant_id}", enabled)


def play(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(work())


def test_a_key_is_opened_once_for_its_time_and_its_uses(tmp_path: Path) -> None:
    async def run() -> None:
        worker = Worker(tmp_path, cached_key_uses_max=3)
        await worker.started(A)
        assert len({await worker.use() for _ in range(4)}) == 1
        assert worker.kms.opened == 1  # for the first use, and three that follow
        await worker.use()
        assert worker.kms.opened == 2
        worker.now = TTL_S
        await worker.use()
        assert worker.kms.opened == 3

    play(run)


def test_many_that_ask_at_once_ask_the_kms_once(tmp_path: Path) -> None:
    async def run() -> None:
        worker = Worker(tmp_path)
        await worker.started(A, B)
        found = await asyncio.gather(*(worker.use() for _ in range(20)), worker.use(B))
        assert len(set(found)) == 2
        assert worker.kms.opened == 2

    play(run)


def test_the_time_runs_from_when_the_kms_was_asked(tmp_path: Path) -> None:
    async def run() -> None:
        worker = Worker(tmp_path)
        await worker.started(A)
        worker.kms.held = asyncio.Event()
        using = asyncio.create_task(worker.use())
        await worker.kms.asked.wait()
        worker.now = TTL_S - 1
        worker.kms.held.set()
        await using
        await worker.use()
        assert worker.kms.opened == 1
        worker.now = TTL_S
        await worker.use()
        assert worker.kms.opened == 2

    play(run)


def test_what_is_forgotten_while_it_opens_does_not_come_back(tmp_path: Path) -> None:
    async def run() -> None:
        worker = Worker(tmp_path)
        await worker.started(A)
        worker.kms.held = asyncio.Event()
        using = asyncio.create_task(worker.use())
        await worker.kms.asked.wait()
        await worker.keys.destroy(A)
        worker.kms.held.set()
        await using  # it began before
        with pytest.raises(NotFound):
            await worker.use()

    play(run)


def test_one_that_goes_away_does_not_fail_the_others(tmp_path: Path) -> None:
    async def run() -> None:
        worker = Worker(tmp_path)
        await worker.started(A)
        worker.kms.held = asyncio.Event()
        first, second = (asyncio.create_task(worker.use()) for _ in range(2))
        await worker.kms.asked.wait()
        first.cancel()
        worker.kms.held.set()
        assert len(await second) == 32
        with pytest.raises(asyncio.CancelledError):
            await first

    play(run)


def test_a_check_costs_nothing_while_the_key_may_be_used(tmp_path: Path) -> None:
    async def run() -> None:
        worker = Worker(tmp_path)
        await worker.started(A, B)
        for _ in range(5):
            await worker.keys.check(A)
        assert worker.kms.opened == 1
        await worker.switch(A, False)
        worker.now = TTL_S - 0.1
        await worker.keys.check(A)
        worker.now = TTL_S
        for _ in range(2):
            with pytest.raises(Unavailable, match="disabled"):
                await worker.keys.check(A)
        assert worker.lost == [A.tenant_id] * 2
        await worker.keys.check(B)
        await worker.switch(A, True)
        await worker.keys.check(A)

    play(run)


def test_each_version_needs_its_own_kms_key(tmp_path: Path) -> None:
    """After a move to another KMS key without `rewrap`, the old one still guards what it wraps."""

    async def run() -> None:
        worker = Worker(tmp_path)
        await worker.started(A)
        moved = Home(A.tenant_id, A.account, own_kms_key=False)
        assert await worker.keys.rotate(moved) == 2
        await worker.keys.check(moved)
        await worker.switch(A, False)
        worker.now = TTL_S
        with pytest.raises(Unavailable, match="disabled"):
            await worker.keys.check(moved)
        await worker.switch(A, True)
        await worker.keys.rewrap(moved)
        await worker.switch(A, False)
        worker.now *= 2
        await worker.keys.check(moved)

    play(run)


def test_open_content_is_lost_though_nobody_asks(tmp_path: Path) -> None:
    async def run() -> None:
        worker = Worker(tmp_path)
        await worker.started(A, B)
        for home in (A, B):
            await worker.keys.check(home)
        await worker.switch(A, False)
        worker.now = TTL_S - 20
        await worker.keys.renew(ahead_s=30)  # asked early; what still holds is not taken away
        assert worker.lost == []
        assert worker.kms.opened == 4
        worker.now = TTL_S
        await worker.keys.renew(ahead_s=30)
        assert worker.lost == [A.tenant_id]
        await worker.keys.renew()
        assert worker.kms.opened == 5, "B was renewed, and A is not asked for again"

    play(run)


def test_content_that_nobody_asks_for_is_closed(tmp_path: Path) -> None:
    async def run() -> None:
        worker = Worker(tmp_path)
        await worker.started(A, B)
        for home in (A, B):
            await worker.keys.check(home)
        worker.now = IDLE_MAX_S
        await worker.keys.check(B)
        worker.now += 1
        await worker.keys.renew()
        assert worker.lost == [A.tenant_id]

    play(run)


def test_the_tenants_with_open_content_are_bounded(tmp_path: Path) -> None:
    async def run() -> None:
        worker = Worker(tmp_path, cached_keys_max=2)
        homes = [support.home(support.tenant(f"tnt_{n}")) for n in range(3)]
        await worker.started(*homes)
        for home in homes:
            await worker.keys.check(home)
        assert worker.lost == ["tnt_0"]
        await worker.keys.check(homes[0])

    play(run)


def test_slots_are_zeroed_though_nobody_asks() -> None:
    now = [0.0]
    cache = KeyCache(lambda: now[0], ttl_s=5, uses_max=1)
    slot = cache.put("tnt_a", 1, b"\1" * 32)
    assert cache.holds("tnt_a", 1, for_s=4.9)
    assert not cache.holds("tnt_a", 1, for_s=5)
    assert cache.get("tnt_a", 1) == b"\1" * 32
    assert cache.get("tnt_a", 1) is None
    assert slot == bytes(32)
    slot = cache.put("tnt_a", 1, b"\1" * 32, opened_at=-1.0)
    now[0] = 4.0
    cache.expire()
    assert (len(cache), slot) == (0, bytearray(32))


def test_open_segments_are_zeroed_with_their_key(tmp_path: Path) -> None:
    """The partition over a keyring: two tenants, one of which loses its KMS key."""

    async def run() -> None:
        worker, own = Worker(tmp_path), support.parts(tmp_path)
        own.keys = worker.keys  # type: ignore[assignment]
        partitions = support.partitions(own, support.MemoryManifest())
        worker.keys.on_loss(partitions.forget)
        await worker.started(A, B)
        for home in (A, B):
            await published(partitions, home)
            assert await found(partitions, home) == [f"apples of {home.tenant_id}"]
        both = partitions.open_bytes
        await worker.switch(A, False)
        worker.now = TTL_S - 1
        assert await found(partitions, A) == ["apples of tnt_a"]
        worker.now = TTL_S
        await worker.keys.renew()
        assert 0 < partitions.open_bytes < both
        for read in (found(partitions, A), partitions.cards(A, frozenset({document(A)}))):
            with pytest.raises(Unavailable, match="disabled"):
                await read
        assert await found(partitions, B) == ["apples of tnt_b"]
        assert partitions.open_bytes < both
        await worker.switch(A, True)
        assert await found(partitions, A) == ["apples of tnt_a"]
        assert partitions.open_bytes == both
        partitions.close()
        worker.keys.close()

    play(run)


def document(home: Home) -> DocumentId:
    return DocumentId(f"doc_{home.tenant_id}")


async def published(partitions: SealedPartitions, home: Home) -> None:
    manifest: Any = partitions._manifest
    row = support.row(document(home))
    await manifest.insert(home.tenant_id, row, support.UNLIMITED, support.LEASE_S)
    content = support.embedded(document(home), [f"apples of {home.tenant_id}"])
    assert await partitions.publish(home, content)


def found(partitions: SealedPartitions, home: Home) -> Awaitable[list[str]]:
    async def texts() -> list[str]:
        query = Query(support.vector_of("apples", support.DIMENSIONS), "apples")
        passages = await partitions.search(home, support.MODEL, query, 5, lambda _: True)
        return [passage.text for passage in passages]

    return texts()
