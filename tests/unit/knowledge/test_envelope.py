"""The sealed formats: nothing crashes them, nothing can be moved, nothing shifts in a binding."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st
from tests.support import knowledge as support

from tenantry.adapters.sealed import kernel
from tenantry.adapters.sealed.frames import Binding, open_planes, seal_planes
from tenantry.adapters.sealed.sealer import TenantSealer
from tenantry.adapters.sealed.segment import from_document, from_planes, merged, to_planes
from tenantry.domain import envelope
from tenantry.domain.envelope import (
    SALT_BYTES,
    BlobHeader,
    PlaneEntry,
    SegmentHeader,
    associated_data,
    frame_nonce,
    unpack_blob,
    unpack_segment,
)
from tenantry.domain.errors import Corrupt, NotFound
from tenantry.domain.original import pack_original, unpack_original
from tenantry.ports.keys import Purpose

field = st.one_of(st.text(max_size=8), st.binary(max_size=8), st.integers(0, 2**64))
fields = st.lists(field, max_size=4)
BINDING = Binding("tnt_a", "seg_1", 7)


@given(fields, fields)
def test_two_bindings_are_equal_only_if_all_their_fields_are(one: list, two: list) -> None:
    same = [(type(x), x) for x in one] == [(type(x), x) for x in two]
    assert (associated_data(*one) == associated_data(*two)) == same


@given(st.integers(0, 2**32 - 1), st.binary(min_size=SALT_BYTES, max_size=SALT_BYTES))
def test_blob_headers_come_back(version: int, salt: bytes) -> None:
    header = BlobHeader(version, salt)
    assert unpack_blob(header.pack() + bytes(16)) == header


@given(st.one_of(st.binary(max_size=120), st.binary(max_size=90).map(lambda b: b"TNS1" + b)))
def test_any_bytes_are_a_segment_or_corrupt(data: bytes) -> None:
    for unpack in (unpack_blob, unpack_segment, unpack_original):
        try:
            unpack(data)
        except Corrupt:
            continue


@given(
    st.dictionaries(st.integers(0, 9), st.binary(max_size=300), max_size=5),
    st.integers(1, 100),
)
def test_planes_come_back_through_frames_of_any_size(planes: dict, frame: int) -> None:
    cipher = AESGCM(bytes(32))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(envelope, "FRAME_PLAIN_BYTES", frame)
        patch.setattr("tenantry.adapters.sealed.frames.FRAME_PLAIN_BYTES", frame)
        sealed = seal_planes(cipher, BINDING, 1, planes)
        assert {k: bytes(v) for k, v in open_planes(cipher, BINDING, sealed).items()} == planes


@given(st.data())
def test_every_changed_byte_and_every_other_binding_is_corrupt(data: st.DataObject) -> None:
    cipher = AESGCM(bytes(32))
    sealed = bytearray(seal_planes(cipher, BINDING, 1, {1: b"vectors", 3: b"texts"}))
    position = data.draw(st.integers(0, len(sealed) - 1))
    sealed[position] ^= data.draw(st.integers(1, 255))
    with pytest.raises(Corrupt):
        open_planes(cipher, BINDING, bytes(sealed))


def test_tenant_segment_and_generation_are_bound() -> None:
    cipher = AESGCM(bytes(32))
    sealed = seal_planes(cipher, BINDING, 1, {1: b"x"})
    for other in (
        Binding("tnt_b", "seg_1", 7),
        Binding("tnt_a", "seg_2", 7),
        Binding("tnt_a", "seg_1", 8),
    ):
        with pytest.raises(Corrupt):
            open_planes(cipher, other, sealed)
    with pytest.raises(Corrupt):
        open_planes(AESGCM(bytes(31) + b"1"), BINDING, sealed)
    assert bytes(open_planes(cipher, BINDING, sealed)[1]) == b"x"


def test_frames_cannot_change_places() -> None:
    cipher = AESGCM(bytes(32))
    sealed = seal_planes(cipher, BINDING, 1, {1: b"same", 2: b"size"})
    head = len(sealed) - 2 * 20
    first, second = sealed[head : head + 20], sealed[head + 20 :]
    with pytest.raises(Corrupt):
        open_planes(cipher, BINDING, sealed[:head] + second + first)


def test_plane_frame_and_header_are_bound_beside_the_nonce() -> None:
    bindings = {
        BINDING.frame(header, plane, number)
        for header in (b"a", b"b")
        for plane in (1, 2)
        for number in (0, 1)
    }
    assert len(bindings) == 8


def test_nonces_differ_by_plane_and_frame() -> None:
    nonces = {frame_nonce(plane, frame) for plane in range(8) for frame in range(64)}
    assert len(nonces) == 8 * 64
    assert all(len(nonce) == 12 for nonce in nonces)


def test_a_plane_named_twice_is_corrupt() -> None:
    with pytest.raises(Corrupt):
        unpack_segment(SegmentHeader(1, (PlaneEntry(1, 0), PlaneEntry(1, 0))).pack())


@given(st.lists(st.lists(st.text(min_size=1, max_size=9), min_size=1, max_size=4), max_size=4))
def test_segments_come_back_and_merge(documents: list) -> None:
    segments = [
        from_document(support.embedded(f"doc_{n}", texts)) for n, texts in enumerate(documents)
    ]
    for segment in segments:
        planes = {plane: bytearray(data) for plane, data in to_planes(segment).items()}
        again = from_planes(planes)
        assert [again.text(row) for row in range(again.rows)] == [
            segment.text(row) for row in range(segment.rows)
        ]
        assert again.cards == segment.cards
    live = [(s, frozenset(s.ids)) for n, s in enumerate(segments) if n % 2 == 0]
    if live:
        one = merged(
            [
                (s, frozenset(s.ids)) if n % 2 == 0 else (s, frozenset())
                for n, s in enumerate(segments)
            ]
        )
        expected = [text for n, texts in enumerate(documents) if n % 2 == 0 for text in texts]
        assert [one.text(row) for row in range(one.rows)] == expected
        for row in range(one.rows):
            assert one.ids[one.row_documents[row]].startswith("doc_")


def test_the_numpy_fallback_finds_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(3)
    vectors = kernel.unit_f16(rng.standard_normal((2_500, 48)))
    query = np.asarray(rng.standard_normal(48), dtype=np.float32)
    query /= np.linalg.norm(query)
    alive = rng.random(2_500) < 0.5
    by_library = kernel.top_rows(query, vectors, alive, 12)
    monkeypatch.setattr(kernel, "_cdist", None)
    assert kernel.top_rows(query, vectors, alive, 12) == by_library
    assert all(alive[row] for row in by_library)
    assert kernel.top_rows(query, vectors, np.zeros(2_500, dtype=bool), 12) == []


@pytest.mark.parametrize("bad", [[[0.0, 0.0]], [[float("nan"), 1.0]], [[float("inf"), 1.0]], [[]]])
def test_unusable_vectors_are_refused(bad: list) -> None:
    with pytest.raises(ValueError):
        kernel.unit_f16(bad)


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
            with pytest.raises((Corrupt, NotFound)):
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
