"""Passages wherever they rest: in the engine of the settings, and in engines of before.

1. An engine is noted as holding rows of the tenant before the first row is written there.
2. Documents are put and searched in the engine of the settings alone.
3. Deletion reaches every engine that is noted and configured. Whoever says that something is gone
   asks `check_reach` first, which refuses where a noted one is not.
4. An engine of before is noted as emptied once nothing of the tenant is left there.
"""

from __future__ import annotations

import asyncio
import logging
from array import array
from collections.abc import Awaitable, Callable, Mapping, Sequence

from tenantry.adapters.vectors.engine import Engine
from tenantry.adapters.vectors.partitions import EnginePartitions
from tenantry.domain.chunk import Passage
from tenantry.domain.document import Card, DocumentRow, Home
from tenantry.domain.errors import Unavailable
from tenantry.domain.ids import DocumentId, SegmentId, TenantId
from tenantry.domain.space import Space
from tenantry.domain.vector_room import check_reach
from tenantry.ports.manifest import Manifest
from tenantry.ports.vector_rooms import VectorRooms
from tenantry.ports.vectors import Embedded, Permitted, Query, Vectors

OpenEngine = Callable[[], Awaitable[Engine]]
_log = logging.getLogger(__name__)


class TrackedVectors:
    """`ports.vectors.Vectors`. `engine`: the name of the one of the settings; None: sealed
    partitions, whose segments are objects. `others`: those that are configured beside it, each
    opened when it is first needed, and kept. `close` ends these, and not `present`."""

    def __init__(
        self,
        present: Vectors,
        engine: str | None,
        others: Mapping[str, OpenEngine],
        rooms: VectorRooms,
        manifest: Manifest,
        over: Callable[[Engine], EnginePartitions],
    ) -> None:
        self._present = present
        self._engine = engine
        self._others = others
        self._rooms = rooms
        self._manifest = manifest
        self._over = over
        self._kept: dict[str, Engine] = {}
        self._opening = asyncio.Lock()

    @property
    def reads_words(self) -> bool:
        return self._present.reads_words

    def pinned(self, model: str) -> str:
        return self._present.pinned(model)

    async def publish(self, home: Home, document: Embedded) -> bool:
        if self._engine is not None:
            await self._rooms.opened(home.tenant_id, self._engine)
        return await self._present.publish(home, document)

    async def search(
        self, home: Home, model: str, query: Query, top_k: int, permitted: Permitted
    ) -> Sequence[Passage]:
        return await self._present.search(home, model, query, top_k, permitted)

    async def cards(self, home: Home, wanted: frozenset[DocumentId]) -> Mapping[DocumentId, Card]:
        return await self._present.cards(home, wanted)

    async def vectors_of(
        self, home: Home, space: Space, document_id: DocumentId, texts: frozenset[str]
    ) -> Mapping[str, array[float]]:
        return await self._present.vectors_of(home, space, document_id, texts)

    async def check_reach(self, tenant_id: TenantId) -> None:
        check_reach(await self._rooms.of(tenant_id), self._reached)

    async def remove(self, home: Home, document_id: DocumentId) -> DocumentRow | None:
        elsewhere = await self._elsewhere(home.tenant_id) & self._others.keys()
        held: Sequence[SegmentId] = ()
        if elsewhere:
            live = await self._manifest.live(home.tenant_id, documents=[document_id])
            held = list(live.documents)
        row = await self._present.remove(home, document_id)
        for name in sorted(elsewhere) if held and row is not None else ():
            try:
                engine = await self._opened(name)
                await engine.room(home).delete(await self._dead(home, held))
            except Unavailable as refusal:  # not live any more: the sweep deletes them
                _log.warning("vectors are deleted later: %s", refusal.message)
        return row

    async def sweep(self, home: Home, age_s: float) -> int:
        deleted = await self._present.sweep(home, age_s)
        for name in sorted(await self._elsewhere(home.tenant_id) & self._others.keys()):
            engine = await self._opened(name)
            deleted += await self._over(engine).sweep(home, age_s)
            if not await engine.room(home).segments():
                await self._rooms.emptied(home.tenant_id, name, age_s)
        return deleted

    async def drop(self, home: Home) -> None:
        await self.check_reach(home.tenant_id)
        await self._present.drop(home)
        if self._engine is not None:
            await self._rooms.emptied(home.tenant_id, self._engine, 0.0)
        for name in sorted(await self._elsewhere(home.tenant_id)):
            engine = await self._opened(name)
            await engine.room(home).drop()
            await self._rooms.emptied(home.tenant_id, name, 0.0)

    async def close(self) -> None:
        kept, self._kept = self._kept, {}
        await asyncio.gather(*(engine.close() for engine in kept.values()))

    @property
    def _reached(self) -> frozenset[str]:
        own = () if self._engine is None else (self._engine,)
        return frozenset(self._others) | frozenset(own)

    async def _elsewhere(self, tenant_id: TenantId) -> frozenset[str]:
        """Engines of before in which rows may be."""
        rooms = await self._rooms.of(tenant_id)
        return frozenset(room.engine for room in rooms if room.is_open) - {self._engine}

    async def _dead(self, home: Home, segments: Sequence[SegmentId]) -> list[SegmentId]:
        """Those that hold no document any more."""
        live = await self._manifest.live(home.tenant_id, segments)
        return [name for name in segments if not live.documents.get(name)]

    async def _opened(self, name: str) -> Engine:
        async with self._opening:
            if name not in self._kept:
                self._kept[name] = await self._others[name]()
            return self._kept[name]
