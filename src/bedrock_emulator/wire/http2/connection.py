"""An HTTP/2 connection: its streams become requests, their answers frames, as windows allow."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field
from typing import Final

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import (
    DataReceived,
    Event,
    RemoteSettingsChanged,
    RequestReceived,
    StreamEnded,
    StreamReset,
    WindowUpdated,
)
from h2.exceptions import ProtocolError
from h2.settings import SettingCodes, Settings
from hyperframe.frame import Frame, GoAwayFrame

from bedrock_emulator.wire.exchange import Request
from bedrock_emulator.wire.http2.exchange import StreamExchange
from bedrock_emulator.wire.serving import REFUSALS, Limits, Server

PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_STREAM_WINDOW: Final = 1_048_576  # bytes that a client may send before it hears of more room
_CONNECTION_WINDOW: Final = 16_777_216
_STREAMS_MAX: Final = 2**31 - 1
_NEVER: Final = float("inf")


@dataclass(slots=True)
class _Stream:
    method: str
    target: str
    headers: dict[str, str]
    refusal: int
    exchange: StreamExchange
    until: float  # when it is late, with its request or in taking its answer
    body: list[bytes] = field(default_factory=list)
    body_bytes: int = 0
    unsent: bytearray = field(default_factory=bytearray)
    ends: bool = False  # with what is unsent


class _H2(H2Connection):
    """A client that says that it goes (GOAWAY) takes the answers it waits for all the same: the
    AWS SDK for JavaScript says so with every request. h2 would send nothing more."""

    def _receive_goaway_frame(self, frame: GoAwayFrame) -> tuple[list[Frame], list[Event]]:
        return [], []


def _begun(limits: Limits) -> H2Connection:
    """With our settings to be sent."""
    h2 = _H2(H2Configuration(client_side=False, header_encoding=None))
    told = {
        SettingCodes.MAX_CONCURRENT_STREAMS: limits.streams,
        SettingCodes.INITIAL_WINDOW_SIZE: _STREAM_WINDOW,
        SettingCodes.MAX_HEADER_LIST_SIZE: limits.header_bytes,
    }
    h2.local_settings = Settings(client=False, initial_values=told)
    h2.initiate_connection()
    h2.increment_flow_control_window(_CONNECTION_WINDOW)
    # A stream too many is refused here; h2 would end the connection, with all others on it.
    held = {**told, SettingCodes.MAX_CONCURRENT_STREAMS: _STREAMS_MAX}
    h2.local_settings = Settings(client=False, initial_values=held)
    return h2


class Http2Connection(asyncio.Protocol):
    """From the first byte of the client's preface on."""

    def __init__(self, server: Server, *, from_loopback: bool) -> None:
        self._server = server
        self._limits = server.limits
        self._from_loopback = from_loopback
        self._h2 = _begun(self._limits)
        self._streams: dict[int, _Stream] = {}
        self._transport: asyncio.Transport | None = None
        self._full = False  # the transport takes no more for now
        self._deadline = server.loop.time() + self._limits.idle_s  # while there are no streams

    def take_over(self, transport: asyncio.Transport, data: bytes) -> None:
        """Goes on with what the client has sent so far."""
        self._transport = transport
        self._server.connections.add(self)
        self.data_received(data)

    # asyncio.Protocol
    def data_received(self, data: bytes) -> None:
        try:
            for event in self._h2.receive_data(data):
                self._heed(event)
        except ProtocolError:
            self._end()
            return
        self._pump()

    def connection_lost(self, exc: Exception | None) -> None:
        self._server.connections.discard(self)
        self._transport = None
        for stream in tuple(self._streams.values()):
            stream.exchange.client_left()
        self._streams.clear()

    def pause_writing(self) -> None:
        self._full = True
        if self._transport is not None:
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        self._full = False
        if self._transport is not None:
            self._transport.resume_reading()
        self._pump()

    # what comes
    def _heed(self, event: Event) -> None:
        if isinstance(event, RequestReceived):
            self._begin(event)
        elif isinstance(event, DataReceived):
            self._h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            self._data(event)
        elif isinstance(event, StreamEnded):
            self._whole(event.stream_id)
        elif isinstance(event, StreamReset):
            self._forget(event.stream_id)
        elif isinstance(event, WindowUpdated | RemoteSettingsChanged):
            for stream in self._streams.values():
                self._took_some(stream)

    def _begin(self, event: RequestReceived) -> None:
        assert self._transport is not None
        stream_id = event.stream_id
        if len(self._streams) >= self._limits.streams:
            self.reset(stream_id, ErrorCodes.REFUSED_STREAM)
            return
        headers: dict[str, str] = {}
        size = 0
        for field_name, field_value in event.headers:
            size += len(field_name) + len(field_value)
            name, value = bytes(field_name).decode("latin-1"), bytes(field_value).decode("latin-1")
            known = headers.get(name)
            headers[name] = value if known is None else f"{known},{value}"
        method, path = headers.pop(":method"), headers.pop(":path", "/")
        if ":authority" in headers:  # which clients sign by that name
            headers.setdefault("host", headers[":authority"])
        self._streams[stream_id] = _Stream(
            method=method,
            target=path,
            headers=headers,
            refusal=self._refusal(path, size, len(event.headers), headers),
            exchange=StreamExchange(self._transport, self, stream_id, head_only=method == "HEAD"),
            until=self._server.loop.time() + self._limits.request_s,
        )
        if headers.get("expect", "").lower() == "100-continue" and not event.stream_ended:
            self.head(stream_id, [(":status", "100")])

    def _refusal(self, target: str, size: int, count: int, headers: dict[str, str]) -> int:
        limits, length = self._limits, headers.get("content-length", "0")
        if len(target) > limits.target_bytes:
            return 414
        if size > limits.header_bytes or count > limits.header_count:
            return 431
        return 413 if length.isdigit() and int(length) > limits.body_bytes else 0

    def _data(self, event: DataReceived) -> None:
        stream = self._streams.get(event.stream_id)
        if stream is None:
            return
        stream.body_bytes += len(event.data)
        held = sum(other.body_bytes for other in self._streams.values())
        if stream.body_bytes > self._limits.body_bytes:
            stream.refusal = 413
            stream.body.clear()
        if stream.body_bytes > self._limits.discard_bytes or held > self._limits.held_bytes:
            self.reset(event.stream_id, ErrorCodes.ENHANCE_YOUR_CALM)
        elif not stream.refusal:
            stream.body.append(event.data)

    def _whole(self, stream_id: int) -> None:
        stream = self._streams.get(stream_id)
        if stream is None:
            return
        stream.until = _NEVER
        if stream.refusal:
            self._server.refuse(stream.refusal, *REFUSALS[stream.refusal], stream.exchange)
            return
        path, _, query = stream.target.partition("?")
        request = Request(
            method=stream.method,
            raw_path=path,
            raw_query=query,
            headers=stream.headers,
            body=b"".join(stream.body),
            from_loopback=self._from_loopback,
        )
        stream.body.clear()
        self._server.spawn(self._run(stream_id, request, stream.exchange))

    async def _run(self, stream_id: int, request: Request, exchange: StreamExchange) -> None:
        try:
            await self._server.handle(request, exchange)
        finally:
            if not exchange.ended and not exchange.gone:
                self.reset(stream_id)

    # what goes: `Frames`
    def head(self, stream_id: int, fields: list[tuple[str, str]]) -> None:
        try:
            self._h2.send_headers(stream_id, fields)
        except ProtocolError:  # the client has reset it meanwhile
            self._forget(stream_id)
        self._flush()

    def body(self, stream_id: int, data: bytes, *, end: bool) -> None:
        stream = self._streams[stream_id]
        stream.unsent += data
        stream.ends = end
        self._send(stream_id, stream)

    def unsent(self, stream_id: int) -> bool:
        return stream_id in self._streams and bool(self._streams[stream_id].unsent)

    def reset(self, stream_id: int, code: ErrorCodes = ErrorCodes.INTERNAL_ERROR) -> None:
        with contextlib.suppress(ProtocolError):
            self._h2.reset_stream(stream_id, code)
        self._flush()
        self._forget(stream_id)

    def _pump(self) -> None:
        """Sends what waits for a window or for the transport."""
        for stream_id, stream in tuple(self._streams.items()):
            if stream.unsent:
                self._send(stream_id, stream)
        self._flush()

    def _send(self, stream_id: int, stream: _Stream) -> None:
        try:
            self._send_what_fits(stream_id, stream)
        except ProtocolError:
            self._forget(stream_id)
        self._flush()

    def _send_what_fits(self, stream_id: int, stream: _Stream) -> None:
        while stream.unsent and not self._full:
            room = min(
                self._h2.local_flow_control_window(stream_id), self._h2.max_outbound_frame_size
            )
            if room <= 0:
                break
            self._h2.send_data(stream_id, bytes(stream.unsent[:room]))
            del stream.unsent[:room]
            self._flush()
        if stream.unsent:
            if stream.until == _NEVER:
                stream.until = self._server.loop.time() + self._limits.stall_s
                stream.exchange.pause_writing()
            return
        stream.until = _NEVER
        stream.exchange.resume_writing()
        if stream.ends:
            self._h2.end_stream(stream_id)
            self._ended(stream_id)

    def _took_some(self, stream: _Stream) -> None:
        if stream.unsent:
            stream.until = self._server.loop.time() + self._limits.stall_s

    def _flush(self) -> None:
        data = self._h2.data_to_send()
        if data and self._transport is not None:
            self._transport.write(data)

    # the end
    def _forget(self, stream_id: int) -> None:
        """Of a client that has left the stream, or whom it was cut off."""
        stream = self._streams.get(stream_id)
        if stream is not None:
            stream.exchange.client_left()
            self._ended(stream_id)

    def _ended(self, stream_id: int) -> None:
        del self._streams[stream_id]
        if not self._streams:
            self._deadline = self._server.loop.time() + self._limits.idle_s

    def cut_if_late(self, now: float) -> None:
        if self._transport is None:
            return
        if not self._streams and now > self._deadline:
            if self._transport.is_closing():
                self._transport.abort()
            else:
                self.close()
        for stream_id, stream in tuple(self._streams.items()):
            if now > stream.until:
                self.reset(stream_id)

    def close(self) -> None:
        """Tells the client, and closes once what was written has left, which has a limit too."""
        if self._transport is None or self._transport.is_closing():
            return
        self._h2.close_connection()
        self._end()

    def _end(self) -> None:
        """After h2 has said why, to be written."""
        if self._transport is None or self._transport.is_closing():
            return
        for stream_id in tuple(self._streams):
            self._forget(stream_id)
        self._flush()
        self._deadline = self._server.loop.time() + self._limits.close_s
        self._transport.close()
