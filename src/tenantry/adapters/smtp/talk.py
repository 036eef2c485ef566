"""A talk with a mail server that ends in time, and that no server makes long.

`smtplib` bounds each read by itself: a server that sends a byte now and then would be listened to
for ever. Here each step has what is left of the whole. It keeps every line of a reply, too.
"""

from __future__ import annotations

import io
import smtplib
import socket
import ssl
import time
from typing import Any, Final

STEP_MAX_S: Final = 15.0
TALK_MAX_S: Final = 60.0  # shorter than the worker waits for a delivery
REPLIES_MAX_BYTES: Final = 256 * 1024  # of a whole talk
_PIECE_BYTES: Final = 16 * 1024  # that of TLS: each has its own time


class Talk(smtplib.SMTP):
    """Raises TimeoutError once the time of the whole is over."""

    def __init__(self, host: str, port: int, **options: Any) -> None:
        self._until = time.monotonic() + TALK_MAX_S
        self._step_max_s = STEP_MAX_S
        self._replied = 0  # bytes
        super().__init__(host, port, timeout=STEP_MAX_S, **options)

    def step_s(self) -> float:
        """How long the next step may take."""
        left = self._until - time.monotonic()
        if left <= 0:
            raise TimeoutError("the talk took too long")
        return min(left, self._step_max_s)

    def count(self, received: int) -> int:
        """Raises ConnectionError where a server says so much that it never ends."""
        self._replied += received
        if self._replied > REPLIES_MAX_BYTES:
            raise ConnectionError("the server says too much")
        return received

    def data(self, msg: Any) -> tuple[int, bytes]:
        """Until it is over a server has all of the time that is left to say that it took the mail,
        because one of which that is not known is sent again: many look through it first."""
        self._step_max_s = TALK_MAX_S
        try:
            return super().data(msg)
        finally:
            self._step_max_s = STEP_MAX_S

    def send(self, s: Any) -> None:
        for at in range(0, len(s), _PIECE_BYTES):
            if self.sock is not None:
                self.sock.settimeout(self.step_s())
            super().send(s[at : at + _PIECE_BYTES])

    def getreply(self) -> tuple[int, bytes]:
        if self.file is None:
            assert self.sock is not None
            self.file = io.BufferedReader(_Replies(self.sock, self))
        try:
            return super().getreply()
        except smtplib.SMTPServerDisconnected:
            self.step_s()  # where it was we who ended it
            raise


class TalkOverTls(Talk, smtplib.SMTP_SSL):
    """From the first byte on."""

    def __init__(self, host: str, port: int, context: ssl.SSLContext) -> None:
        super().__init__(host, port, context=context)


class _Replies(io.RawIOBase):
    """What the server sends, for as long as there is time."""

    def __init__(self, connection: socket.socket, talk: Talk) -> None:
        self._socket = connection
        self._talk = talk

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._socket.settimeout(self._talk.step_s())
        return self._talk.count(self._socket.recv_into(buffer))
