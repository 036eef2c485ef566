"""Rotation of tenant keys, and moving them between KMS keys, while everything stays readable."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from tests.support import knowledge as support
from tests.support.aws_server import ACCOUNT, KEYS, AwsServer
from tests.support.noted_keys import MemoryNotedKeys

from tenantry.adapters.keys.aws_kms import AwsKms
from tenantry.adapters.keys.either_kms import EitherKms
from tenantry.adapters.keys.key_folder import KeyFolder
from tenantry.adapters.keys.keyring import Keyring
from tenantry.adapters.keys.local_kms import LocalKms
from tenantry.adapters.objects.durable_file import DurableFiles
from tenantry.adapters.sealed.sealer import TenantSealer
from tenantry.domain.document import Home
from tenantry.domain.envelope import unpack_blob
from tenantry.domain.errors import Conflict, NotFound, Unavailable
from tenantry.domain.kms_arn import kms_arn
from tenantry.ports.keys import KmsKeys, Purpose

A, B = support.home(support.tenant("tnt_a")), support.home(support.tenant("tnt_b"))
OWN = dataclasses.replace(A, own_kms_key=True)
TTL_S = 60.0


class Worker:
    """One process of a deployment: a keyring with a clock of its own, over files of all."""

    def __init__(self, root: Path, kms: KmsKeys | None = None) -> None:
        self.now = 0.0
        self.files = KeyFolder(root / "accounts", DurableFiles())
        self.kms = kms or LocalKms(root / "accounts", DurableFiles())
        self.keys = Keyring(
            self.files, self.kms, MemoryNotedKeys(), lambda: self.now, cached_key_ttl_s=TTL_S
        )
        self.sealer = TenantSealer(self.keys)

    async def seal(self, home: Home, text: str) -> bytes:
        return await self.sealer.seal(home, "k", "o", text.encode())

    async def open(self, home: Home, sealed: bytes) -> str:
        return (await self.sealer.open(home, "k", "o", sealed)).decode()


def version_of(sealed: bytes) -> int:
    return unpack_blob(sealed).key_version


def test_a_new_version_seals_what_is_new_and_old_ones_open(tmp_path: Path) -> None:
    async def run() -> None:
        one, two = Worker(tmp_path), Worker(tmp_path)
        for home in (A, B):
            await one.keys.create(home)
        old, digest = await one.seal(A, "old"), await digest_of(one, A)
        assert await two.open(A, await two.seal(A, "its own")) == "its own"
        assert await one.keys.rotate(A) == 2
        new = await one.seal(A, "new")
        assert (version_of(old), version_of(new)) == (1, 2)
        # The other worker still seals with the version it knows, and opens either.
        assert version_of(await two.seal(A, "late")) == 1
        assert await two.open(A, new) == "new"
        two.now = TTL_S
        assert version_of(await two.seal(A, "later")) == 2
        for worker in (one, two, Worker(tmp_path)):
            assert [await worker.open(A, each) for each in (old, new)] == ["old", "new"]
            assert await digest_of(worker, A) == digest
        assert version_of(await one.seal(B, "b")) == 1
        with pytest.raises(Unavailable, match="does not have"):  # what it sealed would be lost
            await one.keys.subkey(B, 2, Purpose.BLOB, b"")
        await one.keys.destroy(A)
        for sealed in (old, new):
            with pytest.raises(NotFound):
                await Worker(tmp_path).open(A, sealed)
            with pytest.raises(NotFound):
                await one.open(A, sealed)

    asyncio.run(run())


async def digest_of(worker: Worker, home: Home) -> list[bytes]:
    purposes = (Purpose.CONTENT_HMAC, Purpose.USER_HMAC, Purpose.IDEMPOTENCY_HMAC)
    return [await worker.sealer.digest(home, purpose, b"same") for purpose in purposes]


def test_rotations_at_once_make_versions_that_all_open(tmp_path: Path) -> None:
    async def run() -> None:
        workers = [Worker(tmp_path) for _ in range(6)]
        await asyncio.gather(*(each.keys.create(A) for each in workers))
        made = await asyncio.gather(*(each.keys.rotate(A) for each in workers))
        known = [each.name.version for each in await workers[0].keys.versions(A)]
        assert known == list(range(1, max(made) + 1))
        sealed = [await each.seal(A, "x") for each in workers]
        assert {version_of(each) for each in sealed} == {max(made)}
        for each in sealed:
            assert await Worker(tmp_path).open(A, each) == "x"

    asyncio.run(run())


def test_a_tenant_without_a_key_gets_its_first_one(tmp_path: Path) -> None:
    async def run() -> None:
        worker = Worker(tmp_path)
        with pytest.raises(NotFound):
            await worker.keys.version(A)
        with pytest.raises(NotFound):
            await worker.keys.rewrap(A)
        assert await worker.keys.rotate(A) == 1
        assert await worker.open(A, await worker.seal(A, "x")) == "x"

    asyncio.run(run())


def test_versions_have_a_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tenantry.adapters.keys.keyring.VERSIONS_MAX", 2)

    async def run() -> None:
        worker = Worker(tmp_path)
        await worker.keys.create(A)
        assert await worker.keys.rotate(A) == 2
        with pytest.raises(Conflict, match="at most 2"):
            await worker.keys.rotate(A)

    asyncio.run(run())


class Struck(BaseException):
    """A process that ends between two of its effects, as by `kill -9`."""


class Doomed:
    """Key files whose process ends before its n-th effect."""

    def __init__(self, files: KeyFolder, left: int) -> None:
        self._files = files
        self.left = left

    def __getattr__(self, name: str) -> Callable[..., Awaitable[object]]:
        async def effect(*given: object) -> object:
            if name in ("create", "replace"):
                if self.left == 0:
                    raise Struck
                self.left -= 1
            done: object = await getattr(self._files, name)(*given)
            return done

        return effect


@pytest.mark.parametrize("steps", range(4))
def test_a_kill_between_any_two_steps_loses_nothing(tmp_path: Path, steps: int) -> None:
    """Two rotations and a move to a KMS key of the tenant's own are four effects."""

    async def run() -> None:
        worker = Worker(tmp_path)
        await worker.keys.create(A)
        sealed = await worker.seal(A, "before")
        doomed = Worker(tmp_path)
        doomed.keys._files = Doomed(doomed.files, steps)  # type: ignore[assignment]
        with pytest.raises(Struck):
            await doomed.keys.rotate(A)
            await doomed.keys.rotate(A)
            await doomed.keys.rewrap(OWN)
        again = Worker(tmp_path)
        assert await again.open(A, sealed) == "before"
        assert await again.open(OWN, await again.seal(OWN, "after")) == "after"
        await again.keys.rewrap(OWN)
        assert {each.name.kms_key for each in await again.keys.versions(A)} == {"own-tnt_a"}
        assert await again.keys.rewrap(OWN) == 0, "a second time moves nothing"
        assert await Worker(tmp_path).open(OWN, sealed) == "before"

    asyncio.run(run())


