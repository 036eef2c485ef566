"""One HTTP exchange under its time limits: sent once, read piece by piece, always given back."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from typing import Final

from pyreqwest.client import Client
from pyreqwest.exceptions import (
    BuilderError,
    ClientClosedError,
    PoolTimeoutError,
    RequestError,
)
from pyreqwest.request import StreamRequest
from pyreqwest.response import Response

from tenantry.ports.model import Attempt, FailureKind

# Bytes that pyreqwest may read ahead before it hands a streamed response over. Anything but 0
# holds back a stream's first frames until the buffer is full (measured: 185 ms instead of 1 ms).
_STREAMED_READ_BUFFER_BYTES: Final = 0
# How hyper-util words an error of its connector: name, TCP or TLS (pyreqwest 0.15.1, tested).
_IN_CONNECTOR: Final = "client error (Connect)"


class ExchangeFailed(Exception):
    """An exchange that gave no response, or not all of it."""

    def __init__(self, kind: FailureKind, maybe_billed: bool, message: str) -> None:
        super().__init__(message)
        self.kind = kind
        self.maybe_billed = maybe_billed
        self.message = message


class Exchange:
    """A response whose headers are there. Must be closed; closing before the end of the body
    ends its connection, else the connection goes back into the pool."""

    __slots__ = ("_closed", "_idle_s", "_request", "_response", "headers", "status")

    def __init__(
        self, request: StreamRequest, response: Response, idle_s: float | None = None
    ) -> None:
        self._request = request
        self._response = response
        self._idle_s = idle_s  # None where the client's own limit is as short
        self._closed = False
        self.status = response.status
        self.headers: Mapping[str, str] = dict(response.headers)  # names are lower case

    async def read(self) -> bytes | None:
        """The next piece of the body, None at its end. Raises ExchangeFailed."""
        try:
            if self._idle_s is None:
                chunk = await self._response.body_reader.read_chunk()
            else:
                async with asyncio.timeout(self._idle_s):
                    chunk = await self._response.body_reader.read_chunk()
        except TimeoutError as error:
            message = "the answer stalled or took too long"
            raise ExchangeFailed(FailureKind.TIMED_OUT, True, message) from error
        except RequestError as error:
            message = f"the answer broke off: {_causes(error)[-1]}"
            raise ExchangeFailed(FailureKind.BROKEN, True, message) from error
        return None if chunk is None else bytes(chunk)

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

    async def close(self) -> None:
        """Give the connection back. Idempotent."""
        if not self._closed:
            self._closed = True
            await self._request.__aexit__(None, None, None)


async def open_exchange(
    client: Client, url: str, headers: Mapping[str, str], attempt: Attempt
) -> Exchange:
    """Send a POST once and wait for the response's headers. Raises ExchangeFailed.

    The limits up to the headers are the client's own (`Connections` sets them): a cancelled
    task would leave the request running in the client and its connection taken, so nothing here
    cancels one. A timer of ours (5 µs a read, measured) is only for what they leave open.
    """
    timeouts = attempt.timeouts
    try:
        request = (
            client.post(url)
            .headers(headers)
            .body_bytes(attempt.body)
            .timeout(timedelta(milliseconds=timeouts.total_timeout_ms))
            .streamed_read_buffer_limit(_STREAMED_READ_BUFFER_BYTES)
            .build_streamed()
        )
    except (BuilderError, ValueError) as error:
        raise ExchangeFailed(FailureKind.UNSENDABLE, False, str(error)) from error
    try:
        response = await request.__aenter__()
    except RequestError as error:
        raise _not_opened(error) from error
    if attempt.operation.streams and timeouts.idle_timeout_ms < timeouts.first_byte_timeout_ms:
        return Exchange(request, response, timeouts.idle_timeout_ms / 1_000)
    return Exchange(request, response)


def _not_opened(error: RequestError) -> ExchangeFailed:
    """What an error before the headers means.

    The client's classes say too much: its ConnectError and ConnectTimeoutError come for any
    fault until the headers. Only a cause in the connector proves that nothing was sent.
    """
    causes = _causes(error)
    if isinstance(error, PoolTimeoutError):
        return ExchangeFailed(FailureKind.UNREACHABLE, False, "no connection was free in time")
    if _IN_CONNECTOR in causes:
        return ExchangeFailed(FailureKind.UNREACHABLE, False, causes[-1])
    if isinstance(error, ClientClosedError):
        return ExchangeFailed(FailureKind.BROKEN, True, "the client was closed")
    if isinstance(error, TimeoutError):
        return ExchangeFailed(FailureKind.TIMED_OUT, True, "no answer began in time")
    return ExchangeFailed(FailureKind.BROKEN, True, causes[-1])


def _causes(error: RequestError) -> list[str]:
    """The chain of causes, outermost first; it may hold addresses, never headers."""
    causes = error.details.get("causes") or []
    return [cause["message"] for cause in causes] or [error.message]
