"""A tenant's passages in a vector engine: what is the same for every engine.

1. Every document is a segment of its own in the manifest; its rows in the engine carry that id.
2. The rows are written first and the manifest's commit makes them live: a crash between the two
   leaves rows that no search shows, because liveness is read after the engine has answered.
3. Deletion is the other way round: first the manifest, then the engine.
4. What an engine returns is opened before it is believed: a row of another tenant, or of another
   place, does not open, and the search ends with Corrupt.
"""

from __future__ import annotations

import logging
from array import array
from collections.abc import Mapping, Sequence

from tenantry.adapters.vectors.card_cache import CardCache
from tenantry.adapters.vectors.engine import (
    ROWS_PER_PUT,
    SEGMENTS_PER_CALL,
    Engine,
    Hit,
    Room,
    Row,
    RowId,
    in_parts,
)
from tenantry.adapters.vectors.passages import Opened, open_passage, seal_passage, unit_rows
from tenantry.domain.chunk import Passage
from tenantry.domain.document import Card, DocumentRow, Home, IndexEdition
from tenantry.domain.errors import Conflict, Corrupt, Unavailable
from tenantry.domain.ids import (
    DocumentId,
    SegmentId,
    TenantId,
    prefixed,
    unix_ms_of,
    uuid7,
)
from tenantry.domain.space import Space
from tenantry.ports.clock import Clock
from tenantry.ports.keys import KeyStore, Sealer
from tenantry.ports.manifest import Live, Manifest, NewSegment, SegmentRow
from tenantry.ports.vectors import Embedded, Permitted, Query

FIRST_HITS_MIN = 32  # asked for before the engine is told which documents may be seen
OVERSAMPLING = 4  # times the wanted passages
CLAIM_S = 60.0  # the claim on a document is prolonged by this much
CLAIM_EVERY_S = 20.0  # while its rows are written, which takes an engine minutes for a large one
SEARCH_ATTEMPTS = 3  # documents may go between the engine's answer and the manifest's
_log = logging.getLogger(__name__)