def test_a_move_between_kms_keys_and_back_touches_no_content(tmp_path: Path) -> None:
    async def run() -> None:
        worker, kms = Worker(tmp_path), LocalKms(tmp_path / "accounts", DurableFiles())
        await worker.keys.create(A)
        await worker.keys.create(B)
        sealed, others = await worker.seal(A, "x"), await worker.seal(B, "y")
        assert await worker.keys.rotate(OWN) == 2  # a new version goes to the new KMS key alone
        named = [each.name.kms_key for each in await worker.keys.versions(A)]
        assert named == ["shared", "own-tnt_a"]
        assert await worker.keys.rewrap(OWN) == 1
        await kms.set_enabled(A.account, "shared", False)
        assert await Worker(tmp_path).open(OWN, sealed) == "x"
        with pytest.raises(Unavailable, match="disabled"):
            await Worker(tmp_path).open(B, others)
        await kms.set_enabled(A.account, "shared", True)
        assert await worker.keys.rewrap(A) == 2
        await kms.retire(A.account, "own-tnt_a")
        assert await Worker(tmp_path).open(A, sealed) == "x"
        assert await Worker(tmp_path).open(B, others) == "y"

    asyncio.run(run())


def test_every_own_kms_key_that_wrapped_it_stays_known(tmp_path: Path, aws: AwsServer) -> None:
    """Moved off and on again, and to another KMS: no move forgets what an earlier one noted."""
    home = dataclasses.replace(A, account=ACCOUNT)
    own, local = dataclasses.replace(home, own_kms_key=True), LocalKms(tmp_path, DurableFiles())
    remote = AwsKms(kms_arn(aws.kms_key()), {ACCOUNT: KEYS}, endpoint_url=aws.url)
    here, there = (EitherKms(local, remote, uses_aws=used) for used in (False, True))

    async def former(worker: Worker, home: Home) -> list[list[str]]:
        await worker.keys.rewrap(home)
        return [list(each.former) for each in await worker.keys.versions(home)]

    async def run() -> None:
        in_aws, on_disk = Worker(tmp_path, there), Worker(tmp_path, here)
        await in_aws.keys.create(own)
        [arn] = [str(each.arn) for each in await in_aws.keys.versions(own)]
        assert await former(in_aws, home) == [[arn]], "shared by now"
        assert await former(in_aws, own) == [[]], "it is in use again"
        assert await former(on_disk, own) == [[arn]]
        assert await former(on_disk, home) == [[arn]]
        assert await in_aws.keys.rotate(home) == 2
        assert await former(in_aws, home) == [[arn], []]
        assert await in_aws.open(home, await on_disk.seal(home, "x")) == "x"

    asyncio.run(run())
    here.close()


