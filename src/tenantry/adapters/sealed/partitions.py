"""A tenant's sealed partition: publish, search and remove over immutable segments.

1. The manifest's generation says, in one cheap query, whether the view at hand is still the truth:
   what another process publishes or removes holds for the next search here.
2. Segments are opened one at a time into the bounded cache and scanned in a thread.
3. Rows of documents that the manifest no longer maps to the segment are never scored.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from typing import TypeVar

import numpy as np

from tenantry.adapters.sealed.compaction import SEGMENTS_MAX, choose
from tenantry.adapters.sealed.kernel import F32, exact_scores, top_rows
from tenantry.adapters.sealed.segment import Segment, from_document, merged
from tenantry.adapters.sealed.segment_cache import OPEN_SEGMENTS_BYTES_MAX, SegmentCache
from tenantry.adapters.sealed.segment_store import SegmentStore
from tenantry.domain.chunk import Passage
from tenantry.domain.document import Card, DocumentRow, Home
from tenantry.domain.errors import Conflict, NotFound, Unavailable
from tenantry.domain.ids import DocumentId, TenantId, prefix_of
from tenantry.ports.clock import Clock
from tenantry.ports.keys import KeyStore
from tenantry.ports.manifest import Manifest, Partition, SegmentRow
from tenantry.ports.objects import Objects
from tenantry.ports.vectors import Embedded, Permitted, Query

SEARCHES_AT_ONCE = 4  # each pins one segment at a time; two threads do the work
VIEWS_MAX = 4_096  # partitions whose manifest is remembered
VIEW_ATTEMPTS = 8  # a merge elsewhere may take a segment away between view and read

T = TypeVar("T")


class SealedPartitions:
    """`ports.vectors.Vectors`. One instance a process; lives on one event loop."""

    def __init__(
        self,
        manifest: Manifest,
        objects: Objects,
        keys: KeyStore,
        clock: Clock,
        *,
        open_bytes_max: int = OPEN_SEGMENTS_BYTES_MAX,
        segments_max: int = SEGMENTS_MAX,
    ) -> None:
        self._manifest = manifest
        self._keys = keys
        self._store = SegmentStore(objects, keys, clock)
        self._segments_max = segments_max
        self._cache = SegmentCache(bytes_max=open_bytes_max)
        self._views: OrderedDict[TenantId, Partition] = OrderedDict()
        self._searches = asyncio.Semaphore(SEARCHES_AT_ONCE)
        self._merging = asyncio.Lock()  # one merge at a time: it holds all its sources open

    def close(self) -> None:
        """Zero everything that is open and end the threads."""
        self._store.close()
        self._cache.clear()

    def forget(self, tenant_id: TenantId) -> None:
        """Zero what is open of one tenant, as after a shred."""
        self._cache.drop(tenant_id)
        self._views.pop(tenant_id, None)

    @property
    def open_bytes(self) -> int:
        return self._cache.size_bytes

    def pinned(self, model: str) -> str:
        return model

    async def publish(self, home: Home, document: Embedded) -> bool:
        generation = await self._manifest.generation(home.tenant_id) + 1
        segment = await self._store.run(lambda: from_document(document))
        row = await self._store.write(home, segment, document.model, generation)
        try:
            live = await self._manifest.publish(home.tenant_id, row, document.document_id)
        except Conflict:
            await self._store.delete(home, row.id)
            raise
        # Any other error leaves the commit unknown: the object stays, a true orphan is swept.
        if not live:
            await self._store.delete(home, row.id)
            return False
        await self._compact(home)
        return True

    async def search(
        self,
        home: Home,
        model: str,
        query: Query,
        top_k: int,
        permitted: Permitted,
    ) -> Sequence[Passage]:
        vector = unit(query.vector)

        def scan(row: SegmentRow, segment: Segment) -> list[Passage]:
            return best_passages(segment, row.documents, vector, top_k, permitted)

        found = await self._visit(home, scan, fits=(model, len(vector)))
        hits = [hit for part in found for hit in part]
        hits.sort(key=lambda hit: (-hit.score, hit.document_id, hit.start))
        return hits[:top_k]

    async def cards(self, home: Home, wanted: frozenset[DocumentId]) -> Mapping[DocumentId, Card]:
        def read(row: SegmentRow, segment: Segment) -> list[tuple[DocumentId, Card]]:
            asked = row.documents & wanted
            pairs = zip(segment.ids, segment.cards, strict=True)
            return [(name, card) for name, card in pairs if name in asked]

        found = await self._visit(
            home, read, worth=lambda row: _is_ours(row) and bool(row.documents & wanted)
        )
        return {name: card for part in found for name, card in part}

    async def remove(self, home: Home, document_id: DocumentId) -> DocumentRow | None:
        removed = await self._manifest.remove(home.tenant_id, document_id)
        if removed is None:
            return None
        for segment_id in removed.segments:
            await self._store.delete(home, segment_id)
        await self._compact(home)
        return removed.row

    async def sweep(self, home: Home, age_s: float) -> int:
        """Nothing: segments are objects, and orphans are swept with them."""
        return 0

    async def drop(self, home: Home) -> None:
        self.forget(home.tenant_id)
        await self._store.delete_all(home)

    async def _visit(
        self,
        home: Home,
        visit: Callable[[SegmentRow, Segment], T],
        *,
        fits: tuple[str, int] | None = None,
        worth: Callable[[SegmentRow], bool] = lambda row: True,
    ) -> list[T]:
        """What `visit` returns for each live segment, each pinned only while it is visited."""
        for _ in range(VIEW_ATTEMPTS):
            view = await self._view(home)
            if fits is not None:
                _check_fits(view, *fits)
            try:
                if view.segments:  # what is open must not outlive its KMS key
                    await self._keys.check(home)
                rows = [row for row in view.segments if worth(row)]
                return [await self._visit_one(home, row, visit) for row in rows]
            except NotFound:
                if not await self._moved_on(home, view):
                    raise Unavailable("A part of the tenant's documents is missing.") from None
        raise Unavailable("The tenant's documents change faster than they can be read.")

    async def _visit_one(
        self, home: Home, row: SegmentRow, visit: Callable[[SegmentRow, Segment], T]
    ) -> T:
        async with (
            self._searches,
            self._cache.pinned((home.tenant_id, row.id), self._opener(home, row)) as segment,
        ):
            # Shielded: a caller that goes away must not unpin what its thread still reads.
            return await _finish(self._store.run(lambda: visit(row, segment)))

    def _opener(self, home: Home, row: SegmentRow) -> Callable[[], Awaitable[Segment]]:
        return lambda: self._store.read(home, row)

    async def _view(self, home: Home) -> Partition:
        generation = await self._manifest.generation(home.tenant_id)
        view = self._views.get(home.tenant_id)
        if view is None or view.generation != generation:
            view = await self._manifest.partition(home.tenant_id)
            self._views[home.tenant_id] = view
            self._cache.drop(home.tenant_id, frozenset(row.id for row in view.segments))
            while len(self._views) > VIEWS_MAX:
                self._views.popitem(last=False)
        self._views.move_to_end(home.tenant_id)
        return view

    async def _moved_on(self, home: Home, view: Partition) -> bool:
        return await self._manifest.generation(home.tenant_id) != view.generation

    async def _compact(self, home: Home) -> None:
        """Merge on write. It is never owed to the caller: a failure leaves it to the next write."""
        try:
            async with self._merging:
                view = await self._view(home)
                sources = choose(view.segments, self._segments_max)
                if sources:
                    await self._merge(home, view, sources)
        except (Unavailable, NotFound):
            return

    async def _merge(self, home: Home, view: Partition, sources: Sequence[SegmentRow]) -> None:
        async with AsyncExitStack() as pins:
            opened = [
                (
                    await pins.enter_async_context(
                        self._cache.pinned((home.tenant_id, row.id), self._opener(home, row))
                    ),
                    row.documents,
                )
                for row in sources
            ]
            segment = await _finish(self._store.run(lambda: merged(opened)))
        row = await self._store.write(home, segment, view.model, view.generation + 1)
        gone = await self._manifest.merge(home.tenant_id, [item.id for item in sources], row)
        for segment_id in [item.id for item in sources] if gone else [row.id]:
            await self._store.delete(home, segment_id)


async def _finish(work: Awaitable[T]) -> T:
    """The result of work that has begun, waited for even where the caller is cancelled."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise


