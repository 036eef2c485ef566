"""Exchanges over HTTP as a plain client has them, to their end or until it hangs up."""

from __future__ import annotations

import http.client
import select
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal
from urllib.parse import urlsplit

from benchmarks.soak.course import ANSWER_S

_PIECE_BYTES: Final = 16_384
End = Literal["whole", "left", "broken", "unreached", "silent"]


@dataclass(frozen=True, slots=True)
class Asked:
    """A request, and when its client loses patience.

    `leave_after`: bytes of the answer after which the client hangs up, 0 before the first; None:
    it stays to the end.
    """

    method: str
    path: str
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    leave_after: int | None = None
    leave_pause_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Answer:
    """`headers` have lower-case names. `why`: what the system said where there is no whole one."""

    end: End
    began: float  # by the monotonic clock
    ended: float
    status: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    why: str = ""

    @property
    def took_s(self) -> float:
        return self.ended - self.began


class Line:
    """A client's connection to a gateway, kept from one request to the next as HTTP clients do:
    one that was closed meanwhile is found closed before it is used."""

    def __init__(self) -> None:
        self._kept: http.client.HTTPConnection | None = None
        self._address = ""

    def exchange(
        self, base_url: str, asked: Asked, authority: Path | None = None, *, keep: bool = False
    ) -> Answer:
        """Never raises: what goes wrong is how the exchange ended. `authority`: trusted for https.
        `keep`: over the kept connection, where there is one, which is kept again."""
        began = time.monotonic()
        status, body = 0, bytearray()
        headers: Mapping[str, str] = {}

        def ended(end: End, why: str = "") -> Answer:
            return Answer(end, began, time.monotonic(), status, headers, bytes(body), why)

        kept = self._take(base_url) if keep else None
        connection = kept or _connection(base_url, authority)
        try:
            try:
                if kept is None:
                    connection.connect()
            except OSError as error:
                return ended("unreached", repr(error))
            connection.request(asked.method, asked.path, asked.body or None, dict(asked.headers))
            if asked.leave_after == 0:
                time.sleep(asked.leave_pause_s)
                return ended("left")
            response = connection.getresponse()
            status = response.status
            headers = {name.lower(): value for name, value in response.getheaders()}
            while piece := response.read1(_PIECE_BYTES):
                body += piece
                if asked.leave_after is not None and len(body) >= asked.leave_after:
                    return ended("left")
                if time.monotonic() - began > ANSWER_S:
                    return ended("silent", "it goes on and on")
            if response.length:
                return ended("broken", f"{response.length} bytes are missing")
            response.close()  # and not its connection
            if keep and not response.will_close:
                self._kept, self._address = connection, base_url
            return ended("whole")
        except TimeoutError as error:
            return ended("silent", repr(error))
        except (OSError, http.client.HTTPException) as error:
            return ended("broken", f"{error!r}{' on a kept connection' if kept else ''}")
        finally:
            if connection is not self._kept:
                connection.close()

    def close(self) -> None:
        if self._kept is not None:
            self._kept.close()
            self._kept = None

    def _take(self, base_url: str) -> http.client.HTTPConnection | None:
        """The kept connection, where it leads there and nobody has closed it."""
        kept, self._kept = self._kept, None
        if kept is None:
            return None
        if self._address != base_url or select.select([kept.sock], [], [], 0)[0]:
            kept.close()
            return None
        return kept


def _connection(base_url: str, authority: Path | None) -> http.client.HTTPConnection:
    address = urlsplit(base_url)
    if address.scheme == "https":
        context = ssl.create_default_context(cafile=str(authority))
        return http.client.HTTPSConnection(address.netloc, timeout=ANSWER_S, context=context)
    return http.client.HTTPConnection(address.netloc, timeout=ANSWER_S)
