"""Wrapped keys in a folder and in a bucket are kept alike: whole, once, and without copies.

The bucket is `tests/support/aws_server.py`, S3's real wire with conditional writes and versions.
"""

from __future__ import annotations

import asyncio
import dataclasses
import secrets
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.support import knowledge as support
from tests.support.aws_server import AwsServer

from tenantry.adapters.keys.key_bucket import KeyBucket
from tenantry.adapters.keys.key_folder import KeyFolder
from tenantry.adapters.objects.durable_file import DurableFiles
from tenantry.domain.document import Home
from tenantry.domain.errors import NotFound, Unavailable
from tenantry.domain.ids import TenantId
from tenantry.ports.key_files import KeyFiles

A, B = support.home(support.tenant("tnt_a")), support.home(support.tenant("tnt_b"))


@pytest.fixture(params=["folder", "bucket"])
def files(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    aws: AwsServer,
) -> Iterator[KeyFiles]:
    if request.param == "folder":
        yield KeyFolder(tmp_path / "accounts", DurableFiles())
        return
    point_at(aws, monkeypatch)
    yield KeyBucket(f"s3://{aws.bucket(bucket_name())}/wrapped/keys")


def point_at(aws: AwsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in aws.environment().items():
        monkeypatch.setenv(name, value)


def bucket_name() -> str:
    return f"keys-{secrets.token_hex(6)}"


def test_a_file_is_made_once_and_belongs_to_one_tenant(files: KeyFiles) -> None:
    async def run() -> None:
        assert await files.versions(A) == []
        with pytest.raises(NotFound):
            await files.read(A, 1)
        assert await files.create(A, 1, b"one")
        assert not await files.create(A, 1, b"two")
        for version in (10, 2):
            assert await files.create(A, version, b"%d" % version)
        assert await files.versions(A) == [1, 2, 10]
        assert await files.read(A, 1) == b"one"
        assert await files.versions(B) == []
        assert await files.versions(dataclasses.replace(A, account=support.SILO)) == []
        await files.check()
        assert await files.versions(A) == [1, 2, 10]

    asyncio.run(run())


def test_of_many_that_make_a_version_one_wins(files: KeyFiles) -> None:
    async def run() -> None:
        made = await asyncio.gather(*(files.create(A, 1, b"%d" % n) for n in range(8)))
        assert sum(made) == 1
        assert await files.read(A, 1) == b"%d" % made.index(True)

    asyncio.run(run())


def test_only_what_was_read_is_replaced(files: KeyFiles) -> None:
    async def run() -> None:
        await files.create(A, 1, b"old")
        assert not await files.replace(A, 1, b"another", b"new")
        assert await files.replace(A, 1, b"old", b"new")
        assert not await files.replace(A, 1, b"old", b"newer")
        assert await files.read(A, 1) == b"new"
        assert not await files.replace(A, 2, b"", b"new")
        assert await files.versions(A) == [1]
        both = [files.replace(A, 1, b"new", b"%d" % n) for n in range(6)]
        assert sum(await asyncio.gather(*both)) == 1

    asyncio.run(run())


def test_a_tenant_that_is_barred_stays_so(files: KeyFiles) -> None:
    async def run() -> None:
        await files.create(A, 1, b"a")
        assert not await files.barred(A)
        for _ in range(2):
            await files.bar(A)
            await files.remove(A)
        assert await files.barred(A)
        assert await files.versions(A) == []
        assert not await files.barred(B)
        assert await files.create(B, 1, b"b")

    asyncio.run(run())


def test_what_is_removed_is_gone_and_never_brought_back(files: KeyFiles) -> None:
    async def run() -> None:
        for version in range(1, 6):
            await files.create(A, version, b"a")
        await files.create(B, 1, b"b")
        await files.remove(A)
        await files.remove(A)
        assert await files.versions(A) == []
        with pytest.raises(NotFound):
            await files.read(A, 1)
        assert not await files.replace(A, 1, b"a", b"again")
        assert await files.versions(A) == []
        assert await files.read(B, 1) == b"b"

    asyncio.run(run())


@pytest.mark.parametrize("name", ["../tnt_a", "", ".", "a/b", "a\0b", "x" * 200])
def test_names_are_no_paths(files: KeyFiles, name: str) -> None:
    for home in (Home(TenantId(name), support.POOL), Home(TenantId("tnt_a"), name)):
        with pytest.raises(NotFound):
            asyncio.run(files.versions(home))
        with pytest.raises(NotFound):
            asyncio.run(files.create(home, 1, b"x"))


def test_a_removal_waits_for_a_replacement_and_wins(tmp_path: Path) -> None:
    """What compares, then writes, must not write after what it compared was removed."""
    files = KeyFolder(tmp_path, DurableFiles())

    def one(number: int) -> bool:
        home = Home(TenantId(f"tnt_{number}"), support.POOL)
        asyncio.run(files.create(home, 1, b"old"))
        with ThreadPoolExecutor(2) as threads:
            work = threads.submit(lambda: asyncio.run(files.replace(home, 1, b"old", b"new")))
            threads.submit(lambda: asyncio.run(files.remove(home))).result()
            work.result()
        return asyncio.run(files.versions(home)) == []

    assert all(one(number) for number in range(30))


def test_what_a_crash_left_half_written_is_removed_too(tmp_path: Path) -> None:
    files = KeyFolder(tmp_path, DurableFiles())
    asyncio.run(files.create(A, 1, b"a"))
    folder = tmp_path / A.account / "keys" / A.tenant_id
    (folder / ".tmp-0123").write_bytes(b"wrapped")
    assert asyncio.run(files.versions(A)) == [1]
    asyncio.run(files.remove(A))
    assert list(folder.iterdir()) == []


def test_a_bucket_that_keeps_versions_is_refused(
    aws: AwsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    point_at(aws, monkeypatch)
    bucket = aws.bucket(bucket_name(), versions=True)
    files = KeyBucket(f"s3://{bucket}")

    async def run() -> None:
        for refused in (files.create(A, 1, b"secret"), files.check()):
            with pytest.raises(Unavailable, match="keeps versions"):
                await refused
        assert await files.versions(A) == []

    asyncio.run(run())
    s3 = aws.client("s3")
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Suspended"})
    assert asyncio.run(files.create(A, 1, b"a"))
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    with pytest.raises(Unavailable, match="keeps versions"):
        asyncio.run(files.replace(A, 1, b"a", b"b"))
    assert asyncio.run(files.read(A, 1)) in (b"a", b"b"), "a key in use is never removed"


def test_a_bucket_that_is_not_there_is_an_outage(
    aws: AwsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    point_at(aws, monkeypatch)
    files = KeyBucket(f"s3://{bucket_name()}/x")

    async def run() -> None:
        for refused in (
            files.read(A, 1),
            files.versions(A),
            files.barred(A),
            files.remove(A),
            files.create(A, 1, b"a"),
            files.check(),
        ):
            with pytest.raises(Unavailable, match="bucket does not exist"):
                await refused

    asyncio.run(run())
