"""The format of segments: what is changed, cut, moved or foreign is refused."""

from __future__ import annotations

import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st
from tests.support import knowledge as support
from tests.support.segments import BINDING, CIPHER, at_rest

from tenantry.adapters.sealed.frames import (
    Binding,
    SealedPlanes,
    seal_planes,
)
from tenantry.adapters.sealed.open_segment import opened
from tenantry.adapters.sealed.segment import Segment, from_document, from_planes, merged, to_planes
from tenantry.domain.envelope import (
    Plane,
    PlaneEntry,
    SegmentHeader,
    frame_nonce,
    unpack_segment,
)
from tenantry.domain.errors import Corrupt


def sealed_of(segment: Segment) -> bytes:
    """In frames so small that there are many."""
    low = 2 * segment.dimensions
    planes = to_planes(segment)
    return seal_planes(CIPHER, BINDING, 1, planes, lambda p: low if p == Plane.VECTORS_LOW else 64)


def plain(planes: SealedPlanes) -> dict[int, bytes]:
    return {entry.plane: bytes(planes.whole(entry.plane)) for entry in planes.header.planes}


@given(st.one_of(st.binary(max_size=120), st.binary(max_size=90).map(lambda b: b"TNS2" + b)))
def test_any_bytes_are_a_segment_or_corrupt(data: bytes) -> None:
    try:
        unpack_segment(data, len(data))
    except Corrupt:
        return


def test_the_format_before_is_refused_with_what_to_do() -> None:
    with pytest.raises(Corrupt, match="reindex them"):
        unpack_segment(b"TNS1" + bytes(60), 64)


