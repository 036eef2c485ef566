"""An HTTP/2 connection: frames by turns, deadlines, and how it begins and ends."""

from __future__ import annotations

import asyncio
import logging
import traceback
from typing import Final, cast

from h2.errors import ErrorCodes
from h2.events import (
    DataReceived,
    Event,
    RemoteSettingsChanged,
    RequestReceived,
    StreamEnded,
    StreamReset,
    TrailersReceived,
    WindowUpdated,
)
from h2.exceptions import ProtocolError
from hpack import HPACKError
from hyperframe.frame import GoAwayFrame

from tenantry.entrypoints.http.wire.host import Host
from tenantry.entrypoints.http.wire.http2 import budget
from tenantry.entrypoints.http.wire.http2.budget import Budget
from tenantry.entrypoints.http.wire.http2.frames import (
    CONTINUATION,
    DATA,
    GOAWAY,
    PRIORITY,
    SETTINGS,
    Frame,
    Frames,
    Violation,
    known_settings,
)
from tenantry.entrypoints.http.wire.http2.lingering import on_its_way
from tenantry.entrypoints.http.wire.http2.protocol import (
    begun,
    keep_packing_small,
    list_bytes_max,
)
from tenantry.entrypoints.http.wire.http2.sending import Sending
from tenantry.entrypoints.http.wire.http2.streams import Streams

_NEVER: Final = float("inf")
_ALL_STREAMS: Final = 2**31 - 1
_LOOK_S: Final = 0.05  # how often, at the end, for what has not left
# Before others have their turn: a frame may begin a request.
_TURN_FRAMES: Final = 32
_TURN_BYTES: Final = 65_536
_log = logging.getLogger(__name__)


