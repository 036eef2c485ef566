"""The answer on one stream: frames in place of a head, chunks and a closed connection."""

from __future__ import annotations

import asyncio
import time
from typing import Protocol

from bedrock_emulator.wire.exchange import ABORT_TURN_S, ABORT_TURNS, Exchange, Headers, http_date


class Frames(Protocol):
    """What an answer needs of its connection."""

    def head(self, stream_id: int, fields: list[tuple[str, str]]) -> None: ...
    def body(self, stream_id: int, data: bytes, *, end: bool) -> None: ...
    def unsent(self, stream_id: int) -> bool: ...
    def reset(self, stream_id: int) -> None: ...


class StreamExchange(Exchange):
    def __init__(
        self, transport: asyncio.Transport, frames: Frames, stream_id: int, *, head_only: bool
    ) -> None:
        super().__init__(transport, keep_alive=True, chunked=False)
        self._frames = frames
        self._stream_id = stream_id
        self._head_only = head_only
        self.ended = False  # in good order, or by a reset

    def respond(self, status: int, headers: Headers, body: bytes) -> None:
        if self.gone:
            return
        self.start(status, {**headers, "content-length": str(len(body))})
        self._frames.body(self._stream_id, b"" if self._head_only else body, end=True)
        self.ended = True

    async def respond_half(self, status: int, headers: Headers, body: bytes) -> None:
        if self.gone:
            return
        self.start(status, {**headers, "content-length": str(len(body))})
        self._frames.body(self._stream_id, body[: len(body) // 2], end=False)
        await self.abort()

    def start(self, status: int, headers: Headers) -> None:
        if self.gone:
            return
        fields = [(":status", str(status)), ("date", http_date(int(time.time())))]
        fields += [(name.lower(), value) for name, value in headers.items()]
        self.started = True
        self._frames.head(self._stream_id, fields)

    async def send(self, data: bytes) -> None:
        if self.gone:
            return
        self._frames.body(self._stream_id, data, end=False)
        if self._writable is not None:
            await self._writable.wait()

    def finish(self) -> None:
        if not self.gone:
            self._frames.body(self._stream_id, b"", end=True)
            self.ended = True

    async def abort(self) -> None:
        """Sends what was written so far, then resets the stream."""
        for _ in range(ABORT_TURNS):
            if self.gone or not self._frames.unsent(self._stream_id):
                break
            await asyncio.sleep(ABORT_TURN_S)
        self.ended = True
        if not self.gone:
            self._frames.reset(self._stream_id)