@given(
    st.dictionaries(st.integers(0, 9), st.binary(max_size=300), max_size=5),
    st.integers(1, 100),
    st.data(),
)
def test_planes_come_back_through_frames_of_any_size(
    planes: dict, frame: int, data: st.DataObject
) -> None:
    sealed = seal_planes(CIPHER, BINDING, 1, planes, lambda plane: frame)
    found = at_rest(sealed)
    assert plain(found) == planes
    for plane, content in planes.items():
        start = data.draw(st.integers(0, len(content)))
        end = data.draw(st.integers(start, len(content)))
        frames = range(start // frame, -(-end // frame))
        opened = found.some(plane, frames)
        if end > start:
            assert bytes(opened.at(start, end)) == content[start:end]


@given(st.data())
def test_every_changed_byte_is_corrupt(data: st.DataObject) -> None:
    sealed = bytearray(seal_planes(CIPHER, BINDING, 1, {1: b"vectors", 3: b"texts"}, lambda _: 4))
    position = data.draw(st.integers(0, len(sealed) - 1))
    sealed[position] ^= data.draw(st.integers(1, 255))
    with pytest.raises(Corrupt):
        plain(at_rest(bytes(sealed)))


@given(st.data())
def test_what_is_cut_or_longer_is_corrupt(data: st.DataObject) -> None:
    sealed = seal_planes(CIPHER, BINDING, 1, {1: b"vectors", 3: b"texts"}, lambda _: 4)
    length = data.draw(st.integers(0, len(sealed) - 1))
    for changed in (sealed[:length], sealed + bytes(data.draw(st.integers(1, 40)))):
        for said in (len(sealed), len(changed)):
            with pytest.raises(Corrupt):
                plain(at_rest(changed, size_bytes=said))


@given(st.data())
def test_frames_cannot_change_places(data: st.DataObject) -> None:
    planes = {1: b"same" * 3, 2: b"same" * 2}
    sealed = seal_planes(CIPHER, BINDING, 1, planes, lambda _: 4)
    head = len(sealed) - 5 * 20
    frames = [sealed[head + 20 * n : head + 20 * n + 20] for n in range(5)]
    moved = data.draw(st.lists(st.integers(0, 4), min_size=5, max_size=5))
    if moved == list(range(5)):
        return
    with pytest.raises(Corrupt):
        plain(at_rest(sealed[:head] + b"".join(frames[n] for n in moved)))


def test_tenant_segment_and_generation_are_bound() -> None:
    sealed = seal_planes(CIPHER, BINDING, 1, {1: b"x"}, lambda _: 4)
    for other in (
        Binding("tnt_b", "seg_1", 7),
        Binding("tnt_a", "seg_2", 7),
        Binding("tnt_a", "seg_1", 8),
    ):
        with pytest.raises(Corrupt):
            plain(at_rest(sealed, binding=other))
    with pytest.raises(Corrupt):
        plain(at_rest(sealed, cipher=AESGCM(bytes(31) + b"1")))
    assert plain(at_rest(sealed)) == {1: b"x"}


def test_plane_frame_and_header_are_bound_beside_the_nonce() -> None:
    bindings = {
        BINDING.frame(header, plane, number)
        for header in (b"a", b"b")
        for plane in (1, 2)
        for number in (0, 1)
    }
    assert len(bindings) == 8
    assert BINDING.frames(b"a", 2)(1) == BINDING.frame(b"a", 2, 1)


def test_nonces_differ_by_plane_and_frame() -> None:
    nonces = {frame_nonce(plane, frame) for plane in range(8) for frame in range(64)}
    assert len(nonces) == 8 * 64
    assert all(len(nonce) == 12 for nonce in nonces)


def test_a_plane_named_twice_and_a_frame_of_nothing_are_corrupt() -> None:
    for entries in ((PlaneEntry(1, 0, 4), PlaneEntry(1, 0, 4)), (PlaneEntry(1, 0, 0),)):
        header = SegmentHeader(1, entries)
        with pytest.raises(Corrupt):
            unpack_segment(header.pack(), header.packed_bytes)


@given(
    st.lists(st.text(max_size=60), min_size=1, max_size=12),
    st.data(),
)
def test_a_changed_segment_never_answers(texts: list[str], data: st.DataObject) -> None:
    """Whatever is changed, an answer that would need it is refused; the others are as before."""
    segment = from_document(support.embedded("doc_1", texts))
    sealed = bytearray(sealed_of(segment))
    good = opened(at_rest(bytes(sealed)))
    position = data.draw(st.integers(0, len(sealed) - 1))
    sealed[position] ^= data.draw(st.integers(1, 255))
    rows = np.arange(segment.rows)
    query = np.ones(segment.dimensions, np.float32) / np.float32(np.sqrt(segment.dimensions))
    expected = good.scores(rows, query), good.passages(rows.tolist())
    refused = 0
    try:
        changed = opened(at_rest(bytes(sealed)))
    except Corrupt:
        return
    try:
        assert changed.scores(rows, query).tolist() == expected[0].tolist()
    except Corrupt:
        refused += 1
    try:
        assert changed.passages(rows.tolist()) == expected[1]
    except Corrupt:
        refused += 1
    assert refused == 1


@given(st.lists(st.lists(st.text(min_size=1, max_size=9), min_size=1, max_size=4), max_size=4))
def test_segments_come_back_and_merge(documents: list) -> None:
    segments = [
        from_document(support.embedded(f"doc_{n}", texts)) for n, texts in enumerate(documents)
    ]
    for segment in segments:
        again = from_planes(
            {k: memoryview(v) for k, v in plain(at_rest(sealed_of(segment))).items()}
        )
        assert [again.record(row) for row in range(again.rows)] == [
            segment.record(row) for row in range(segment.rows)
        ]
        assert again.cards == segment.cards
        assert np.array_equal(again.vectors.low, segment.vectors.low)
    live = [n for n in range(len(segments)) if n % 2 == 0]
    if live:
        one = merged(
            [(s, frozenset(s.ids) if n in live else frozenset()) for n, s in enumerate(segments)],
            seed=1,
        )
        expected = [(f"doc_{n}", text) for n in live for text in documents[n]]
        found = [(one.ids[one.catalogue.documents[row]], one.text(row)) for row in range(one.rows)]
        assert sorted(found) == sorted(expected)
