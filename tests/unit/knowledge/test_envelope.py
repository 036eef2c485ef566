"""Sealed blobs and bindings: nothing crashes them, nothing can be moved, nothing shifts."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support import knowledge as support

from tenantry.adapters.sealed.sealer import TenantSealer
from tenantry.domain.envelope import (
    SALT_BYTES,
    BlobHeader,
    associated_data,
    unpack_blob,
)
from tenantry.domain.errors import Corrupt, Unavailable
from tenantry.domain.original import pack_original, unpack_original
from tenantry.ports.keys import Purpose

field = st.one_of(st.text(max_size=8), st.binary(max_size=8), st.integers(0, 2**64))
fields = st.lists(field, max_size=4)


@given(fields, fields)
def test_two_bindings_are_equal_only_if_all_their_fields_are(one: list, two: list) -> None:
    same = [(type(x), x) for x in one] == [(type(x), x) for x in two]
    assert (associated_data(*one) == associated_data(*two)) == same


@given(st.integers(0, 2**32 - 1), st.binary(min_size=SALT_BYTES, max_size=SALT_BYTES))
def test_blob_headers_come_back(version: int, salt: bytes) -> None:
    header = BlobHeader(version, salt)
    assert unpack_blob(header.pack() + bytes(16)) == header


@given(st.binary(max_size=120))
def test_any_bytes_are_a_blob_or_corrupt(data: bytes) -> None:
    for unpack in (unpack_blob, unpack_original):
        try:
            unpack(data)
        except Corrupt:
            continue


def test_blobs_open_for_their_tenant_kind_and_name_only(tmp_path: Path) -> None:
    async def run() -> None:
        own = support.parts(tmp_path)
        a, b = support.home(support.tenant("tnt_a")), support.home(support.tenant("tnt_b"))
        await own.keys.create(a)
        await own.keys.create(b)
        sealed = await own.sealer.seal(a, "jobs", "one", b"plain" * 99)
        assert b"plain" not in sealed
        assert await own.sealer.open(a, "jobs", "one", sealed) == b"plain" * 99
        assert await own.sealer.seal(a, "jobs", "one", b"plain" * 99) != sealed
        for home, kind, name in ((b, "jobs", "one"), (a, "results", "one"), (a, "jobs", "two")):
            with pytest.raises(Corrupt):
                await own.sealer.open(home, kind, name, sealed)
        for position in range(len(sealed)):
            changed = bytearray(sealed)
            changed[position] ^= 0x80
            with pytest.raises(Unavailable):  # Corrupt, or of a version that is not there
                await own.sealer.open(a, "jobs", "one", bytes(changed))
        digests = {
            await own.sealer.digest(home, purpose, b"same")
            for home in (a, b)
            for purpose in (Purpose.CONTENT_HMAC, Purpose.USER_HMAC)
        }
        assert len(digests) == 4

    asyncio.run(run())


def test_blobs_are_bound_even_where_two_tenants_share_a_key(tmp_path: Path) -> None:
    """The binding is a wall of its own, not only a consequence of the tenants' keys."""

    class OneKey:
        async def version(self, home: object) -> int:
            return 1

        async def subkey(self, *_: object) -> bytes:
            return bytes(32)

    async def run() -> None:
        sealer = TenantSealer(OneKey())
        a, b = support.home(support.tenant("tnt_a")), support.home(support.tenant("tnt_b"))
        sealed = await sealer.seal(a, "jobs", "one", b"plain")
        assert await sealer.open(a, "jobs", "one", sealed) == b"plain"
        for home, kind, name in ((b, "jobs", "one"), (a, "results", "one"), (a, "jobs", "two")):
            with pytest.raises(Corrupt):
                await sealer.open(home, kind, name, sealed)

    asyncio.run(run())


def test_originals_come_back() -> None:
    card = support.embedded("doc_1", ["x"], metadata={"a": ("x", "y"), "b": True, "c": 1.5}).card
    assert unpack_original(pack_original(card, b"\0data")) == (card, b"\0data")
