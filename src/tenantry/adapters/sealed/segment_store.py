"""Segments at rest: sealed on the way into the object store, opened on the way out."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from tenantry.adapters.sealed.frames import Binding, open_planes, seal_planes, segment_cipher
from tenantry.adapters.sealed.segment import Segment, from_planes, to_planes
from tenantry.domain.document import Home
from tenantry.domain.envelope import unpack_segment
from tenantry.domain.errors import Corrupt
from tenantry.domain.ids import SegmentId
from tenantry.ports.clock import Clock
from tenantry.ports.keys import KeyStore
from tenantry.ports.manifest import NewSegment, SegmentRow
from tenantry.ports.objects import ObjectKind, Objects

THREADS = 2  # scans and ciphers release the GIL
_ID_BYTES = 20  # random, so that no segment id and with it no segment key ever comes twice

T = TypeVar("T")


class SegmentStore:
    def __init__(self, objects: Objects, keys: KeyStore, clock: Clock) -> None:
        self._objects = objects
        self._keys = keys
        self._clock = clock
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="sealed")

    async def run(self, work: Callable[[], T]) -> T:
        """Work that would hold up the loop: ciphers, scans, merges."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    def close(self) -> None:
        self._threads.shutdown(wait=True)

    async def write(self, home: Home, segment: Segment, model: str, generation: int) -> NewSegment:
        """Seal and store; durable on return, live only once the manifest names it."""
        random = base64.b32encode(self._clock.random(_ID_BYTES)).decode().lower()
        segment_id = SegmentId(f"seg_{random}")
        version = await self._keys.version(home)
        cipher = await segment_cipher(self._keys, home, segment_id, version)
        binding = Binding(home.tenant_id, segment_id, generation)
        sealed = await self.run(lambda: seal_planes(cipher, binding, version, to_planes(segment)))
        await self._objects.put(home, ObjectKind.SEGMENT, segment_id, sealed)
        return NewSegment(
            segment_id, generation, model, segment.dimensions, segment.rows, len(sealed)
        )

    async def read(self, home: Home, row: SegmentRow) -> Segment:
        """Corrupt where the object is not exactly what the manifest's row says."""
        sealed = await self._objects.get(home, ObjectKind.SEGMENT, row.id)
        header, _ = unpack_segment(sealed)
        cipher = await segment_cipher(self._keys, home, row.id, header.key_version)
        binding = Binding(home.tenant_id, row.id, row.generation)
        segment = await self.run(lambda: from_planes(open_planes(cipher, binding, sealed)))
        if segment.rows != row.rows or segment.dimensions != row.dimensions:
            raise Corrupt("A segment is not what the manifest says.")
        return segment

    async def delete(self, home: Home, segment_id: SegmentId) -> None:
        await self._objects.delete(home, ObjectKind.SEGMENT, segment_id)

    async def delete_all(self, home: Home) -> None:
        for entry in await self._objects.list(home, ObjectKind.SEGMENT):
            await self._objects.delete(home, ObjectKind.SEGMENT, entry.object_id)
