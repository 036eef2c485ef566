"""A streamed answer: frames as they come, and a truthful account of how they ended."""

from __future__ import annotations

import base64
from collections import deque
from collections.abc import Callable, Mapping
from typing import Final

import orjson

from tenantry.adapters.bedrock.connection import ExchangeFailed
from tenantry.adapters.bedrock.exchange import Exchange
from tenantry.domain.eventstream import Decoder, EventStreamError, Frame, TruncatedStream
from tenantry.domain.normalise import INVOCATION_METRICS
from tenantry.ports.model import FailureKind, StreamEnd, StreamEndKind

_ENDS: Final[Mapping[FailureKind, StreamEndKind]] = {
    FailureKind.TIMED_OUT: StreamEndKind.TIMED_OUT,
    FailureKind.BROKEN: StreamEndKind.CUT,
}


class EventStreamReply:
    """See `ports.model.StreamReply`. The connection is given back as soon as the end is known,
    and `ended` is told of it, once."""

    def __init__(
        self, exchange: Exchange, max_bytes: int, ended: Callable[[StreamEnd], None]
    ) -> None:
        self.status = exchange.status
        self.headers = exchange.headers
        self.end: StreamEnd | None = None
        self._exchange = exchange
        self._ended = ended
        self._decoder = Decoder()
        self._ready: deque[Frame] = deque()
        self._left_bytes = max_bytes
        self._last: Frame | None = None
        self._metadata: Frame | None = None
        self._exception: Frame | None = None

    @property
    def request_id(self) -> str | None:
        """Bedrock's id of the call."""
        return self.headers.get("x-amzn-requestid")

    def __aiter__(self) -> EventStreamReply:
        return self

    async def __anext__(self) -> Frame:
        while not self._ready:
            if self.end is not None:
                raise StopAsyncIteration
            await self._pull()
        return self._ready.popleft()

    async def aclose(self) -> None:
        """See `ports.model.StreamReply`."""
        if self.end is None:
            await self._finish(StreamEnd(StreamEndKind.CLOSED, message="closed before its end"))
        self._ready.clear()

    async def _pull(self) -> None:
        """Read one piece; what it completes is ready, or the stream has an end."""
        try:
            piece = await self._exchange.read()
            if piece is None:
                self._decoder.close()
                return await self._finish(self._regular_end())
            self._left_bytes -= len(piece)
            if self._left_bytes < 0:
                end = StreamEnd(StreamEndKind.GARBLED, message="the stream is too large")
                return await self._finish(end)
            frames = self._decoder.feed(piece)
        except ExchangeFailed as error:
            return await self._finish(self._broken_end(_ENDS[error.kind], error.message))
        except TruncatedStream as error:
            return await self._finish(self._broken_end(StreamEndKind.CUT, str(error)))
        except EventStreamError as error:
            return await self._finish(self._broken_end(StreamEndKind.GARBLED, str(error)))
        for frame in frames:
            self._last = frame
            if frame.event_type == "metadata":
                self._metadata = frame
            if frame.message_type != "event":
                self._exception = frame
        self._ready.extend(frames)
        return None

    async def _finish(self, end: StreamEnd) -> None:
        self.end = end
        self._exchange.close()
        self._ended(end)

    def _regular_end(self) -> StreamEnd:
        if self._exception is not None:
            return self._exception_end(self._exception)
        if self._has_usage():
            return StreamEnd(StreamEndKind.COMPLETE)
        return StreamEnd(StreamEndKind.CUT, message="the stream ended without its usage")

    def _broken_end(self, kind: StreamEndKind, message: str) -> StreamEnd:
        """An end in disorder. Usage or an exception that came before it is still the end."""
        if self._exception is not None:
            return self._exception_end(self._exception)
        if self._has_usage():
            return StreamEnd(StreamEndKind.COMPLETE, message=message)
        return StreamEnd(kind, message=message)

    def _has_usage(self) -> bool:
        frame = self._metadata or self._last
        return frame is not None and carries_usage(frame)

    def _exception_end(self, frame: Frame) -> StreamEnd:
        error_type = frame.exception_type or frame.headers.get(":error-code")
        document = _decoded(frame.payload)
        message = document.get("message", frame.headers.get(":error-message", ""))
        return StreamEnd(
            StreamEndKind.EXCEPTION,
            error_type=error_type if isinstance(error_type, str) else None,
            message=message if isinstance(message, str) else "",
        )


def carries_usage(frame: Frame) -> bool:
    """Whether a stream that has this frame is whole: Converse's `metadata` event, or the last
    native chunk with the invocation's metrics."""
    if frame.event_type == "metadata":
        return "usage" in _decoded(frame.payload)
    return frame.event_type == "chunk" and INVOCATION_METRICS in native_chunk(frame)


def native_chunk(frame: Frame) -> Mapping[str, object]:
    """The native JSON in a `chunk` event; empty where it is none."""
    encoded = _decoded(frame.payload).get("bytes")
    if not isinstance(encoded, str):
        return {}
    try:
        return _decoded(base64.b64decode(encoded, validate=True))
    except ValueError:  # which of letters beyond ASCII is no `binascii.Error`
        return {}


def _decoded(payload: bytes) -> Mapping[str, object]:
    try:
        document = orjson.loads(payload)
    except orjson.JSONDecodeError:
        return {}
    return document if isinstance(document, dict) else {}
