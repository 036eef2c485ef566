"""Open segments in bounded memory: least recently used leave first, and are zeroed as they leave.

Lives on one event loop. A segment that a search has pinned is never wiped under it, so memory may
pass the limit by what the running searches hold; their number is bounded by the partitions.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

from tenantry.adapters.sealed.open_segment import OpenSegment

OPEN_SEGMENTS_BYTES_MAX = 64 * 1024 * 1024  # a gateway worker stays under 200 MB in all

CacheKey = tuple[str, str]  # tenant id, segment id
Opener = Callable[[], Awaitable[OpenSegment]]


@dataclass(slots=True, eq=False)
class _Entry:
    task: asyncio.Future[OpenSegment]
    pins: int = 0
    size_bytes: int = 0  # once open, and as long as the cache holds it

    @property
    def segment(self) -> OpenSegment | None:
        if not self.task.done() or self.task.cancelled() or self.task.exception() is not None:
            return None
        return self.task.result()


class SegmentCache:
    def __init__(self, *, bytes_max: int = OPEN_SEGMENTS_BYTES_MAX) -> None:
        self._bytes_max = bytes_max
        self._entries: OrderedDict[CacheKey, _Entry] = OrderedDict()
        self._size_bytes = 0

    @property
    def size_bytes(self) -> int:
        return self._size_bytes

    @property
    def bytes_max(self) -> int:
        return self._bytes_max

    def __len__(self) -> int:
        return len(self._entries)

    @asynccontextmanager
    async def pinned(self, wanted: Mapping[CacheKey, Opener]) -> AsyncIterator[list[OpenSegment]]:
        """The open segments, each opened once however many ask at once, kept while the block
        runs.
        """
        held: list[tuple[CacheKey, _Entry]] = []
        try:
            for key, opener in wanted.items():
                entry = self._entries.get(key)
                if entry is None:
                    entry = self._add(key, asyncio.ensure_future(opener()))
                entry.pins += 1
                held.append((key, entry))
                self._entries.move_to_end(key)
            for _, entry in held:
                if not entry.task.done():
                    # Shielded: one caller that goes away must not fail the others that wait.
                    await asyncio.shield(entry.task)
            for key, entry in held:
                if self._entries.get(key) is entry:
                    self._weigh(entry)  # it may be open since this moment, and not be weighed yet
            self._evict()
            yield [entry.task.result() for _, entry in held]
        finally:
            for key, entry in held:
                entry.pins -= 1
                if self._entries.get(key) is not entry:
                    _wipe(entry)
                else:
                    self._weigh(entry)  # a search may have made it heavier
            self._evict()

    def drop(self, tenant_id: str, keep: frozenset[str] = frozenset()) -> None:
        """Forget a tenant's segments but those to keep."""
        for key in [key for key in self._entries if key[0] == tenant_id and key[1] not in keep]:
            self._remove(key)

    def clear(self) -> None:
        for key in list(self._entries):
            self._remove(key)

    def _add(self, key: CacheKey, task: asyncio.Future[OpenSegment]) -> _Entry:
        entry = self._entries[key] = _Entry(task)

        def opened(done: asyncio.Future[OpenSegment]) -> None:
            # Asking for the exception marks it as seen: whoever waits raises it.
            failed = done.cancelled() or done.exception() is not None
            if self._entries.get(key) is not entry:
                _wipe(entry)  # dropped while it was being opened
            elif failed:
                del self._entries[key]
            else:
                self._weigh(entry)

        task.add_done_callback(opened)
        return entry

    def _weigh(self, entry: _Entry) -> None:
        if entry.segment is not None:
            size_bytes = entry.segment.size_bytes
            self._size_bytes += size_bytes - entry.size_bytes
            entry.size_bytes = size_bytes

    def _evict(self) -> None:
        if self._size_bytes <= self._bytes_max:
            return
        for key, entry in list(self._entries.items()):
            if entry.pins == 0 and entry.size_bytes:
                self._remove(key)
                if self._size_bytes <= self._bytes_max:
                    return

    def _remove(self, key: CacheKey) -> None:
        entry = self._entries.pop(key)
        self._size_bytes -= entry.size_bytes
        _wipe(entry)


def _wipe(entry: _Entry) -> None:
    """Zero now, or when the last pin goes; what is still opening is zeroed when it is open."""
    if entry.pins == 0 and entry.segment is not None:
        entry.segment.wipe()
