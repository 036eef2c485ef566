"""Which segments to merge next. Pure: the partitions do the work."""

from __future__ import annotations

from collections.abc import Sequence

from tenantry.ports.manifest import SegmentRow

SEGMENTS_MAX = 16  # more are merged; measured: compact at 16 to 32, 64 cost a query nothing
MERGED_ROWS_MAX = 16_384  # 16 MB of high plane at 1,024 dimensions
# Of what a segment has beside its vectors, sealed: cards, words and texts, some 30 MB in 16,384
# rows of ordinary passages. Cards that are much heavier must not make one that fits no memory.
MERGED_BYTES_MAX = 32 * 1024 * 1024


def choose(segments: Sequence[SegmentRow], segments_max: int = SEGMENTS_MAX) -> list[SegmentRow]:
    """Segments to replace by one, or none.

    A segment of which half the rows are dead is rewritten. Where more than `segments_max` are
    smaller than half of what one may hold, the smallest are merged, and those that are no larger
    than what has come together: so a row is rewritten a logarithmic number of times.
    """
    wasteful = [row for row in segments if row.live_rows * 2 <= row.rows]
    if wasteful:
        return _within(wasteful)
    small = sorted(
        (row for row in segments if _is_mergeable(row)),
        key=lambda row: row.live_rows,
    )
    if len(small) <= segments_max:
        return []
    chosen, rows = small[:2], small[0].live_rows + small[1].live_rows
    weighs = beside_vectors(small[0]) + beside_vectors(small[1])
    for row in small[2:]:
        weighs += beside_vectors(row)
        if row.live_rows > rows or rows + row.live_rows > MERGED_ROWS_MAX:
            break
        if weighs > MERGED_BYTES_MAX:
            break
        chosen.append(row)
        rows += row.live_rows
    return chosen


def beside_vectors(row: SegmentRow) -> int:
    """Bytes of a sealed segment without both planes of vectors."""
    return max(0, row.size_bytes - 2 * row.rows * row.dimensions)


def mergeable(rows: int) -> bool:
    """Whether a segment of so many rows may be merged with others."""
    return rows * 2 <= MERGED_ROWS_MAX


def _is_mergeable(row: SegmentRow) -> bool:
    return mergeable(row.live_rows) and beside_vectors(row) * 2 <= MERGED_BYTES_MAX


def _within(candidates: Sequence[SegmentRow]) -> list[SegmentRow]:
    chosen: list[SegmentRow] = []
    rows = weighs = 0
    for row in sorted(candidates, key=lambda row: row.live_rows):
        weighs += beside_vectors(row)
        if chosen and (rows + row.live_rows > MERGED_ROWS_MAX or weighs > MERGED_BYTES_MAX):
            break
        chosen.append(row)
        rows += row.live_rows
    return chosen
