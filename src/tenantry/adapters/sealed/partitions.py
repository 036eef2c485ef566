"""A tenant's sealed partition: publish, search and remove over immutable segments.

1. The manifest's generation, read once for each search, says whether the view at hand is still the
   truth: what another process publishes or removes holds for the next search here.
2. Segments are opened into the bounded cache and searched together: a few on the event loop, many
   in one thread (`short_search.py`).
3. Rows of documents that the manifest no longer maps to the segment are never scored.
4. Merges and deletions come later, in tasks of their own (`upkeep.py`).
"""

from __future__ import annotations

import asyncio
import logging
from array import array
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import TypeVar

import numpy as np

from tenantry.adapters.sealed.certified import TakesLong
from tenantry.adapters.sealed.compaction import SEGMENTS_MAX, choose, mergeable
from tenantry.adapters.sealed.keyword_search import Heard
from tenantry.adapters.sealed.ranked import Opened, Ranked, Search, unit
from tenantry.adapters.sealed.read_back import ROWS_AT_ONCE, ReadBack, read_back
from tenantry.adapters.sealed.segment import Segment, from_document, merged
from tenantry.adapters.sealed.segment_cache import (
    OPEN_SEGMENTS_BYTES_MAX,
    CacheKey,
    Opener,
    SegmentCache,
)
from tenantry.adapters.sealed.segment_store import SegmentStore
from tenantry.adapters.sealed.short_search import CANDIDATES_MAX, is_short
from tenantry.adapters.sealed.upkeep import REPLACED_GRACE_S, Upkeep
from tenantry.adapters.sealed.weights import Weights
from tenantry.domain.chunk import Passage
from tenantry.domain.document import Card, DocumentRow, Home, IndexEdition
from tenantry.domain.envelope import is_retired
from tenantry.domain.errors import Conflict, Corrupt, NotFound, TenantryError, Unavailable
from tenantry.domain.ids import DocumentId, SegmentId, TenantId, prefix_of
from tenantry.domain.space import Space
from tenantry.ports.clock import Clock
from tenantry.ports.keys import KeyStore
from tenantry.ports.manifest import Manifest, Partition, SegmentRow
from tenantry.ports.objects import Objects, WouldWait
from tenantry.ports.vectors import Embedded, Permitted, Query

SEARCHES_AT_ONCE = 4  # each pins what it searches; two threads do the work
VIEWS_MAX = 4_096  # partitions whose manifest is remembered
VIEW_ATTEMPTS = 3  # a sweep of orphans may take a segment away between view and read
_log = logging.getLogger(__name__)

T = TypeVar("T")


