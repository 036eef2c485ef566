"""Which segments are merged: few stay, none grows too large, and no row is rewritten often."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenantry.adapters.sealed.compaction import (
    MERGED_BYTES_MAX,
    MERGED_ROWS_MAX,
    SEGMENTS_MAX,
    beside_vectors,
    choose,
)
from tenantry.domain.ids import DocumentId, SegmentId
from tenantry.ports.manifest import SegmentRow


def row(name: str, rows: int, live: int | None = None) -> SegmentRow:
    alive = rows if live is None else live
    return SegmentRow(SegmentId(name), 1, 8, rows, alive, 1, frozenset({DocumentId("doc_1")}))


@given(st.lists(st.integers(1, 20_000), max_size=60), st.integers(2, 20))
def test_what_is_chosen_fits_one_segment(sizes: list[int], segments_max: int) -> None:
    segments = [row(f"seg_{n}", size) for n, size in enumerate(sizes)]
    chosen = choose(segments, segments_max)
    small = [item for item in segments if item.live_rows * 2 <= MERGED_ROWS_MAX]
    assert bool(chosen) == (len(small) > segments_max)
    if chosen:
        assert len(chosen) > 1
        assert sum(item.live_rows for item in chosen) <= MERGED_ROWS_MAX
        assert set(chosen) <= set(small)


def test_a_segment_of_which_half_is_dead_is_rewritten() -> None:
    assert choose([row("seg_1", 10, 5), row("seg_2", 10, 6)]) == [row("seg_1", 10, 5)]


@pytest.mark.parametrize(("documents", "size"), [(1_000, 10), (1_000, 256), (3_000, 1)])
def test_no_row_is_rewritten_often(documents: int, size: int) -> None:
    segments: list[SegmentRow] = []
    rewritten = 0
    for number in range(documents):
        segments.append(row(f"seg_{number}", size))
        while chosen := choose(segments):
            rows = sum(item.live_rows for item in chosen)
            rewritten += rows
            kept = [item for item in segments if item not in chosen]
            segments = [*kept, row(f"merged_{number}_{len(kept)}", rows)]
    assert rewritten <= 5 * documents * size
    small = [item for item in segments if item.live_rows * 2 <= MERGED_ROWS_MAX]
    assert len(small) <= SEGMENTS_MAX


@given(st.lists(st.integers(0, 3 * MERGED_BYTES_MAX // 4), min_size=1, max_size=60))
def test_what_is_chosen_is_no_heavier_than_a_segment_may_be(weights: list[int]) -> None:
    """Cards may weigh a thousand times what a row does."""
    segments = [
        dataclasses.replace(row(f"seg_{n}", 1), size_bytes=weight + 2 * 8)
        for n, weight in enumerate(weights)
    ]
    assert [beside_vectors(item) for item in segments] == weights
    chosen = choose(segments, 2)
    small = [item for item in segments if beside_vectors(item) * 2 <= MERGED_BYTES_MAX]
    assert bool(chosen) == (len(small) > 2)
    if chosen:
        assert len(chosen) > 1
        assert sum(beside_vectors(item) for item in chosen) <= MERGED_BYTES_MAX
    dead = [dataclasses.replace(item, rows=2, size_bytes=item.size_bytes + 16) for item in segments]
    chosen = choose(dead, 2)
    assert len(chosen) == 1 or sum(beside_vectors(item) for item in chosen) <= MERGED_BYTES_MAX
