"""What segments weigh in memory once they are open, to decide which are opened together.

What a segment weighed when it was open, it weighs again: it never changes. Of one that was not
open yet the manifest knows an upper bound, its sealed size without the plane that stays sealed:
cards may weigh a thousand times what a row does.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tenantry.adapters.sealed.open_segment import ID_BYTES, SELF_BYTES
from tenantry.adapters.sealed.ranked import Opened
from tenantry.domain.ids import SegmentId
from tenantry.ports.manifest import SegmentRow

WEIGHTS_MAX = 65_536  # segments remembered; of others the bound is used
_OFFSET_BYTES = 4  # of each row, made when it is opened


class Weights:
    """Lives on one event loop."""

    def __init__(self) -> None:
        self._known: dict[SegmentId, int] = {}

    def learn(self, group: Opened) -> None:
        for row, segment in group:
            # Opened again it is lighter, until its tags are asked for.
            known = self._known.pop(row.id, 0)
            self._known[row.id] = max(known, segment.size_bytes)
        while len(self._known) > WEIGHTS_MAX:
            del self._known[next(iter(self._known))]

    def of(self, row: SegmentRow) -> int:
        known = self._known.get(row.id)
        if known is not None:
            return known
        sealed = row.size_bytes + row.rows * (_OFFSET_BYTES - row.dimensions)
        return sealed + ID_BYTES * len(row.documents) + SELF_BYTES

    def groups(self, rows: Sequence[SegmentRow], share: int) -> Iterator[Sequence[SegmentRow]]:
        """Segments to open at once: as many as weigh `share` bytes together, but at least one."""
        group: list[SegmentRow] = []
        size = 0
        for row in rows:
            weighs = self.of(row)
            if group and size + weighs > share:
                yield group
                group, size = [], 0
            group.append(row)
            size += weighs
        if group:
            yield group
