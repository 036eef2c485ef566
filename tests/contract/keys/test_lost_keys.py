"""A tenant key that was used and is not there is an outage: no other is made in its place.

Over a folder and over a bucket, with the local keyring and with AWS KMS; what is noted is held in
memory, as PostgreSQL holds it (`tests/integration/shred/test_noted_keys.py`).
"""

from __future__ import annotations

import asyncio
import dataclasses
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support import knowledge as support
from tests.support.aws_server import ACCOUNT, KEYS, AwsServer
from tests.support.noted_keys import MemoryNotedKeys

from tenantry.adapters.keys.aws_kms import AwsKms
from tenantry.adapters.keys.key_bucket import KeyBucket
from tenantry.adapters.keys.key_folder import KeyFolder
from tenantry.adapters.keys.keyring import Keyring
from tenantry.adapters.keys.labels import TenantLabels
from tenantry.adapters.keys.local_kms import LocalKms
from tenantry.adapters.keys.used_keys import ANOTHER, LOST
from tenantry.adapters.objects.durable_file import DurableFiles
from tenantry.adapters.sealed.sealer import TenantSealer
from tenantry.domain.document import Home
from tenantry.domain.errors import NotFound, Unavailable
from tenantry.domain.kms_arn import kms_arn
from tenantry.ports.key_files import KeyFiles
from tenantry.ports.keys import KmsKeys, Purpose

A, B = (
    dataclasses.replace(support.home(support.tenant(name)), account=ACCOUNT)
    for name in ("tnt_a", "tnt_b")
)


@dataclasses.dataclass
class Place:
    """A KMS, and key stores that are made empty; one database for all of them."""

    kms: KmsKeys
    store: Callable[[], KeyFiles]
    noted: MemoryNotedKeys = dataclasses.field(default_factory=MemoryNotedKeys)

    def worker(self, files: KeyFiles) -> Keyring:
        """As after a start: nothing is in its memory."""
        return Keyring(files, self.kms, self.noted, lambda: 0.0)


@pytest.fixture(params=["local", "aws"])
def place(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    aws: AwsServer,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Place]:
    if request.param == "local":
        kms = LocalKms(tmp_path / "accounts", DurableFiles())
        asyncio.run(kms.create(ACCOUNT, "shared"))
        yield Place(kms, lambda: KeyFolder(tmp_path / secrets.token_hex(4), DurableFiles()))
        return
    for name, value in aws.environment().items():
        monkeypatch.setenv(name, value)
    remote = AwsKms(kms_arn(aws.kms_key()), {ACCOUNT: KEYS}, endpoint_url=aws.url)

    def bucket() -> KeyFiles:
        return KeyBucket(f"s3://{aws.bucket(f'lost-{secrets.token_hex(6)}')}/tenantry")

    yield Place(remote, bucket)
    remote.close()


async def lacks(files: KeyFiles, home: Home, version: int) -> KeyFiles:
    """The same key store without one version."""
    kept = {each: await files.read(home, each) for each in await files.versions(home)}
    await files.remove(home)
    for each, data in kept.items():
        if each != version:
            await files.create(home, each, data)
    return files


async def digest(keys: Keyring, home: Home) -> bytes:
    return await TenantSealer(keys).digest(home, Purpose.USER_HMAC, b"anna")


@pytest.mark.parametrize("gone", ["wrong store", "deleted"])
def test_what_was_used_is_missed_and_never_replaced(place: Place, gone: str) -> None:
    async def run() -> None:
        right = place.store()
        one = place.worker(right)
        for home in (A, B):
            await one.create(home)
        sealed = await TenantSealer(one).seal(A, "k", "o", b"text")
        await digest(one, A)
        await digest(one, B)
        there = await right.read(A, 1)
        wrong = place.store() if gone == "wrong store" else await lacks(right, A, 1)
        two = place.worker(wrong)
        labels = TenantLabels(TenantSealer(two), two)
        who: Any = support.principal(dataclasses.replace(support.tenant("tnt_a")))
        for refused in (
            two.create(A),
            two.rotate(A),
            two.rewrap(A),
            two.version(A),
            two.check(A),
            digest(two, A),
            TenantSealer(two).seal(A, "k", "o", b"more"),
            TenantSealer(two).open(A, "k", "o", sealed),
        ):
            with pytest.raises(Unavailable) as told:
                await refused
            assert told.value.message == LOST
        with pytest.raises(Unavailable):
            await labels.user_hash(_at_account(who), "anna")
        assert await wrong.versions(A) == []
        if gone == "deleted":
            assert await digest(place.worker(wrong), B)
            await wrong.create(A, 1, there)  # it is brought back
        again = place.worker(right)
        assert await TenantSealer(again).open(A, "k", "o", sealed) == b"text"
        assert await digest(again, A) == await digest(one, A)

    asyncio.run(run())


def _at_account(who: Any) -> Any:
    placement = dataclasses.replace(who.tenant.placement, account=ACCOUNT)
    return dataclasses.replace(who, tenant=dataclasses.replace(who.tenant, placement=placement))


