"""Open segments in bounded memory: least recently used leave first, and are zeroed as they leave.

Lives on one event loop. A segment that a search has pinned is never wiped under it, so memory may
pass the limit by what the running searches hold; their number is bounded by the partitions.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from tenantry.adapters.sealed.segment import Segment

OPEN_SEGMENTS_BYTES_MAX = 64 * 1024 * 1024  # a gateway worker stays under 200 MB in all

CacheKey = tuple[str, str]  # tenant id, segment id


@dataclass(slots=True, eq=False)
class _Entry:
    task: asyncio.Future[Segment]
    pins: int = 0

    @property
    def segment(self) -> Segment | None:
        if not self.task.done() or self.task.cancelled() or self.task.exception() is not None:
            return None
        return self.task.result()


class SegmentCache:
    def __init__(self, *, bytes_max: int = OPEN_SEGMENTS_BYTES_MAX) -> None:
        self._bytes_max = bytes_max
        self._entries: OrderedDict[CacheKey, _Entry] = OrderedDict()

    @property
    def size_bytes(self) -> int:
        opened = (entry.segment for entry in self._entries.values())
        return sum(segment.size_bytes for segment in opened if segment is not None)

    def __len__(self) -> int:
        return len(self._entries)

    @asynccontextmanager
    async def pinned(
        self, key: CacheKey, opener: Callable[[], Awaitable[Segment]]
    ) -> AsyncIterator[Segment]:
        """The open segment, opened once however many ask at once, kept while the block runs."""
        entry = self._entries.get(key)
        if entry is None:
            entry = self._entries[key] = _Entry(asyncio.ensure_future(opener()))
            entry.task.add_done_callback(_notice)
        entry.pins += 1
        self._entries.move_to_end(key)
        try:
            # Shielded: one caller that goes away must not fail the others that wait.
            segment = await asyncio.shield(entry.task)
            self._evict()
            yield segment
        finally:
            entry.pins -= 1
            failed = entry.task.done() and entry.segment is None
            if failed and self._entries.get(key) is entry:
                del self._entries[key]
            if self._entries.get(key) is not entry:
                self._wipe(entry)
            self._evict()

    def drop(self, tenant_id: str, keep: frozenset[str] = frozenset()) -> None:
        """Forget a tenant's segments but those to keep."""
        for key in [key for key in self._entries if key[0] == tenant_id and key[1] not in keep]:
            self._wipe(self._entries.pop(key))

    def clear(self) -> None:
        for key in list(self._entries):
            self._wipe(self._entries.pop(key))

    def _evict(self) -> None:
        size = self.size_bytes
        for key, entry in list(self._entries.items()):
            if size <= self._bytes_max:
                return
            if entry.pins == 0 and entry.segment is not None:
                size -= entry.segment.size_bytes
                self._wipe(self._entries.pop(key))

    def _wipe(self, entry: _Entry) -> None:
        """Zero now, or when the last pin goes."""
        if entry.pins == 0:
            entry.task.cancel()
            if entry.segment is not None:
                entry.segment.wipe()


def _notice(task: asyncio.Future[Segment]) -> None:
    """Mark a failure as seen: whoever still waits raises it, and nobody may wait any more."""
    if not task.cancelled():
        task.exception()
