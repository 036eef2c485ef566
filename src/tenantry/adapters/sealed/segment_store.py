"""Segments at rest: sealed on the way into the object store, opened on the way out."""

from __future__ import annotations

import asyncio
import base64
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from tenantry.adapters.sealed.frames import (
    Binding,
    SealedPlanes,
    frame_bytes_of,
    read_header,
    seal_planes,
    segment_cipher,
)
from tenantry.adapters.sealed.open_segment import OpenSegment, opened
from tenantry.adapters.sealed.segment import Segment, from_planes, to_planes
from tenantry.adapters.sealed.sharing import alone, together
from tenantry.domain.document import Home
from tenantry.domain.errors import Corrupt, NotFound
from tenantry.domain.ids import SegmentId
from tenantry.ports.clock import Clock
from tenantry.ports.keys import KeyStore
from tenantry.ports.manifest import NewSegment, SegmentRow
from tenantry.ports.objects import ObjectKind, Objects, Range

SEARCH_THREADS = 2  # scans, reads and ciphers release the GIL
BUILD_THREADS = 1
MERGE_THREADS = 1
_ID_BYTES = 20  # random, so that no segment id and with it no segment key ever comes twice
_SEED_BYTES = 8

T = TypeVar("T")
Opened = TypeVar("Opened", Segment, OpenSegment)


class SegmentStore:
    """One a process, made in the thread of its event loop."""

    def __init__(self, objects: Objects, keys: KeyStore, clock: Clock) -> None:
        self._objects = objects
        self._keys = keys
        self._clock = clock
        self._loop_thread = threading.get_ident()
        self._now = False
        # A pool each: neither uploads nor merges keep a search from a thread.
        self._searching = ThreadPoolExecutor(SEARCH_THREADS, thread_name_prefix="sealed-search")
        self._building = ThreadPoolExecutor(BUILD_THREADS, thread_name_prefix="sealed-build")
        self._merging = ThreadPoolExecutor(MERGE_THREADS, thread_name_prefix="sealed-merge")

    async def search(self, work: Callable[[], T]) -> T:
        """Work that a search waits for."""
        return await asyncio.get_running_loop().run_in_executor(self._searching, work)

    def search_now(self, work: Callable[[], T]) -> T:
        """Short work of a search, on the loop. Raises `WouldWait` where it needs the disk."""
        self._now = True  # nothing else runs in the loop's thread until it is done
        try:
            return work()
        finally:
            self._now = False

    def share(self, work: Callable[[int], None], count: int) -> None:
        """Parts of a search, by the threads that are free; on the loop, all of them there."""
        if self.hurries:
            alone(work, count)
        else:
            together(self._searching, work, count)

    @property
    def hurries(self) -> bool:
        """Whether the work that asks is done on the loop now."""
        return self._now and threading.get_ident() == self._loop_thread

    async def build(self, work: Callable[[], T]) -> T:
        """Work that an upload waits for."""
        return await asyncio.get_running_loop().run_in_executor(self._building, work)

    async def merge(self, work: Callable[[], T]) -> T:
        """Work that nobody waits for."""
        return await asyncio.get_running_loop().run_in_executor(self._merging, work)

    def close(self) -> None:
        for pool in (self._merging, self._building, self._searching):
            pool.shutdown(wait=True, cancel_futures=True)

    def seed(self) -> int:
        return int.from_bytes(self._clock.random(_SEED_BYTES))

    async def write(self, home: Home, segment: Segment, model: str, generation: int) -> NewSegment:
        """Seal and store; durable on return, live only once the manifest names it."""
        random = base64.b32encode(self._clock.random(_ID_BYTES)).decode().lower()
        segment_id = SegmentId(f"seg_{random}")
        version = await self._keys.version(home)
        cipher = await segment_cipher(self._keys, home, segment_id, version)
        binding = Binding(home.tenant_id, segment_id, generation)

        def seal() -> bytes:
            def frame_bytes(plane: int) -> int:
                return frame_bytes_of(plane, segment.dimensions)

            return seal_planes(cipher, binding, version, to_planes(segment), frame_bytes)

        sealed = await self.build(seal)
        await self._objects.put(home, ObjectKind.SEGMENT, segment_id, sealed)
        return NewSegment(
            segment_id, generation, model, segment.dimensions, segment.rows, len(sealed)
        )

    async def open(self, home: Home, row: SegmentRow) -> OpenSegment:
        """What a search needs. Corrupt where the object is not what the manifest's row says."""
        sealed = await self._sealed(home, row)
        return await self.search(lambda: _checked(opened(sealed), row))

    async def load(self, home: Home, row: SegmentRow) -> Segment:
        """All of a segment, for a merge."""
        sealed = await self._sealed(home, row)

        def whole() -> Segment:
            planes = {entry.plane: sealed.whole(entry.plane) for entry in sealed.header.planes}
            return _checked(from_planes(planes), row)

        return await self.merge(whole)

    async def _sealed(self, home: Home, row: SegmentRow) -> SealedPlanes:
        def read(ranges: Sequence[Range]) -> Sequence[bytes]:
            try:
                return self._objects.get_ranges(
                    home, ObjectKind.SEGMENT, row.id, ranges, wait=not self.hurries
                )
            except NotFound as gone:
                gone.add_note(row.id)  # for the log
                raise

        header = await self.search(lambda: read_header(read, row.size_bytes))
        cipher = await segment_cipher(self._keys, home, row.id, header.key_version)
        return SealedPlanes(cipher, Binding(home.tenant_id, row.id, row.generation), header, read)

    async def delete_all(self, home: Home) -> None:
        for entry in await self._objects.list(home, ObjectKind.SEGMENT):
            await self._objects.delete(home, ObjectKind.SEGMENT, entry.object_id)

    async def discard(self, home: Home, segment_id: SegmentId) -> None:
        """What a merge has replaced, by way of the trash."""
        await self._objects.discard(home, ObjectKind.SEGMENT, segment_id)

    async def delete(self, home: Home, segment_id: SegmentId) -> None:
        await self._objects.delete(home, ObjectKind.SEGMENT, segment_id)


def _checked(segment: Opened, row: SegmentRow) -> Opened:
    if segment.rows != row.rows or segment.dimensions != row.dimensions:
        raise Corrupt("A segment is not what the manifest says.")
    return segment