def test_a_key_of_another_store_is_not_used(place: Place) -> None:
    """As one that was made where the settings named another store for a while."""

    async def run() -> None:
        right, wrong = place.store(), place.store()
        before = await _used(place, right, A)
        stray = Place(place.kms, place.store)  # what noted nothing of it
        await _used(stray, wrong, A)
        two = place.worker(wrong)
        for refused in (digest(two, A), two.check(A), TenantSealer(two).seal(A, "k", "o", b"x")):
            with pytest.raises(Unavailable) as told:
                await refused
            assert told.value.message == ANOTHER
        assert await digest(place.worker(right), A) == before
        assert await _used(place, wrong, B)

    asyncio.run(run())


async def _used(place: Place, files: KeyFiles, home: Home) -> bytes:
    keys = place.worker(files)
    await keys.create(home)
    return await digest(keys, home)


def test_a_version_that_a_rotation_made_is_missed_too(place: Place) -> None:
    async def run() -> None:
        files = place.store()
        one = place.worker(files)
        await one.create(A)
        await digest(one, A)
        assert await one.rotate(A) == 2
        sealed = await TenantSealer(one).seal(A, "k", "o", b"text")
        assert set(place.noted.noted) == {(A.tenant_id, 1), (A.tenant_id, 2)}
        two = place.worker(await lacks(files, A, 2))
        assert await two.missing(A) == [2]
        for refused in (two.rotate(A), two.rewrap(A), TenantSealer(two).open(A, "k", "o", sealed)):
            with pytest.raises(Unavailable) as told:
                await refused
            assert told.value.message == LOST
        assert await files.versions(A) == [1]
        # A database of before the rotation knows nothing of it, and what was sealed does.
        del place.noted.noted[A.tenant_id, 2]
        with pytest.raises(Unavailable, match=LOST):
            await TenantSealer(place.worker(files)).open(A, "k", "o", sealed)

    asyncio.run(run())


def test_of_many_that_begin_at_once_all_use_one_key(place: Place) -> None:
    async def run() -> None:
        files = place.store()
        workers = [place.worker(files) for _ in range(6)]

        async def begun(keys: Keyring) -> bytes:
            try:
                return await digest(keys, A)
            except NotFound:
                await keys.create(A)
                return await digest(keys, A)

        assert len(set(await asyncio.gather(*map(begun, workers)))) == 1
        assert list(place.noted.noted) == [(A.tenant_id, 1)]

    asyncio.run(run())


class _Died(BaseException):
    """The process ended here, as far as the world can tell."""


@pytest.mark.parametrize("step", ["made", "noting", "noted"])
def test_a_death_between_any_two_steps_locks_nobody_out(place: Place, step: str) -> None:
    class Dying(MemoryNotedKeys):
        async def note(self, *given: Any) -> bytes | None:
            if step == "noted":
                await place.noted.note(*given)
            raise _Died

    async def run() -> None:
        files = place.store()
        one = Keyring(files, place.kms, place.noted if step == "made" else Dying(), lambda: 0.0)
        await one.create(A)
        if step != "made":
            with pytest.raises(_Died):
                await digest(one, A)
        found = await digest(place.worker(files), A)
        assert await digest(place.worker(files), A) == found
        assert await files.versions(A) == [1]

    asyncio.run(run())


def test_a_key_that_was_never_used_is_made_again(place: Place) -> None:
    """Nothing is lost with it: the tenant goes on."""

    async def run() -> None:
        files = place.store()
        await place.worker(files).create(A)
        await lacks(files, A, 1)
        assert await _used(place, files, A)

    asyncio.run(run())


def test_of_a_home_of_before_what_is_there_is_noted_and_what_is_not_is_missed(
    place: Place,
) -> None:
    async def run() -> None:
        files = place.store()
        for home in (A, B):
            await place.worker(files).create(home)
            place.noted.noted[home.tenant_id, 1] = None  # as the migration notes it
        await lacks(files, B, 1)
        with pytest.raises(Unavailable, match=LOST):
            await place.worker(files).create(B)
        assert await digest(place.worker(files), A)
        assert place.noted.noted[A.tenant_id, 1] is not None

    asyncio.run(run())


def test_a_shredded_tenants_key_is_gone_and_not_lost(place: Place) -> None:
    async def run() -> None:
        files = place.store()
        await _used(place, files, A)
        keys = place.worker(files)
        await keys.destroy(A)
        for refused in (keys.create(A), keys.version(A), digest(keys, A), keys.rotate(A)):
            with pytest.raises(NotFound, match="shredded"):
                await refused
        await keys.create(B)
        place.noted.shredded.add(B.tenant_id)  # by another process, a moment ago
        with pytest.raises(NotFound, match="shredded"):
            await digest(keys, B)

    asyncio.run(run())


def test_the_database_is_asked_once_for_a_key_and_process(place: Place) -> None:
    async def run() -> None:
        now = 0.0
        files = place.store()
        await place.worker(files).create(A)
        keys = Keyring(files, place.kms, place.noted, lambda: now, cached_key_ttl_s=60.0)
        place.noted.asked = 0
        for _ in range(3):
            await digest(keys, A)
            await keys.check(A)
            now += 60.0
        assert place.noted.asked == 1

    asyncio.run(run())