class EnginePartitions:
    """`ports.vectors.Vectors` over any engine. One instance a process; lives on one event loop."""

    reads_words = False  # they lie there sealed

    def __init__(
        self, engine: Engine, manifest: Manifest, keys: KeyStore, sealer: Sealer, clock: Clock
    ) -> None:
        self._engine = engine
        self._manifest = manifest
        self._keys = keys
        self._sealer = sealer
        self._clock = clock
        self._cards = CardCache()

    async def close(self) -> None:
        self._cards.clear()
        await self._engine.close()

    def forget(self, tenant_id: TenantId) -> None:
        """Drop what is open of one tenant, as after a shred."""
        self._cards.drop(tenant_id)

    def pinned(self, model: str) -> str:
        """So that no document is searched in an engine in which it does not rest."""
        return f"{self._engine.name}/{model}"

    async def publish(self, home: Home, document: Embedded) -> bool:
        vectors = unit_rows(document.vectors)
        if len(vectors) != len(document.chunks):
            raise ValueError("there must be one vector a chunk")
        live = await self._manifest.live(home.tenant_id)
        dimensions = int(vectors.shape[1])
        if document.edition is IndexEdition.LIVE:
            await self._check_fits(home, live, document.model, dimensions)
        segment_id = self._new_segment()
        room = self._engine.room(home)
        size_bytes, claimed_at = vectors.nbytes, self._clock.monotonic()
        for numbers in in_parts(range(len(vectors)), ROWS_PER_PUT):
            rows = []
            for number in numbers:
                row_id = RowId(segment_id, number)
                passage = Opened(document.document_id, document.card, document.chunks[number])
                sealed = await seal_passage(self._sealer, home, row_id, passage)
                size_bytes += len(sealed)
                rows.append(Row(row_id, vectors[number].tolist(), sealed))
            await room.put(rows)
            if self._clock.monotonic() - claimed_at >= CLAIM_EVERY_S:
                await self._manifest.keep(home.tenant_id, document.document_id, CLAIM_S)
                claimed_at = self._clock.monotonic()
        await room.settle(segment_id, len(vectors))
        row = NewSegment(
            segment_id,
            live.generation + 1,
            self.pinned(document.model),
            dimensions,
            len(vectors),
            size_bytes,
        )
        try:
            published = await self._manifest.publish(
                home.tenant_id,
                row,
                document.document_id,
                document.original_id,
                document.edition,
                document.pages,
            )
        except Conflict:
            await self._deleted_later(room, [segment_id])
            raise
        # Any other error leaves the commit unknown: the rows stay, true orphans are swept.
        if not published:
            await self._deleted_later(room, [segment_id])
        return published

    async def search(
        self,
        home: Home,
        model: str,
        query: Query,
        top_k: int,
        permitted: Permitted,
    ) -> Sequence[Passage]:
        vector = unit_rows([query.vector])[0].tolist()
        live = await self._manifest.live(home.tenant_id)
        if not await self._check_fits(home, live, model, len(vector)):
            return []
        room = self._engine.room(home)
        limit = max(FIRST_HITS_MIN, OVERSAMPLING * top_k)
        for _ in range(SEARCH_ATTEMPTS):
            hits = await room.search(vector, limit)
            shown, found = await self._shown(home, hits, permitted)
            if len(hits) < limit:  # the engine says that there are no more
                if await self._is_whole(home, found, live.generation):
                    return _best(shown, top_k)
                live = await self._manifest.live(home.tenant_id)
                continue
            if len(shown) >= top_k:
                return _best(shown, top_k)
            return await self._search_permitted(home, room, vector, top_k, permitted)
        raise _too_fast()

    async def cards(self, home: Home, wanted: frozenset[DocumentId]) -> Mapping[DocumentId, Card]:
        live = await self._manifest.live(home.tenant_id, documents=sorted(wanted))
        if not self._is_ours(live):
            return {}  # they rest elsewhere, and their originals have their cards
        rows = {name: segment for segment, names in live.documents.items() for name in names}
        return await self._cards_of(home, rows, live.dimensions)

    async def vectors_of(
        self, home: Home, space: Space, document_id: DocumentId, texts: frozenset[str]
    ) -> Mapping[str, array[float]]:
        return {}  # no engine is asked for them: they are embedded anew

    async def check_reach(self, tenant_id: TenantId) -> None:
        """Of one engine alone; `vectors/tracked.py` knows the others."""

    async def remove(self, home: Home, document_id: DocumentId) -> DocumentRow | None:
        removed = await self._manifest.remove(home.tenant_id, document_id)
        if removed is None:
            return None
        await self._deleted_later(self._engine.room(home), removed.segments)
        return removed.row

    async def sweep(self, home: Home, age_s: float) -> int:
        room = self._engine.room(home)
        stored = await room.segments()
        # Read after the engine: what was named in between is then known.
        named = await self._manifest.objects(home.tenant_id) if stored else frozenset()
        now_s = self._clock.now().timestamp()
        orphans = [
            item
            for item in stored
            if item not in named and now_s - unix_ms_of(item) / 1_000 >= age_s
        ]
        for part in in_parts(orphans, SEGMENTS_PER_CALL):
            await room.delete(part)
        return len(orphans)

    async def drop(self, home: Home) -> None:
        self.forget(home.tenant_id)
        await self._engine.room(home).drop()

    async def _search_permitted(
        self,
        home: Home,
        room: Room,
        vector: Sequence[float],
        top_k: int,
        permitted: Permitted,
    ) -> Sequence[Passage]:
        """Too few of the nearest may be seen: name those that may, and let the engine rank them."""
        for _ in range(SEARCH_ATTEMPTS):
            rows = await self._permitted_rows(home, len(vector), permitted)
            shown: list[Passage] = []
            complete = True
            for part in in_parts(rows, SEGMENTS_PER_CALL):
                hits = await room.search(vector, top_k, [row.id for row in part])
                some, found = await self._shown(home, hits, permitted)
                shown += some
                complete = complete and sum(found.values()) == len(hits)
                there = min(top_k, sum(row.rows for row in part))
                if len(hits) < there:
                    asked = frozenset(row.id for row in part)
                    await self._is_whole(home, found, asked=asked)
            if complete:
                return _best(shown, top_k)
        raise _too_fast()

    async def _permitted_rows(
        self, home: Home, dimensions: int, permitted: Permitted
    ) -> Sequence[SegmentRow]:
        view = await self._manifest.partition(home.tenant_id)
        rows = {name: row.id for row in view.segments for name in row.documents}
        cards = await self._cards_of(home, rows, dimensions)
        return [
            row
            for row in view.segments
            if any(name in cards and permitted(cards[name]) for name in row.documents)
        ]

    async def _shown(
        self, home: Home, hits: Sequence[Hit], permitted: Permitted
    ) -> tuple[list[Passage], dict[SegmentId, int]]:
        """The passages of hits that are live and permitted; how many were live, by segment."""
        opened = [await open_passage(self._sealer, home, hit.id, hit.sealed) for hit in hits]
        segments = sorted({hit.id.segment_id for hit in hits})
        live = await self._manifest.live(home.tenant_id, segments)
        shown: list[Passage] = []
        found: dict[SegmentId, int] = {}
        for hit, passage in zip(hits, opened, strict=True):
            names = live.documents.get(hit.id.segment_id)
            if names is None:
                continue  # removed, or never published
            if passage.document_id not in names:
                raise Corrupt("A passage is not of the document that the manifest says.")
            found[hit.id.segment_id] = found.get(hit.id.segment_id, 0) + 1
            if permitted(passage.card):
                shown.append(_passage(passage, hit.score))
        return shown, found

    async def _is_whole(
        self,
        home: Home,
        found: Mapping[SegmentId, int],
        generation: int | None = None,
        asked: frozenset[SegmentId] | None = None,
    ) -> bool:
        """An engine that has no more than this to show must have shown all that is live.

        False: something was published since `generation`, so that it is not known. Unavailable
        where the engine has lost something: never a shorter answer in its place.
        """
        view = await self._manifest.partition(home.tenant_id)
        rows = [row for row in view.segments if asked is None or row.id in asked]
        short = any(found.get(row.id, 0) < row.rows for row in rows)
        if not short or (found and not self._engine.exact):
            return True
        if generation is not None and view.generation != generation:
            return False
        raise _lost()

    async def _cards_of(
        self, home: Home, rows: Mapping[DocumentId, SegmentId], dimensions: int
    ) -> dict[DocumentId, Card]:
        """Cards out of the first row of each segment. Unavailable where one is missing."""
        cards, missing = self._cards.known(home.tenant_id, rows)
        if cards:  # what is open must not outlive its KMS key
            await self._keys.check(home)
        room = self._engine.room(home)
        for part in in_parts(sorted(missing.items()), ROWS_PER_PUT):
            ids = [RowId(segment_id, 0) for _, segment_id in part]
            held = {}
            for hit in await room.fetch(ids, dimensions):
                opened = await open_passage(self._sealer, home, hit.id, hit.sealed)
                held[hit.id.segment_id] = opened
            for name, segment_id in part:
                passage = held.get(segment_id)
                if passage is None:
                    await self._check_gone(home, segment_id)
                    continue
                if passage.document_id != name:
                    raise Corrupt("A passage is not of the document that the manifest says.")
                cards[name] = passage.card
                self._cards.keep(home.tenant_id, name, segment_id, passage.card)
        return cards

    async def _check_gone(self, home: Home, segment_id: SegmentId) -> None:
        live = await self._manifest.live(home.tenant_id, [segment_id])
        if live.documents:
            raise _lost()

    async def _deleted_later(self, room: Room, segments: Sequence[SegmentId]) -> None:
        """They are not live any more; what the engine cannot delete now, the sweep does."""
        try:
            await room.delete(segments)
        except Unavailable as refusal:
            _log.warning("vectors are deleted later: %s", refusal.message)

    async def _check_fits(self, home: Home, live: Live, model: str, dimensions: int) -> bool:
        """Conflict where something else is pinned and searched. False: nothing is searched."""
        if (live.model, live.dimensions) == (self.pinned(model), dimensions):
            return True
        if (await self._manifest.partition(home.tenant_id)).segments:
            raise Conflict(
                "The documents were indexed with another embedding model or rest in another vector"
                " engine: reindex them."
            )
        return False

    def _is_ours(self, live: Live) -> bool:
        return live.model.startswith(self.pinned(""))

    def _new_segment(self) -> SegmentId:
        unix_ms = int(self._clock.now().timestamp() * 1_000)
        return SegmentId(prefixed(self._engine.name, uuid7(unix_ms, self._clock.random(10))))


def _best(passages: list[Passage], top_k: int) -> list[Passage]:
    return sorted(passages, key=lambda item: (-item.score, item.document_id, item.start))[:top_k]


def _passage(opened: Opened, score: float) -> Passage:
    return Passage(
        document_id=opened.document_id,
        title=opened.card.title,
        text=opened.chunk.text,
        score=max(-1.0, min(1.0, score)),
        start=opened.chunk.start,
        end=opened.chunk.end,
        metadata=opened.card.metadata,
    )


def _lost() -> Unavailable:
    return Unavailable("The vector engine has lost some of the tenant's passages.")


def _too_fast() -> Unavailable:
    return Unavailable("The tenant's documents change faster than they can be read.")
