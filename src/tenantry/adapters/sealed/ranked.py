"""What a scan found, as passages: their texts are read and opened for the best alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tenantry.adapters.sealed.certified import Added, Hit, Scanned, best_of, scanned
from tenantry.adapters.sealed.kernel import F32
from tenantry.adapters.sealed.open_segment import OpenSegment
from tenantry.adapters.sealed.sharing import Share, alone
from tenantry.domain.chunk import Passage
from tenantry.ports.manifest import SegmentRow
from tenantry.ports.vectors import Permitted

Opened = Sequence[tuple[SegmentRow, OpenSegment]]
Ranked = tuple[float, Passage]  # by the sum of both scores


def unit(vector: Sequence[float]) -> F32:
    """The query scaled to length 1. ValueError for zeros or what is not finite."""
    query = np.asarray(vector, dtype=np.float64)
    length = float(np.linalg.norm(query))
    if query.ndim != 1 or not np.isfinite(length) or length == 0.0:
        raise ValueError("a query's vector is empty, zero or not finite")
    return (query / length).astype(np.float32)


class Search:
    """One query over groups of segments, one after the other. Each is scanned once: what is read
    after its scan may be broken off, and begun anew elsewhere.
    """

    def __init__(self, query: F32, top_k: int, permitted: Permitted, share: Share = alone) -> None:
        self._query = query
        self._share = share
        self._top_k = top_k
        self._permitted = permitted
        self._group: Opened | None = None
        self._found: Scanned | None = None

    def passages(
        self,
        group: Opened,
        floor: float = -np.inf,
        added: Added | None = None,
        candidates_max: int | None = None,
    ) -> list[Ranked]:
        """The exact top k among live rows of permitted documents, as `best_of` finds them."""
        found = self._found
        if found is None or self._group is not group:
            live = [(segment, row.documents) for row, segment in group]
            found = scanned(live, self._query, self._permitted, floor, added, self._share)
            self._group, self._found = group, found
        return _read(found, best_of(found, self._top_k, candidates_max))


def _read(found: Scanned, hits: Sequence[Hit]) -> list[Ranked]:
    """The passages of hits."""
    passages: list[Ranked] = []
    for place in sorted({hit.segment for hit in hits}):
        segment = found.live[place][0]
        mine = [hit for hit in hits if hit.segment == place]
        places = segment.passages([hit.row for hit in mine])
        for hit, (start, end, text) in zip(mine, places, strict=True):
            passage = Passage(
                document_id=segment.ids[hit.document],
                title=hit.card.title,
                text=text,
                score=max(-1.0, min(1.0, hit.score)),
                start=start,
                end=end,
                metadata=hit.card.metadata,
            )
            passages.append((hit.rank, passage))
    return passages
