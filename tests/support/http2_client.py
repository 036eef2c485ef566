"""A client of HTTP/2 on a real socket, which does what it is told and no more."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import (
    DataReceived,
    InformationalResponseReceived,
    ResponseReceived,
    StreamEnded,
    StreamReset,
)

from tenantry.domain.eventstream import Decoder

BODY = b'{"messages":[{"role":"user","content":[{"text":"hi"}]}]}'
CONVERSE = "/model/amazon.nova-micro-v1%3A0/converse"
KEY = ("authorization", "Bearer tk_acme")


@dataclass
class Answer:
    """What came on one stream."""

    status: int = 0
    informed: list[int] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    ended: bool = False
    reset: int | None = None

    @property
    def over(self) -> bool:
        return self.ended or self.reset is not None

    @property
    def frames(self) -> int:
        return len(Decoder().feed(self.body))


def fields(
    path: str = CONVERSE,
    *more: tuple[str, str],
    method: str = "POST",
    who: tuple[str, str] | None = KEY,
    authority: str = "x",
) -> list[tuple[str, str]]:
    first = [(":method", method), (":scheme", "http"), (":path", path), (":authority", authority)]
    return [*first, *([who] if who else []), *more]


def frame(kind: int, payload: bytes = b"", flags: int = 0, stream_id: int = 0) -> bytes:
    head = len(payload).to_bytes(3, "big") + bytes((kind, flags)) + stream_id.to_bytes(4, "big")
    return head + payload


class Client:
    """`windows=False` never gives room for more than the first 64 KB of each."""

    def __init__(
        self,
        port: int,
        *,
        ca: Path | None = None,
        alpn: list[str] | None = None,
        windows: bool = True,
        receive_bytes: int | None = None,
        begins: bool = True,
    ) -> None:
        plain = socket.socket()
        if receive_bytes is not None:
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        plain.settimeout(20)
        plain.connect(("127.0.0.1", port))
        self.socket = plain
        if ca is not None:
            context = ssl.create_default_context(cafile=str(ca))
            if alpn:
                context.set_alpn_protocols(alpn)
            self.socket = context.wrap_socket(plain, server_hostname="localhost")
        self._windows = windows
        config = H2Configuration(
            header_encoding="latin-1",
            validate_outbound_headers=False,
            normalize_outbound_headers=False,
        )
        self.h2 = H2Connection(config)
        self.answers: dict[int, Answer] = {}
        self.order: list[int] = []  # of the streams that ended
        self.goaway: int | None = None
        self.goaway_streams: list[int] = []
        self.closed = False
        self._data = b""
        if begins:
            self.h2.initiate_connection()
            self.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def flush(self) -> None:
        self.socket.sendall(self.h2.data_to_send())

    def raw(self, data: bytes) -> None:
        """Bytes that h2 knows nothing of. Whoever was told to be calm may be cut off in them."""
        try:
            self.socket.sendall(data)
        except OSError:
            self.closed = True

    def begin(self, head: Iterable[tuple[str, str]], *, end: bool = False) -> int:
        stream_id = self.h2.get_next_available_stream_id()
        self.answers[stream_id] = Answer()
        self.h2.send_headers(stream_id, list(head), end_stream=end)
        self.flush()
        return stream_id

    def send(self, head: Iterable[tuple[str, str]], body: bytes = b"") -> int:
        """A whole request; returns its stream."""
        stream_id = self.begin(head, end=not body)
        if body:
            self.body(stream_id, body)
        return stream_id

    def body(self, stream_id: int, body: bytes, *, end: bool = True) -> None:
        left = memoryview(body)
        answer = self.answers[stream_id]
        while left:
            window = self.h2.local_flow_control_window(stream_id)
            size = min(window, self.h2.max_outbound_frame_size, len(left))
            if size <= 0:
                self.receive()
                if answer.over:
                    return
                continue
            self.h2.send_data(stream_id, left[:size], end_stream=end and size == len(left))
            left = left[size:]
            self.flush()

    def receive(self) -> bool:
        """Reads once. False once the server has closed."""
        try:
            data = self.socket.recv(65_536)
        except ConnectionError:
            data = b""
        if not data:
            self.closed = True
            return False
        self._data += data
        while len(self._data) >= 9 and len(self._data) >= (
            size := 9 + int.from_bytes(self._data[:3], "big")
        ):
            one, self._data = self._data[:size], self._data[size:]
            if one[3] == 7:  # after which h2 would not read what the server still says
                self.goaway_streams.append(int.from_bytes(one[9:13], "big"))
                self.goaway = int.from_bytes(one[13:17], "big")
                continue
            for event in self.h2.receive_data(one):
                self._heed(event)
        self.raw(self.h2.data_to_send())
        return True

    def _heed(self, event: Any) -> None:
        answer = self.answers.get(getattr(event, "stream_id", 0) or 0)
        if answer is None:
            return
        if isinstance(event, InformationalResponseReceived):
            answer.informed.append(int(dict(event.headers)[":status"]))
        elif isinstance(event, ResponseReceived):
            answer.headers = dict(event.headers)
            answer.status = int(answer.headers[":status"])
        elif isinstance(event, DataReceived):
            answer.body += event.data
            if self._windows and event.flow_controlled_length:
                self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, StreamEnded):
            answer.ended = True
            self.order.append(event.stream_id)
        elif isinstance(event, StreamReset):
            answer.reset = int(event.error_code)

    def until(self, check: Callable[[], bool]) -> None:
        while not check():
            assert self.receive(), f"closed, having said {self.goaway}"

    def answer(self, stream_id: int) -> Answer:
        answer = self.answers[stream_id]
        self.until(lambda: answer.over)
        return answer

    def ask(self, head: Iterable[tuple[str, str]], body: bytes = b"") -> Answer:
        return self.answer(self.send(head, body))

    def read_all(self) -> None:
        """Until the server closes."""
        while self.receive():
            pass
