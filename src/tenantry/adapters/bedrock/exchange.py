"""One HTTP exchange under its time limits: sent once, read piece by piece, always given back."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from tenantry.adapters.bedrock.connection import Connection, ExchangeFailed, Waits
from tenantry.adapters.bedrock.connections import Endpoint
from tenantry.adapters.bedrock.pool import Pool
from tenantry.ports.model import Attempt, FailureKind, Timeouts

_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE: Final = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
_OURS: Final = {"user-agent": "tenantry", "accept": "*/*"}


class Exchange:
    """A response whose headers are there. Must be closed; closing before the end of the body
    ends its connection, else the connection goes back into the pool."""

    __slots__ = ("_connection", "_pool", "headers", "status")

    def __init__(self, connection: Connection, pool: Pool) -> None:
        self._connection: Connection | None = connection
        self._pool = pool
        self.status = connection.status
        self.headers: Mapping[str, str] = connection.headers  # names are lower case

    async def read(self) -> bytes | None:
        """The next piece of the body, None at its end. Raises ExchangeFailed."""
        if self._connection is None:
            raise ExchangeFailed(FailureKind.BROKEN, True, "the answer was closed")
        return await self._connection.read()

    async def read_all(self, max_bytes: int) -> bytes:
        """The whole body. Raises ExchangeFailed, RUBBISH where it is larger than `max_bytes`."""
        pieces: list[bytes] = []
        left_bytes = max_bytes
        while (piece := await self.read()) is not None:
            left_bytes -= len(piece)
            if left_bytes < 0:
                message = f"the answer is larger than {max_bytes} bytes"
                raise ExchangeFailed(FailureKind.RUBBISH, True, message)
            pieces.append(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def close(self) -> None:
        """Give the connection back. Idempotent."""
        if self._connection is not None:
            self._pool.give_back(self._connection)
            self._connection = None


async def open_exchange(
    endpoint: Endpoint, path: str, headers: Mapping[str, str], attempt: Attempt
) -> Exchange:
    """Send a request once and wait for the response's headers. Raises ExchangeFailed."""
    request = _request(endpoint.host, path, headers, attempt)
    waits = _waits(attempt.timeouts, streams=attempt.operation.streams)
    connection = await endpoint.pool.acquire(attempt.timeouts.connect_timeout_ms / 1_000)
    try:
        await connection.send(request, waits)
    except BaseException:
        endpoint.pool.give_back(connection)  # which ends it: its answer is not whole
        raise
    return Exchange(connection, endpoint.pool)


def _waits(timeouts: Timeouts, *, streams: bool) -> Waits:
    head_ms = piece_ms = timeouts.first_byte_timeout_ms
    if streams:
        piece_ms = min(piece_ms, timeouts.idle_timeout_ms)
    return Waits(head_ms / 1_000, piece_ms / 1_000, timeouts.total_timeout_ms / 1_000)


def _request(host: str, path: str, headers: Mapping[str, str], attempt: Attempt) -> bytes:
    """The bytes of a request. A line break in a value would let whoever chose it write headers."""
    for name, value in headers.items():
        if not (_NAME.fullmatch(name) and _VALUE.fullmatch(value)):
            raise ExchangeFailed(FailureKind.UNSENDABLE, False, f"header {name!r} cannot be sent")
    sent = {"host": host, **_OURS, **headers, "content-length": str(len(attempt.body))}
    lines = "".join([f"{name}: {value}\r\n" for name, value in sent.items()])
    head = f"{attempt.operation.method} {path} HTTP/1.1\r\n{lines}\r\n"
    return head.encode("latin-1") + attempt.body
