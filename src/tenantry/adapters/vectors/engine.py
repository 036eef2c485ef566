"""What a vector engine must be able to do, and the rows it holds.

An engine has one door, `room`, and it takes a home: no method of a room names a tenant, and none
takes a filter in the engine's own language. Errors of a room: Unavailable for an engine that is
out of reach, refuses, or has lost the room; Corrupt where it answers for another tenant; Conflict
where it cannot hold vectors of this length, TooLarge where a passage does not fit.
"""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import Protocol, TypeVar

from tenantry.domain.document import Home
from tenantry.domain.errors import Corrupt, Unavailable
from tenantry.domain.ids import SegmentId

ROWS_PER_PUT = 64  # about 1.3 MB as JSON at 1,024 dimensions; Pinecone takes 2 MB
SEGMENTS_PER_CALL = 500  # named in one search or deletion
CALL_TIMEOUT_S = 10.0  # what a client is told
CALL_DEADLINE_S = 30.0  # with the client's own repetitions, of which some take a minute
CLOSE_DEADLINE_S = 2.0  # for calls that are under way; a worker's end has little time left
SETTLE_TIMEOUT_S = 60.0  # until what was put must be found
_THREADS = 16  # calls at once of one process to an engine whose client blocks
_SCOPE = re.compile(r"[a-z0-9][a-z0-9_]{0,47}")
_ROW_ID = re.compile(r"([0-9]{1,6})_([a-z]{1,16}_[0-9a-hjkmnp-tv-z]{26})")

T = TypeVar("T")
Items = TypeVar("Items")


@dataclass(frozen=True, slots=True)
class RowId:
    """Says nothing of its document: a segment of the manifest, and which of its rows."""

    segment_id: SegmentId
    number: int

    def __str__(self) -> str:
        # The number first: `0_` is then the prefix of exactly one row of each segment.
        return f"{self.number}_{self.segment_id}"


def row_id_from(text: str) -> RowId | None:
    """None for an id that is none of ours."""
    found = _ROW_ID.fullmatch(text)
    return RowId(SegmentId(found[2]), int(found[1])) if found else None


@dataclass(frozen=True, slots=True)
class Row:
    id: RowId
    vector: Sequence[float]  # of length 1
    sealed: bytes


@dataclass(frozen=True, slots=True)
class Hit:
    id: RowId
    sealed: bytes
    score: float  # cosine


class Room(Protocol):
    """One tenant's rows in an engine. A room that holds nothing need not exist there."""

    async def put(self, rows: Sequence[Row]) -> None:
        """Durable on return; the same row again replaces it. At most `ROWS_PER_PUT`."""
        ...

    async def settle(self, segment_id: SegmentId, rows: int) -> None:
        """Returns once a search by anybody finds the rows of this segment."""
        ...

    async def search(
        self, vector: Sequence[float], limit: int, segments: Sequence[SegmentId] | None = None
    ) -> Sequence[Hit]:
        """The nearest rows of this length, best first; of these segments alone where given.

        Fewer than `limit` only where there are no more, as far as the engine can tell.
        """
        ...

    async def fetch(self, ids: Sequence[RowId], dimensions: int) -> Sequence[Hit]:
        """Those of the rows that are there, in any order, with a score that says nothing."""
        ...

    async def delete(self, segments: Sequence[SegmentId]) -> None:
        """All rows of these segments. Idempotent."""
        ...

    async def segments(self) -> Sequence[SegmentId]:
        """Every segment of which a row is there."""
        ...

    async def drop(self) -> None:
        """The whole room. Idempotent."""
        ...


class Engine(Protocol):
    """One instance a process."""

    name: str
    exact: bool  # a search misses nothing, so that a short answer is a loss

    def room(self, home: Home) -> Room: ...

    async def close(self) -> None: ...


def scope_of(home: Home) -> str:
    """The tenant's id, if it can stand in a name or address and mean nothing but this tenant."""
    if not _SCOPE.fullmatch(home.tenant_id):
        raise Unavailable("The tenant's id cannot name a room of the vector engine.")
    return home.tenant_id


def in_parts(items: Iterable[Items], size: int) -> Iterator[list[Items]]:
    """Lists of `size` items, the last one shorter."""
    rest = iter(items)
    while part := list(islice(rest, size)):
        yield part


class Blocking:
    """Runs a client that blocks, in threads of its own."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix=name)

    async def run(self, work: Callable[[], T]) -> T:
        """Unavailable at the deadline; what the thread does after it counts for nothing."""
        try:
            async with asyncio.timeout(CALL_DEADLINE_S):
                return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        except TimeoutError:
            raise refused(self._name, "timed out") from None

    async def close(self, close_client: Callable[[], object]) -> None:
        """The client is closed after its last call. One that hangs is not waited for past the
        deadline, and the event loop does not wait at all."""

        def end() -> None:
            self._threads.shutdown(wait=True, cancel_futures=True)
            close_client()

        ending = threading.Thread(target=end, name=f"{self._name}-close", daemon=True)
        ending.start()
        await asyncio.to_thread(ending.join, CLOSE_DEADLINE_S)


def misaddressed() -> Corrupt:
    return Corrupt("The vector engine answered with another tenant's row.")


def garbled() -> Unavailable:
    return Unavailable("The vector engine's answer could not be understood.")


def refused(engine: str, status: object) -> Unavailable:
    """Without the engine's own words, which may repeat what was sent."""
    return Unavailable(f"The vector engine {engine} is out of reach or refuses ({status}).")