def _check_fits(view: Partition, model: str, dimensions: int) -> None:
    if any(row.dimensions != dimensions for row in view.segments) or (
        view.segments and view.model != model
    ):
        raise Conflict("The documents were indexed with another embedding model: reindex them.")


def _is_ours(row: SegmentRow) -> bool:
    """False for what rests in another vector engine; its cards are in the originals."""
    return prefix_of(row.id) == "seg"


def unit(vector: Sequence[float]) -> F32:
    """The query scaled to length 1. ValueError for zeros or what is not finite."""
    query = np.asarray(vector, dtype=np.float64)
    length = float(np.linalg.norm(query))
    if query.ndim != 1 or not np.isfinite(length) or length == 0.0:
        raise ValueError("a query's vector is empty, zero or not finite")
    return (query / length).astype(np.float32)


def best_passages(
    segment: Segment,
    live: frozenset[DocumentId],
    query: F32,
    top_k: int,
    permitted: Permitted,
) -> list[Passage]:
    """The exact top k among live rows of permitted documents. Runs in a thread."""
    pairs = zip(segment.ids, segment.cards, strict=True)
    allowed = np.fromiter(
        (name in live and permitted(card) for name, card in pairs), bool, len(segment.ids)
    )
    rows = top_rows(query, segment.vectors, allowed[segment.row_documents], top_k)
    scores = exact_scores(query, segment.vectors, np.array(rows, dtype=np.intp))
    hits = []
    for row, score in zip(rows, scores, strict=True):
        number = int(segment.row_documents[row])
        hits.append(
            Passage(
                document_id=segment.ids[number],
                title=segment.cards[number].title,
                text=segment.text(row),
                score=float(np.clip(score, -1.0, 1.0)),
                start=int(segment.starts[row]),
                end=int(segment.ends[row]),
                metadata=segment.cards[number].metadata,
            )
        )
    return hits
