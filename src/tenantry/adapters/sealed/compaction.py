"""Which segments to merge next. Pure: the partitions do the work."""

from __future__ import annotations

from collections.abc import Sequence

from tenantry.ports.manifest import SegmentRow

SEGMENTS_MAX = 16  # more are merged; measured: compact at 16 to 32, 64 cost a query nothing
MERGED_ROWS_MAX = 16_384  # 16 MB of high plane at 1,024 dimensions


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
        (row for row in segments if mergeable(row.live_rows)),
        key=lambda row: row.live_rows,
    )
    if len(small) <= segments_max:
        return []
    chosen, rows = small[:2], small[0].live_rows + small[1].live_rows
    for row in small[2:]:
        if row.live_rows > rows or rows + row.live_rows > MERGED_ROWS_MAX:
            break
        chosen.append(row)
        rows += row.live_rows
    return chosen


def mergeable(rows: int) -> bool:
    """Whether a segment of so many rows may be merged with others."""
    return rows * 2 <= MERGED_ROWS_MAX


def _within(candidates: Sequence[SegmentRow]) -> list[SegmentRow]:
    chosen: list[SegmentRow] = []
    rows = 0
    for row in sorted(candidates, key=lambda row: row.live_rows):
        if chosen and rows + row.live_rows > MERGED_ROWS_MAX:
            break
        chosen.append(row)
        rows += row.live_rows
    return chosen