class SealedPartitions:
    """`ports.vectors.Vectors`. One instance a process; lives on one event loop."""

    reads_words = True

    def __init__(
        self,
        manifest: Manifest,
        objects: Objects,
        keys: KeyStore,
        clock: Clock,
        *,
        open_bytes_max: int = OPEN_SEGMENTS_BYTES_MAX,
        segments_max: int = SEGMENTS_MAX,
        grace_s: float = REPLACED_GRACE_S,
    ) -> None:
        self._manifest = manifest
        self._keys = keys
        self._store = SegmentStore(objects, keys, clock)
        self._segments_max = segments_max
        self._cache = SegmentCache(bytes_max=open_bytes_max)
        self._views: OrderedDict[TenantId, Partition] = OrderedDict()
        self._weights = Weights()
        self._searches = asyncio.Semaphore(SEARCHES_AT_ONCE)
        self._upkeep = Upkeep(self._compact, clock.monotonic, grace_s)

    def close(self) -> None:
        """Zero everything that is open and end the tasks and threads."""
        self._upkeep.close()
        self._store.close()
        self._cache.clear()

    async def settle(self) -> None:
        """Wait until nothing is left to merge, and delete what was replaced."""
        await self._upkeep.settle()

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
        segment = await self._store.build(lambda: _laid_out(document, self._store.seed()))
        try:
            row = await self._store.write(home, segment, document.model, generation)
        finally:
            segment.wipe()
        try:
            live = await self._manifest.publish(
                home.tenant_id,
                row,
                document.document_id,
                document.original_id,
                document.edition,
                document.pages,
            )
        except Conflict:
            await self._store.delete(home, row.id)
            raise
        # Any other error leaves the commit unknown: the object stays, a true orphan is swept.
        if not live:
            await self._store.delete(home, row.id)
            return False
        self._upkeep.compact_soon(home)
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
        work = Search(vector, top_k, permitted, self._store.share)
        heard = Heard(query.text, permitted)
        hits: list[Ranked] = []

        def look(group: Opened) -> list[Ranked]:
            floor = hits[top_k - 1][0] if len(hits) >= top_k else -np.inf
            most = CANDIDATES_MAX if self._store.hurries else None
            return work.passages(group, floor, heard.added(group), most)

        def merge(found: list[Ranked]) -> None:
            hits.extend(found)
            hits.sort(key=lambda hit: (-hit[0], hit[1].document_id, hit[1].start))
            del hits[top_k:]

        def anew() -> None:
            hits.clear()
            heard.clear()

        first = heard.listen if heard.words else None
        fits = (model, len(vector))
        await self._visit(
            home,
            look,
            merge,
            anew,
            fits=fits,
            first=first,
            generation=query.generation,
            short=lambda group: is_short(group, permitted, heard),
        )
        return [passage for _, passage in hits]

    async def cards(self, home: Home, wanted: frozenset[DocumentId]) -> Mapping[DocumentId, Card]:
        cards: dict[DocumentId, Card] = {}

        def read(group: Opened) -> dict[DocumentId, Card]:
            return {
                name: segment.card(number)
                for row, segment in group
                for number, name in enumerate(segment.ids)
                if name in wanted and name in row.documents
            }

        def asked(row: SegmentRow) -> bool:
            return _is_ours(row) and not wanted.isdisjoint(row.documents)

        try:
            await self._visit(home, read, cards.update, cards.clear, worth=asked)
        except Corrupt as refusal:
            if not is_retired(refusal):
                raise
            return {}  # their originals have their cards
        return cards

    async def vectors_of(
        self, home: Home, space: Space, document_id: DocumentId, texts: frozenset[str]
    ) -> Mapping[str, array[float]]:
        found: dict[str, array[float]] = {}

        def asked(row: SegmentRow) -> bool:
            return _is_ours(row) and document_id in row.documents

        fits, first = (space.model, space.dimensions), 0
        while True:
            parts: list[ReadBack] = []
            read = partial(read_back, document_id=document_id, texts=texts, first=first)
            await self._visit(home, read, parts.append, parts.clear, fits=fits, worth=asked)
            for part in parts:
                found |= part.vectors
            if sum(part.rows for part in parts) < ROWS_AT_ONCE:
                return found
            first += ROWS_AT_ONCE

    async def check_reach(self, tenant_id: TenantId) -> None:
        """Of one engine alone; `vectors/tracked.py` knows the others."""

    async def remove(self, home: Home, document_id: DocumentId) -> DocumentRow | None:
        removed = await self._manifest.remove(home.tenant_id, document_id)
        if removed is None:
            return None
        self._upkeep.later(self._store.delete, home, removed.segments)
        self._upkeep.compact_soon(home)
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
        visit: Callable[[Opened], T],
        merge: Callable[[T], None],
        anew: Callable[[], None],
        *,
        fits: tuple[str, int] | None = None,
        worth: Callable[[SegmentRow], bool] = lambda row: True,
        first: Callable[[Opened], None] | None = None,
        generation: int | None = None,
        short: Callable[[Opened], bool] = lambda group: False,
    ) -> None:
        """Merge what `visit` returns of all live segments that are worth it, group by group;
        `anew` before what was merged is found again in another view. Where there are several
        groups, `first` is shown all of them before `visit` is shown any. `generation`: see `Query`;
        `short`: whether a group is visited on the loop.
        """

        async def over(view: Partition) -> None:
            anew()
            if fits is not None:
                _check_fits(view, *fits)
            if view.segments:
                await self._check_key(home)
            share = self._cache.bytes_max // SEARCHES_AT_ONCE  # of a larger partition not all
            asked = [row for row in view.segments if worth(row)]
            groups = list(self._weights.groups(asked, share))
            if first is not None and len(groups) > 1:
                for group in groups:
                    await self._visit_group(home, group, first, short)
            for group in groups:
                merge(await self._visit_group(home, group, visit, short))

        for _ in range(VIEW_ATTEMPTS):
            view = await self._view(home, generation)
            generation = None  # whatever was wrong with it, it is read anew
            try:
                await over(view)
            except NotFound as gone:
                if not await self._moved_on(home, view):
                    which = " ".join(getattr(gone, "__notes__", ())) or "that is not known"
                    _log.warning("a segment of %s is missing: %s", home.tenant_id, which)
                    raise Unavailable("A part of the tenant's documents is missing.") from None
            else:
                return
        raise Unavailable("The tenant's documents change faster than they can be read.")

    async def _check_key(self, home: Home) -> None:
        """What is open must not outlive its KMS key."""
        try:
            await self._keys.check(home)
        except TenantryError:
            self.forget(home.tenant_id)
            raise

    async def _visit_group(
        self,
        home: Home,
        rows: Sequence[SegmentRow],
        visit: Callable[[Opened], T],
        short: Callable[[Opened], bool],
    ) -> T:
        openers = [self._opener(home, row) for row in rows]
        wanted = dict(zip(_keys(home, rows), openers, strict=True))
        async with self._searches, self._cache.pinned(wanted) as segments:
            group = list(zip(rows, segments, strict=True))
            try:
                # Shielded: a caller that goes away must not unpin what its thread still reads.
                if short(group):
                    with suppress(WouldWait, TakesLong):
                        return self._store.search_now(lambda: visit(group))
                return await _finish(self._store.search(lambda: visit(group)))
            finally:
                self._weights.learn(group)

    def _opener(self, home: Home, row: SegmentRow) -> Opener:
        return lambda: self._store.open(home, row)

    async def _view(self, home: Home, generation: int | None) -> Partition:
        if generation is None:
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
        """One merge of each edition, if there is any to do; the next one waits until other tenants
        had theirs.
        """
        for edition in IndexEdition:
            view = await self._manifest.partition(home.tenant_id, edition)
            ours = [row for row in view.segments if _is_ours(row) and row.documents]
            sources = choose(ours, self._segments_max)
            try:
                if sources and await self._merge(home, view, sources, edition):
                    self._upkeep.compact_soon(home)
            except Corrupt as refusal:
                if not is_retired(refusal):  # what a reindex builds is merged all the same
                    raise

    async def _merge(
        self, home: Home, view: Partition, sources: Sequence[SegmentRow], edition: IndexEdition
    ) -> bool:
        whole = [(await self._store.load(home, row), row.documents) for row in sources]
        seed = self._store.seed()
        segment = await _finish(self._store.merge(lambda: merged(whole, seed)))
        try:
            row = await self._store.write(home, segment, view.model, view.generation + 1)
        finally:
            for part in (segment, *(source for source, _ in whole)):
                part.wipe()
        names: list[SegmentId] = [item.id for item in sources]
        done = await self._manifest.merge(home.tenant_id, names, row, edition)
        if done:
            self._upkeep.later(self._store.discard, home, names)
        else:
            await self._store.delete(home, row.id)
        return done


def _keys(home: Home, rows: Sequence[SegmentRow]) -> list[CacheKey]:
    return [(home.tenant_id, row.id) for row in rows]


async def _finish(work: Awaitable[T]) -> T:
    """The result of work that has begun, waited for even where the caller is cancelled."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise


def _laid_out(document: Embedded, seed: int) -> Segment:
    """A document's segment; neighbours together where it is too large to be merged ever."""
    segment = from_document(document)
    if mergeable(segment.rows):
        return segment
    return merged([(segment, frozenset(segment.ids))], seed)


def _check_fits(view: Partition, model: str, dimensions: int) -> None:
    if any(row.dimensions != dimensions for row in view.segments) or (
        view.segments and view.model != model
    ):
        raise Conflict("The documents were indexed with another embedding model: reindex them.")


def _is_ours(row: SegmentRow) -> bool:
    """False for what rests in another vector engine; its cards are in the originals."""
    return prefix_of(row.id) == "seg"
