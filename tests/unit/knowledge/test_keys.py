"""Keys at rest and in memory: modes, bindings, bounds, disabling, destroying."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from tests.support import knowledge as support
from tests.support.local_keyring import LocalKeyring

from tenantry.adapters.keys import control_plane
from tenantry.adapters.keys.key_cache import KeyCache
from tenantry.adapters.keys.wrapped_key import kms_key_of
from tenantry.adapters.objects.durable_file import DurableFiles
from tenantry.domain.errors import Conflict, Corrupt, NotFound, Unavailable
from tenantry.domain.placement import NO_ACCOUNT
from tenantry.ports.keys import Purpose, Retirement, WrappedKey

A, B = support.home(support.tenant("tnt_a")), support.home(support.tenant("tnt_b"))
SILO = support.home(support.tenant("tnt_c", silo=True))


async def key(own: support.Parts, home: object, context: bytes = b"") -> bytes:
    return await own.keys.subkey(home, 1, Purpose.BLOB, context)


def test_subkeys_differ_by_tenant_purpose_and_context_and_stay(tmp_path: Path) -> None:
    async def run() -> None:
        own = support.parts(tmp_path)
        found = set()
        for home in (A, B, SILO):
            await own.keys.create(home)
            for purpose in Purpose:
                for context in (b"", b"1"):
                    found.add(await own.keys.subkey(home, 1, purpose, context))
        assert len(found) == 3 * len(Purpose) * 2
        await own.keys.create(A)
        assert await key(support.parts(tmp_path), A) == await key(own, A)

    asyncio.run(run())


def test_no_key_is_made_in_the_account_that_does_not_exist(tmp_path: Path) -> None:
    """Whose placement is told its account later leaves nothing behind: nothing could be sealed."""

    async def run() -> None:
        own = support.parts(tmp_path)
        homeless = type(A)("tnt_a", NO_ACCOUNT)
        for refused in (own.keys.create(homeless), own.keys.rotate(homeless)):
            with pytest.raises(Unavailable, match="no account yet"):
                await refused
        await own.keys.create(A)
        assert await key(own, A)

    asyncio.run(run())
    assert not (tmp_path / "accounts" / NO_ACCOUNT).exists()


def test_keys_lie_wrapped_in_folders_of_their_owner_alone(tmp_path: Path) -> None:
    async def run() -> None:
        own = support.parts(tmp_path)
        await own.keys.create(A)
        await own.keys.create(SILO)

    asyncio.run(run())
    accounts = tmp_path / "accounts"
    assert (accounts / support.POOL / "kms" / "shared.json").is_file()
    assert (accounts / support.SILO / "kms" / "own-tnt_c.json").is_file()
    assert (accounts / support.SILO / "keys" / "tnt_c" / "1.json").is_file()
    for path in accounts.rglob("*"):
        assert path.stat().st_mode & 0o777 == (0o700 if path.is_dir() else 0o600)
    (accounts / support.POOL / "kms" / "shared.json").chmod(0o640)
    with pytest.raises(Unavailable, match="0600"):
        asyncio.run(key(support.parts(tmp_path), A))


def test_a_wrapped_key_opens_for_its_own_tenant_only(tmp_path: Path) -> None:
    async def run() -> None:
        own = support.parts(tmp_path)
        await own.keys.create(A)
        await own.keys.create(B)
        folder = tmp_path / "accounts" / A.account / "keys"
        shutil.copyfile(folder / "tnt_b" / "1.json", folder / "tnt_a" / "1.json")
        with pytest.raises(Corrupt):
            await key(support.parts(tmp_path), A)
        stored = json.loads((folder / "tnt_b" / "1.json").read_text()) | {"tenant": "tnt_a"}
        changes = [{"kms_key": "other"}, {"format": 2}, {"wrapped": "AAAA"}, {"wrapped": 1}]
        for change in ({}, *changes):
            (folder / "tnt_a" / "1.json").write_text(json.dumps(stored | change))
            with pytest.raises((Corrupt, Unavailable)):
                await key(support.parts(tmp_path), A)

    asyncio.run(run())


def test_a_disabled_kms_key_stops_its_tenants_within_the_cache_s_time(tmp_path: Path) -> None:
    async def run() -> None:
        now = [0.0]
        own = support.parts(tmp_path)
        own.keys = LocalKeyring(
            tmp_path / "accounts", own.files, own.kms, lambda: now[0], cached_key_ttl_s=10
        )
        await own.keys.create(SILO)
        await own.keys.create(A)
        before = await key(own, SILO)
        await own.kms.set_enabled(SILO.account, kms_key_of(SILO), False)
        now[0] = 9.9
        assert await key(own, SILO) == before
        now[0] = 10.0
        with pytest.raises(Unavailable, match="disabled"):
            await key(own, SILO)
        assert await key(own, A)
        await own.kms.set_enabled(SILO.account, kms_key_of(SILO), True)
        assert await key(own, SILO) == before

    asyncio.run(run())


def test_a_destroyed_key_is_gone_for_good(tmp_path: Path) -> None:
    async def run() -> None:
        own = support.parts(tmp_path)
        await own.keys.create(A)
        await own.keys.create(B)
        await key(own, A)
        await own.keys.destroy(A)
        with pytest.raises(NotFound):
            await key(own, A)
        assert await key(own, B)

    asyncio.run(run())
    assert not list(tmp_path.glob("accounts/*/keys/tnt_a/*"))


def test_keys_of_the_first_release_open(tmp_path: Path) -> None:
    """Files as version 0.1 wrote them, and the subkey that it derived."""
    files = {
        f"{support.POOL}/kms/own-tnt_golden.json": {
            "format": 1,
            "key_id": "own-tnt_golden",
            "enabled": True,
            "key": "97ueIGQoxMXXp7GUNWXWDCbXrcPeGEHui85UbrdTC7A=",
        },
        f"{support.POOL}/keys/tnt_golden/1.json": {
            "format": 1,
            "tenant": "tnt_golden",
            "version": 1,
            "kms_key": "own-tnt_golden",
            "wrapped": "sqBU65NV1KbBSKGq58FpQklEHY/o65kvHp80U9xbDrIjQtpXsaaQhQVrn4vDsi6R"
            "heD5ojnnf0RI1wxx",
        },
    }
    for name, body in files.items():
        DurableFiles().create(tmp_path / "accounts" / name, json.dumps(body).encode())
    golden = type(A)("tnt_golden", support.POOL, own_kms_key=True)
    subkey = asyncio.run(key(support.parts(tmp_path), golden, b"x"))
    assert subkey.hex() == "5ab73c56b8aeac81a3e0fd41d052ea09030474b0fb56030c9edb4e28084763d2"


def test_nothing_makes_a_key_where_one_was_destroyed(tmp_path: Path) -> None:
    """Neither later, nor a process that had begun before; where there never was one, too."""

    async def run() -> None:
        own = support.parts(tmp_path)
        await own.keys.create(A)
        for home in (A, B):
            for _ in range(2):
                await own.keys.destroy(home)
            with pytest.raises(NotFound, match="shredded"):
                await support.parts(tmp_path).keys.create(home)
        slow = support.parts(tmp_path)
        wrap = slow.kms.wrap

        async def destroyed_meanwhile(*given: Any) -> WrappedKey:
            wrapped = await wrap(*given)
            await own.keys.destroy(SILO)
            return wrapped

        slow.kms.wrap = destroyed_meanwhile  # type: ignore[method-assign]
        with pytest.raises(NotFound, match="shredded"):
            await slow.keys.create(SILO)

    asyncio.run(run())
    assert list(tmp_path.glob("accounts/*/keys/*/*")) == []


def test_a_retired_kms_key_is_gone_at_once_and_for_good(tmp_path: Path) -> None:
    async def run() -> None:
        own = support.parts(tmp_path)
        await own.keys.create(SILO)
        await own.keys.create(A)
        path = tmp_path / "accounts" / support.SILO / "kms" / "own-tnt_c.json"
        secret = json.loads(path.read_text())["key"]
        for _ in range(2):
            found = await own.kms.retire(SILO.account, kms_key_of(SILO))
            assert found == Retirement(disabled=True, deletion_at=None)
        assert secret not in path.read_text()
        await own.kms.create(SILO.account, kms_key_of(SILO))  # takes nobody's name again
        with pytest.raises(Conflict, match="retired"):
            await own.kms.set_enabled(SILO.account, kms_key_of(SILO), True)
        with pytest.raises(Unavailable, match="retired"):
            await key(support.parts(tmp_path), SILO)
        with pytest.raises(Conflict, match="other tenants"):
            await own.kms.retire(A.account, kms_key_of(A))
        assert await key(own, A)

    asyncio.run(run())


def test_the_cache_is_bounded_and_zeroed() -> None:
    now = [0.0]
    cache = KeyCache(lambda: now[0], count_max=2, ttl_s=5)
    slots = [cache.put(f"tnt_{n}", 1, bytes([n + 1]) * 32) for n in range(3)]
    assert len(cache) == 2
    assert slots[0] == bytes(32)
    assert cache.get("tnt_0", 1) is None
    assert cache.get("tnt_2", 1) == bytes([3]) * 32
    now[0] = 5.0
    assert cache.get("tnt_1", 1) is None
    assert slots[1] == bytes(32)
    cache.put("tnt_9", 1, b"\1" * 32)
    cache.forget("tnt_9")
    cache.clear()
    assert len(cache) == 0
    assert slots[2] == bytes(32)


@pytest.mark.parametrize("name", ["../tnt_a", "", ".", "a/b", "a\0b", "x" * 200])
def test_names_are_no_paths(tmp_path: Path, name: str) -> None:
    own = support.parts(tmp_path)
    with pytest.raises((NotFound, Unavailable)):
        asyncio.run(own.keys.create(type(A)(name, support.POOL)))
    with pytest.raises((NotFound, Unavailable)):
        asyncio.run(own.keys.create(type(A)("tnt_a", name)))


def test_the_control_key_seals_and_is_made_once(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="not there"):
        control_plane.load(tmp_path / "c")

    def made_and_loaded(_: int) -> control_plane.ControlPlaneKey:
        control_plane.make(tmp_path / "c", DurableFiles())
        return control_plane.load(tmp_path / "c")

    with ThreadPoolExecutor(8) as threads:
        loaded = list(threads.map(made_and_loaded, range(16)))
    assert len({item.pepper for item in loaded}) == 1
    sealed = loaded[0].seal(b"secret", b"key_1")
    assert loaded[1].open(sealed, b"key_1") == b"secret"
    assert loaded[0].seal(b"secret", b"key_1") != sealed
    for changed, aad in ((sealed, b"key_2"), (sealed[:-1], b"key_1"), (b"", b"key_1")):
        with pytest.raises(Corrupt):
            loaded[0].open(changed, aad)
    assert (tmp_path / "c" / "key").stat().st_mode & 0o777 == 0o600
    assert loaded[0].pepper.hex() not in repr(loaded[0])
    (tmp_path / "c" / "key").write_bytes(b"short")
    with pytest.raises(Unavailable):
        control_plane.load(tmp_path / "c")


def test_files_are_whole_or_absent_and_counted(tmp_path: Path) -> None:
    files = DurableFiles()
    path = tmp_path / "new" / "file"
    assert files.create(path, b"one")
    assert (files.fsyncs.files, files.fsyncs.folders) == (1, 2)
    assert not files.create(path, b"two")
    assert path.read_bytes() == b"one"
    files.replace(path, b"three")
    assert path.read_bytes() == b"three"
    assert [item.name for item in path.parent.iterdir()] == ["file"]
    files.remove(path)
    files.remove(path)
    assert not path.exists()


def test_a_full_disk_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    files = DurableFiles()
    files.create(tmp_path / "old", b"kept")
    monkeypatch.setattr(os, "fsync", full)
    for write in (files.create, files.replace):
        with pytest.raises(Unavailable, match="disk is full"):
            write(tmp_path / "file", b"data")
    assert [item.name for item in tmp_path.iterdir()] == ["old"]