def test_a_shred_in_the_middle_of_a_move_stays_a_shred(tmp_path: Path) -> None:
    async def run() -> None:
        worker = Worker(tmp_path)
        await worker.keys.create(A)

        class Shredding(LocalKms):
            async def wrap(self, *given: object) -> object:  # type: ignore[override]
                await Worker(tmp_path).keys.destroy(A)
                return await super().wrap(*given)  # type: ignore[arg-type]

        moving = Worker(tmp_path, Shredding(tmp_path / "accounts", DurableFiles()))
        with pytest.raises(NotFound):
            await moving.keys.rewrap(OWN)
        assert await worker.keys.versions(A) == []

    asyncio.run(run())


def test_a_kms_key_that_wraps_but_does_not_open_is_refused_at_once(tmp_path: Path) -> None:
    """Else what is sealed from then on could not be opened."""

    class OneWay(LocalKms):
        async def unwrap(self, *_: object) -> bytes:
            raise Unavailable("AWS KMS does not let us use the KMS key.")

    async def run() -> None:
        worker = Worker(tmp_path)
        await worker.keys.create(A)
        one_way = Worker(tmp_path, OneWay(tmp_path / "accounts", DurableFiles()))
        for refused in (one_way.keys.rotate(A), one_way.keys.create(B)):
            with pytest.raises(Unavailable, match="does not let us"):
                await refused
        assert [each.name.version for each in await worker.keys.versions(A)] == [1]
        assert await worker.keys.versions(B) == []

    asyncio.run(run())


def test_from_this_machine_to_aws_kms_and_back(tmp_path: Path, aws: AwsServer) -> None:
    local = LocalKms(tmp_path / "accounts", DurableFiles())
    remote = AwsKms(kms_arn(aws.kms_key()), {ACCOUNT: KEYS}, endpoint_url=aws.url)
    here, there = (EitherKms(local, remote, uses_aws=used) for used in (False, True))
    shared = dataclasses.replace(A, account=ACCOUNT)
    own = dataclasses.replace(B, account=ACCOUNT, own_kms_key=True)

    async def run() -> None:
        before = Worker(tmp_path, here)
        sealed = {}
        for home in (shared, own):
            await before.keys.create(home)
            sealed[home] = await before.seal(home, "x")
        moved = Worker(tmp_path, there)  # the same deployment, started with the new setting
        for home in (shared, own):
            assert await moved.open(home, sealed[home]) == "x"
            assert await moved.keys.rotate(home) == 2
            assert await moved.keys.rewrap(home) == 1
            assert all(each.arn for each in await moved.keys.versions(home))
        await local.set_enabled(ACCOUNT, "shared", False)
        for home in (shared, own):
            assert await Worker(tmp_path, there).open(home, sealed[home]) == "x"
        await local.set_enabled(ACCOUNT, "shared", True)
        in_aws = {str(each.arn) for each in await moved.keys.versions(own)}
        for home in (shared, own):
            assert await Worker(tmp_path, here).keys.rewrap(home) == 2
        # What wraps it no more is known: nothing says any longer where to look for it.
        assert all(not each.former for each in await moved.keys.versions(shared))
        assert {arn for each in await moved.keys.versions(own) for arn in each.former} == in_aws
        left = await here.retire(ACCOUNT, "own-tnt_never")
        assert left is None
        found = await here.retire(ACCOUNT, "own-tnt_b", in_aws)  # in both places
        assert found is not None and found.deletion_at is not None
        assert await there.retire(ACCOUNT, "own-tnt_b") == found
        states = {
            aws.client("kms").describe_key(KeyId=arn)["KeyMetadata"]["KeyState"] for arn in in_aws
        }
        assert states == {"PendingDeletion"}
        with pytest.raises(Unavailable, match="retired"):
            await Worker(tmp_path, here).open(own, sealed[own])
        assert await Worker(tmp_path, here).open(shared, sealed[shared]) == "x"

    asyncio.run(run())
    here.close()


def test_files_of_keys_say_nothing_that_opens_them(tmp_path: Path) -> None:
    async def run() -> list[bytes]:
        worker = Worker(tmp_path)
        await worker.keys.create(A)
        await worker.keys.rotate(A)
        assert repr((await worker.keys.versions(A))[0]).count("wrapped") == 0
        return [await worker.keys._open(A, version) for version in (1, 2)]

    opened = asyncio.run(run())
    assert opened[0] != opened[1]
    for path in tmp_path.glob("accounts/*/keys/tnt_a/*.json"):
        body = json.loads(path.read_text())
        assert set(body) == {"format", "tenant", "version", "kms_key", "wrapped"}
        assert not any(key.hex() in path.read_text() for key in opened)
