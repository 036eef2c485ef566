"""A streamed answer on its way to a client, written down as it passes.

Owns: how much of it is held. Invariants: what fits is read to its end whoever listens; at most
its limit of one answer and `RECORDED_BYTES_MAX` of all answers of a worker are held; past
them the answer still reaches its client, at the client's pace, and is not kept.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final

ANSWER_BYTES_MAX: Final = 1024 * 1024  # of one answer (docs/reference/http.md, `Idempotency-Key`)
RECORDED_BYTES_MAX: Final = 64 * 1024 * 1024  # of all streams under way in a worker
_AHEAD_MAX: Final = 64  # chunks that an answer too large to keep may be ahead of its client


@dataclass(frozen=True, slots=True)
class Flow:
    """An answer piece by piece. `leave` is called as soon as its client has gone."""

    headers: Mapping[str, str]
    chunks: AsyncIterator[bytes]
    leave: Callable[[], None]


@dataclass(slots=True)
class RecordedBytes:
    """What the recordings of a worker hold together."""

    held: int = 0


class Recording:
    """One flow, from its source to one client."""

    def __init__(self, source: Flow, total: RecordedBytes, limit: int) -> None:
        self._source = source
        self._total = total
        self._limit = limit  # bytes of an answer that is kept
        self._size = 0
        self._kept: list[bytes] | None = []
        self._ahead: deque[bytes] = deque()
        self._moved = asyncio.Event()  # a chunk came or went
        self._ended = False
        self._gone = False

    @property
    def flow(self) -> Flow:
        """What the client reads."""
        return Flow(self._source.headers, self._read(), self._leave)

    async def run(self, finish: Callable[[bytes | None], Awaitable[None]], *, hold: bool) -> None:
        """Reads the source to its end, then calls `finish(whole answer)`, None if it was too large.

        `hold`: each chunk waits for the one after it, the last for `finish`, so that whoever has
        read the end can rely on the answer being kept.
        """
        held = b""
        try:
            async for chunk in self._source.chunks:
                self._note(chunk)
                if hold:
                    held, chunk = chunk, held
                await self._offer(chunk)
            if not hold:
                self._end()
            await finish(None if self._kept is None else b"".join(self._kept))
            await self._offer(held)
        finally:
            self._forget()
            self._end()

    async def _read(self) -> AsyncIterator[bytes]:
        while self._ahead or not self._ended:
            if self._ahead:
                chunk = self._ahead.popleft()
                self._moved.set()
                yield chunk
            else:
                self._moved.clear()
                await self._moved.wait()

    def _end(self) -> None:
        self._ended = True
        self._moved.set()

    def _leave(self) -> None:
        self._gone = True
        self._ahead.clear()
        self._moved.set()
        self._source.leave()

    def _note(self, chunk: bytes) -> None:
        if self._kept is None:
            return
        self._size += len(chunk)
        self._total.held += len(chunk)
        self._kept.append(chunk)
        if self._size > self._limit or self._total.held > RECORDED_BYTES_MAX:
            self._forget()

    def _forget(self) -> None:
        if self._kept is not None:
            self._kept = None
            self._total.held -= self._size

    async def _offer(self, chunk: bytes) -> None:
        if self._gone or not chunk:
            return
        self._ahead.append(chunk)
        self._moved.set()
        while self._kept is None and len(self._ahead) >= _AHEAD_MAX and not self._gone:
            self._moved.clear()
            await self._moved.wait()
