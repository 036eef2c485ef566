"""How a connection hands on a request that it read, or could not read."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Final, Protocol

from tenantry.domain.record import record
from tenantry.entrypoints.http.wire.holding import TOO_MANY, Held
from tenantry.entrypoints.http.wire.limits import WireLimits
from tenantry.entrypoints.http.wire.request import Request

NOT_HTTP: Final = "The request is not valid HTTP/1.1."


class Answering(Protocol):
    """How an application answers one request, whatever it came by. Once the client has gone, all
    of it does nothing."""

    started: bool
    gone: bool
    status: int

    def respond(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        """A whole answer at once."""

    def start(self, status: int, headers: Mapping[str, str]) -> None:
        """Status and headers of a streamed answer, sent at once."""

    async def send(self, data: bytes) -> None:
        """One piece of a streamed answer; waits while the reader is slow."""

    def finish(self) -> None:
        """Ends a streamed answer."""

    def cut(self) -> None:
        """Ends a streamed answer that cannot be ended well: the client sees it was cut."""

    def when_gone(self, callback: Callable[[], None]) -> None:
        """`callback` runs as soon as the client has gone, at once if it has already."""


class Application(Protocol):
    """What serves the requests of a connection. `serve` must not raise."""

    async def serve(self, request: Request, exchange: Answering) -> None: ...

    def refuse(self, status: int, message: str, raw_path: str, exchange: Answering) -> None:
        """Answers a request that could not be read."""
        ...


# Answers a request that goes no further.
Refusal = Callable[[Answering], None]
# Who asks, by a request's head alone, or how it is refused: what is asked before much of a body is
# kept. The request has no body yet. Requests of one name share what they hold. Must not raise.
Who = Callable[[Request], Awaitable[str | Refusal]]


class Broken(Exception):
    """The request cannot be read to its end."""

    def __init__(self, status: int, message: str) -> None:
        self.status = status
        self.message = message


@record
class Whole:
    """A request that was read to its end and waits for its turn."""

    request: Request
    http11: bool
    keep_alive: bool
    refusal: Broken | Refusal | None
    held: Held | None


def too_many() -> Broken:
    return Broken(503, TOO_MANY)


def too_large(limits: WireLimits) -> Broken:
    return Broken(413, f"The request body is larger than {limits.body_bytes:,} bytes.")


def body_bytes(given: str, limits: WireLimits) -> int:
    """What `content-length` says. Raises `Broken` for what is not even read to be dropped."""
    digits = given if len(given) <= 18 else given.lstrip("0") or "0"
    plain = digits.isascii() and digits.isdigit() and len(digits) <= 18
    if not plain or int(digits) > limits.discard_bytes:
        raise too_large(limits)
    return int(digits)