class Http2Connection(asyncio.Protocol):
    """From the end of the client's preface on."""

    __slots__ = (
        "_budget", "_closing", "_deadline", "_draining", "_frames", "_h2", "_head_parts",
        "_head_until", "_host",
        "_last_said", "_leaving", "_limits", "_lingers", "_paused", "_sending", "_stall_until",
        "_streams", "_transport", "_turn_due", "_unsent_bytes",
    )  # fmt: skip

    def __init__(self, host: Host) -> None:
        limits = host.limits
        self._host = host
        self._limits = limits
        self._transport: asyncio.Transport | None = None
        self._h2 = begun(limits)
        self._frames = Frames(list_bytes_max(limits))
        self._budget = Budget(limits.frames)
        self._sending = Sending(self._h2, host, self._budget, self._answer_left)
        self._streams = Streams(host, self._h2, self._sending, self._budget, self._fell_idle)
        self._head_parts = 0  # of the head that was read last, packed
        self._closing = False
        self._lingers = False  # nothing is read any more but to be dropped
        self._last_said = _ALL_STREAMS  # of which the client heard that it may have been served
        self._leaving = False  # was told to come back on another connection
        self._draining = False  # ends with its last stream
        self._paused = False
        self._turn_due = False
        self._deadline = host.loop.time() + limits.head_s  # while there are no streams
        self._head_until = _NEVER  # while a frame or head is not whole yet
        self._stall_until = _NEVER  # while the transport is full
        self._unsent_bytes = 0  # when that was set

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = self._sending.transport = cast(asyncio.Transport, transport)
        self._host.connections.add(self)
        self._sending.flush()
        if self._host.finishing:
            self.finish()

    def data_received(self, data: bytes) -> None:
        if self._closing:
            return
        self._frames.add(data)
        if not self._turn_due and not self._sending.full:
            self._turn()

    def eof_received(self) -> bool:
        """Of a client that could not even open a window any more: it has gone."""
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._closing = True
        self._transport = self._sending.transport = None
        self._host.connections.discard(self)
        if not self._host.connections:
            self._host.ended.set()
        self._streams.abandon()

    def pause_writing(self) -> None:
        self._sending.full = True
        self._head_until = _NEVER  # it is us who read no more
        if not self._closing:
            self._pause(True)
        self._arm_stall()

    def resume_writing(self) -> None:
        self._sending.full = False
        if self._closing:  # what is left has its deadline too
            self._arm_stall()
            return
        self._stall_until = _NEVER
        self._sending.pump()
        if not self._turn_due and not self._sending.full:
            self._turn()

    # frames by turns

    def _over(self) -> bool:
        return self._closing or self._transport is None

    def _turn(self) -> None:
        """Looks at some of what has come. Nothing more is read while some of it waits, or while
        the client does not take what it is told: answers to pings would pile up."""
        self._turn_due = False
        waits = not self._over() and self._safely_read()
        if self._over():
            return
        self._sending.pump()
        if self._over():
            return
        if waits and not self._sending.full:
            self._turn_due = True
            self._host.loop.call_soon(self._turn)
        stopped = waits or self._sending.full
        self._pause(stopped)
        if stopped or not self._frames.in_head:
            self._head_until = _NEVER
        elif self._head_until == _NEVER:
            self._head_until = self._host.loop.time() + self._limits.head_s

    def _pause(self, wanted: bool) -> None:
        if wanted != self._paused and self._transport is not None:
            self._paused = wanted
            if wanted:
                self._transport.pause_reading()
            else:
                self._transport.resume_reading()

    def _safely_read(self) -> bool:
        """Whether more is left. The connection ends where its client breaks the protocol, or we
        do: no stream is left hanging."""
        try:
            return self._read()
        except Violation as violation:
            self.close(violation.code)
        except ProtocolError as error:
            code = error.error_code
            if code == ErrorCodes.PROTOCOL_ERROR and isinstance(error.__cause__, HPACKError):
                code = ErrorCodes.COMPRESSION_ERROR
            self._h2.clear_outbound_data_buffer()  # what it says itself is said by `close`
            self.close(code)
        except Exception as error:
            place = traceback.extract_tb(error.__traceback__)[-1]
            name = type(error).__name__
            _log.error("unexpected in HTTP/2: %s at %s:%s", name, place.filename, place.lineno)
            self.close(ErrorCodes.INTERNAL_ERROR)
        return False

    def _read(self) -> bool:
        left_bytes = _TURN_BYTES
        for _ in range(_TURN_FRAMES):
            frame = self._frames.next()
            if frame is None or self._closing:
                return False
            before = self._budget.spent
            self._look_at(frame)
            # A head of a few bytes may unpack to thousands of fields.
            cost_bytes = (self._budget.spent - before) * budget.PART_BYTES
            left_bytes -= max(len(frame.whole), cost_bytes)
            if left_bytes <= 0:
                break
        return self._frames.waiting_bytes > 0

    def _look_at(self, frame: Frame) -> None:
        parts = 0 if frame.kind == DATA else frame.length // budget.PART_BYTES
        self._budget.spend(budget.FRAME + parts)
        self._head_parts = parts + (self._head_parts if frame.kind == CONTINUATION else 0)
        if frame.kind == GOAWAY:  # h2 would send nothing more, not even what the client waits for
            self._draining = True
            if not self._streams.open:
                self.close()
        elif frame.kind != PRIORITY and frame.kind <= CONTINUATION:
            known = known_settings(frame.whole) if frame.kind == SETTINGS else frame.whole
            for event in self._h2.receive_data(known):
                self._heed(event)

    def _heed(self, event: Event) -> None:
        streams = self._streams
        if isinstance(event, RequestReceived):
            streams.begin(event, self._head_parts)
        elif isinstance(event, DataReceived):
            streams.data(event)
        elif isinstance(event, StreamEnded):
            streams.whole(event.stream_id)
        elif isinstance(event, StreamReset):
            streams.client_left(event.stream_id)
        elif isinstance(event, WindowUpdated):
            # Of the connection: whose windows are open wait in their order already.
            if event.stream_id:
                streams.look_again(event.stream_id)
        elif isinstance(event, RemoteSettingsChanged):
            keep_packing_small(self._h2)
            streams.look_again(0)
        elif isinstance(event, TrailersReceived):
            streams.trailers(event)

    # deadlines

    def _arm_stall(self) -> None:
        self._stall_until = self._host.loop.time() + self._limits.stall_s
        self._unsent_bytes = self._write_buffer_bytes()

    def _write_buffer_bytes(self) -> int:
        if self._transport is None:
            return 0
        below = on_its_way(self._transport) if self._lingers else 0
        return self._transport.get_write_buffer_size() + below

    def cut_if_late(self, now: float) -> None:
        """As an HTTP/1.1 connection's; the streams have their own deadlines beside."""
        if self._transport is None:
            return
        self._budget.earn(budget.SECOND)
        if now > self._stall_until:
            if self._unsent_bytes - self._write_buffer_bytes() < self._limits.stall_bytes:
                self.cut()
                return
            self._arm_stall()
        if self._closing:
            return
        if not self._streams.open and now > self._deadline:
            self.close()
        elif now > self._head_until:
            self.cut()
        else:
            self._streams.cut_late(now)

    def _fell_idle(self) -> None:
        if self._draining:
            self.close()
        elif not self._closing:
            wait_s = self._limits.close_s if self._leaving else self._limits.idle_s
            self._deadline = self._host.loop.time() + wait_s

    def _answer_left(self, stream_id: int) -> None:
        self._streams.settle(stream_id)

    # the end

    def close_if_idle(self) -> None:
        """Before a shutdown: no stream is begun any more; closed with the last answer."""
        if self._closing or self._transport is None:
            return
        self._streams.refuse_unread()
        if not self._closing and not self._draining:
            self._draining = True
            self._say_goaway(self._h2.highest_inbound_stream_id, ErrorCodes.NO_ERROR)
        if not self._streams.open:
            self.close()

    def finish(self) -> None:
        """Where a successor serves already: the client opens no more streams, once it has heard;
        those that cross with the word are served."""
        if self._leaving or self._closing:
            return
        self._leaving = True
        self._say_goaway(_ALL_STREAMS, ErrorCodes.NO_ERROR)
        if not self._streams.open:
            self._fell_idle()

    def owes(self) -> bool:
        """Its client has yet to take some of an answer."""
        if self._transport is None:
            return False
        return self._streams.owes() or self._write_buffer_bytes() > 0

    def close(self, code: ErrorCodes = ErrorCodes.NO_ERROR) -> None:
        """Tells the client, and closes once what was written has left, which has a limit too."""
        if self._transport is None or self._closing:
            return
        self._sending.flush()
        unsent = self._transport.get_write_buffer_size() + on_its_way(self._transport) > 0
        self._say_goaway(self._h2.highest_inbound_stream_id, code)
        self._closing = True
        self._sending.transport = None
        self._lingers = code == ErrorCodes.NO_ERROR and unsent
        self._arm_stall()
        self._pause(False)
        self._linger()
        self._streams.abandon()

    def _linger(self) -> None:
        """Closes once the client's system has all of an answer: its reader opens windows meanwhile,
        and a socket that was closed by then would answer with a reset and drop the rest."""
        if self._transport is None:
            return
        if self._lingers and self._write_buffer_bytes():
            self._host.loop.call_later(_LOOK_S, self._linger)
            return
        self._lingers = False
        # TLS does not say what is unsent below it.
        secure = self._transport.get_extra_info("sslcontext") is not None
        if secure or self._write_buffer_bytes():
            self._arm_stall()
        else:
            self._stall_until = self._host.loop.time() + self._limits.close_s
        self._transport.close()

    def cut(self) -> None:
        """Ends at once, whatever has not left."""
        if self._transport is not None:
            self._closing = True
            self._sending.transport = None
            self._transport.abort()
            self._streams.abandon()

    def _say_goaway(self, last_stream_id: int, code: ErrorCodes) -> None:
        """By hand: after its own, h2 would send no answer to the end."""
        self._sending.flush()
        self._last_said = min(self._last_said, last_stream_id)  # never a later one: RFC 9113 §6.8
        if self._transport is not None:
            frame = GoAwayFrame(0, last_stream_id=self._last_said, error_code=int(code))
            self._transport.write(frame.serialize())
