"""What a query's words add to each row of a partition, before its vectors are scanned.

BM25 needs to know how many permitted passages hold a word before it can weigh one, so all segments
are heard first. Permitted is what a request's groups, and its filter where it has one, let it see,
and what is live: nothing else is counted, so no word of a hidden passage moves an order.
"""

from __future__ import annotations

import numpy as np

from tenantry.adapters.sealed.keyword_scores import F64, bonuses
from tenantry.adapters.sealed.keyword_words import fingerprint, query_words
from tenantry.adapters.sealed.keywords import Matches
from tenantry.adapters.sealed.open_segment import Bools, OpenSegment
from tenantry.adapters.sealed.ranked import Opened
from tenantry.domain.ids import DocumentId, SegmentId
from tenantry.ports.manifest import SegmentRow
from tenantry.ports.vectors import Permitted

_NONE = np.zeros(0, dtype=np.int64)


class Heard:
    """One search's words. Its methods are called one after the other."""

    def __init__(self, text: str, permitted: Permitted) -> None:
        self.words = query_words(text)
        self._prints = np.array([fingerprint(word) for word in self.words], dtype=np.uint64)
        self._permitted = permitted
        self._matches: dict[SegmentId, tuple[Matches, int]] = {}
        self._added: dict[SegmentId, F64 | None] | None = None

    def clear(self) -> None:
        """Before the segments of another view are heard."""
        self._matches.clear()
        self._added = None

    def postings(self, group: Opened) -> int:
        """How much there is to hear of some segments: each posting takes about 25 ns."""
        if not self.words:
            return 0
        held = [segment.keywords for _, segment in group]
        return sum(one.holding(self._prints) for one in held if one is not None)

    def listen(self, group: Opened) -> None:
        """Hear some of the partition's segments."""
        for row, segment in group:
            self._matches[row.id] = (self._match(row, segment), segment.rows)

    def added(self, group: Opened) -> list[F64 | None]:
        """What each segment's rows get. All others must have been heard, or be none."""
        if not self.words:
            return [None] * len(group)
        if self._added is None:
            if not self._matches:
                self.listen(group)
            matches, rows = zip(*self._matches.values(), strict=True)
            parts = bonuses(matches, rows, len(self.words))
            self._added = dict(zip(self._matches, parts, strict=True))
        return [self._added[row.id] for row, _ in group]

    def _match(self, row: SegmentRow, segment: OpenSegment) -> Matches:
        if segment.keywords is None:
            return Matches(0, 0, _NONE, _NONE, _NONE, _NONE)
        permitted = _permitted_rows(segment, row.documents, self._permitted)
        return segment.keywords.match(self._prints, permitted)


def _permitted_rows(
    segment: OpenSegment, live: frozenset[DocumentId], permitted: Permitted
) -> Bools | None:
    """Which rows count; None where all do."""
    documents = segment.permitted_documents(permitted)
    alive = segment.alive(live)
    if documents.all():
        return alive
    seen: Bools = documents[segment.catalogue.documents]
    return seen if alive is None else seen & alive
