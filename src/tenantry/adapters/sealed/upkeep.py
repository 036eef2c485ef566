"""What writes leave to be done later: merges, and deletion of what was replaced.

A replaced or emptied segment stays for a while, sealed and named by nobody: a search that read the
manifest just before still finds every part of what it read, however fast the tenant writes. What a
dead process leaves behind, and one that was ended, the sweep takes. What a merge has replaced goes
to the trash; what held deleted documents alone is deleted, by the sweep too: the commit of the
deletion has noted it.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, Iterable

from tenantry.domain.document import Home
from tenantry.domain.errors import TenantryError
from tenantry.domain.ids import SegmentId, TenantId

REPLACED_GRACE_S = 30.0  # far longer than a search takes between manifest and last frame
REPLACED_MAX = 10_000  # waiting for deletion; beyond, the oldest go at once
TENANTS_MAX = 4_096  # waiting for a merge; beyond, the next write asks again
_log = logging.getLogger(__name__)

Compact = Callable[[Home], Awaitable[None]]
Delete = Callable[[Home, SegmentId], Awaitable[None]]


class Upkeep:
    """One task for merges and one for deletions, each alive only while there is work."""

    def __init__(self, compact: Compact, monotonic: Callable[[], float], grace_s: float) -> None:
        self._compact = compact
        self._monotonic = monotonic
        self._grace_s = grace_s
        self._unmerged: OrderedDict[TenantId, Home] = OrderedDict()
        self._replaced: deque[tuple[float, Home, SegmentId, Delete]] = deque()
        self._merger: asyncio.Task[None] | None = None
        self._deleter: asyncio.Task[None] | None = None

    def compact_soon(self, home: Home) -> None:
        if len(self._unmerged) < TENANTS_MAX:
            self._unmerged[home.tenant_id] = home
        if self._merger is None or self._merger.done():
            self._merger = asyncio.create_task(self._merge_all(), name="merge segments")

    def later(self, delete: Delete, home: Home, segments: Iterable[SegmentId]) -> None:
        """`delete` or discard them, once no search reads them any more."""
        due = self._monotonic() + self._grace_s
        self._replaced.extend((due, home, segment_id, delete) for segment_id in segments)
        if self._replaced and (self._deleter is None or self._deleter.done()):
            self._deleter = asyncio.create_task(self._delete_all(), name="delete segments")

    async def settle(self) -> None:
        """Wait for the merges, and delete what is replaced without further delay."""
        while self._merger is not None and not self._merger.done():
            await asyncio.wait([self._merger])
        while self._replaced:
            await self._delete_first()

    def close(self) -> None:
        for task in (self._merger, self._deleter):
            if task is not None and not task.done():
                task.cancel()

    async def _merge_all(self) -> None:
        while self._unmerged:
            _, home = self._unmerged.popitem(last=False)
            await _tried("merging segments", self._compact(home))

    async def _delete_all(self) -> None:
        while self._replaced:
            wait_s = self._replaced[0][0] - self._monotonic()
            if wait_s > 0 and len(self._replaced) <= REPLACED_MAX:
                await asyncio.sleep(min(wait_s, 1.0))
            else:
                await self._delete_first()

    async def _delete_first(self) -> None:
        _, home, segment_id, delete = self._replaced.popleft()
        await _tried("deleting a segment", delete(home, segment_id))


async def _tried(what: str, work: Awaitable[None]) -> None:
    """None of it is owed to anybody: a failure leaves it to the next write or to the sweep."""
    try:
        await work
    except TenantryError as refusal:
        _log.info("%s is left for later: %s", what, refusal.message)
    except Exception:
        # A fault of ours with one tenant must not end the upkeep of all others.
        _log.exception("%s failed", what)
