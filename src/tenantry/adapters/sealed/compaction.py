"""Which segments to merge next. Pure: the partitions do the work."""

from __future__ import annotations

from collections.abc import Sequence

from tenantry.ports.manifest import SegmentRow

SEGMENTS_MAX = 16  # more are merged; measured: compact at 16 to 32, 64 cost a query nothing
MERGED_ROWS_MAX = 16_384  # 32 MB of 16-bit vectors at 1,024 dimensions


def choose(segments: Sequence[SegmentRow], segments_max: int = SEGMENTS_MAX) -> list[SegmentRow]:
    """Segments to replace by one, or none.

    A segment of which half the rows are dead is rewritten. When there are too many, the smallest
    are merged, so that a row is rewritten a logarithmic number of times.
    """
    wasteful = [row for row in segments if row.live_rows * 2 <= row.rows]
    if wasteful:
        return _within(wasteful)
    if len(segments) <= segments_max:
        return []
    smallest = sorted(segments, key=lambda row: row.live_rows)
    chosen = _within(smallest[: len(segments) - segments_max // 2])
    return chosen if len(chosen) > 1 else []


def _within(candidates: Sequence[SegmentRow]) -> list[SegmentRow]:
    chosen: list[SegmentRow] = []
    rows = 0
    for row in sorted(candidates, key=lambda row: row.live_rows):
        if chosen and rows + row.live_rows > MERGED_ROWS_MAX:
            break
        chosen.append(row)
        rows += row.live_rows
    return chosen
