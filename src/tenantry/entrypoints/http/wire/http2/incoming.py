"""One request on its way: its head, what has come of its body, and until when more must come."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from tenantry.entrypoints.http.wire.handover import Broken, too_large, too_many
from tenantry.entrypoints.http.wire.holding import Held
from tenantry.entrypoints.http.wire.host import Host
from tenantry.entrypoints.http.wire.http2.head import NOT_HTTP2, Head
from tenantry.entrypoints.http.wire.request import Request

LATE: Final = Broken(408, "The request body did not come in time.")


class Shelf:
    """What one connection keeps of requests, and whether it counts among its worker's. Of an
    HTTP/1.1 connection one small body does not; of this, as much of all its streams together."""

    __slots__ = ("_bytes", "_small_bytes", "address", "holdings")

    def __init__(self, host: Host, address: Callable[[], str]) -> None:
        self.holdings = host.holdings
        self.address = address
        self._small_bytes = host.limits.small_body_bytes
        self._bytes = 0

    def put(self, count: int) -> bool:
        """So many more; whether they count."""
        self._bytes += count
        return self._bytes > self._small_bytes

    def take(self, count: int) -> None:
        self._bytes -= count


class Incoming:
    """Reads one body away or keeps it, whole or not at all."""

    __slots__ = (
        "_body", "_body_bytes", "_give_way", "_granted_at", "_granted_s", "_kept", "_owner",
        "_shelf", "cost", "deadline", "head", "held", "refusal",
    )  # fmt: skip

    def __init__(
        self,
        head: Head,
        size: int,
        cost: int,
        shelf: Shelf,
        deadline: float,
        give_way: Callable[[], None],
    ) -> None:
        self.head = head
        self.cost = cost  # of the head, which an answer earns back
        self.refusal = head.refusal
        self.deadline = deadline
        self.held: Held | None = None  # what counts of it
        self._owner: str | None = None
        self._give_way = give_way
        self._shelf = shelf
        self._body = bytearray()
        self._body_bytes = 0
        self._kept = 0
        self._granted_at = 0
        self._granted_s = 0.0
        self._keep(size)

    def _keep(self, count: int) -> None:
        self._kept += count
        if not self._shelf.put(count):
            return
        holdings = self._shelf.holdings
        if self.held is None:
            self.held = holdings.begin(self._shelf.address(), self._give_way)
            self.held.owner = self._owner
        if not holdings.add(self.held, count):
            self.refuse(too_many())

    def name(self, owner: str) -> bool:
        """Whose it is. False: it was refused, as its owner holds too much."""
        self._owner = owner
        if self.held is None or self._shelf.holdings.name(self.held, owner):
            return True
        self.refuse(too_many())
        return False

    def add(self, data: bytes, host: Host) -> bool:
        """A piece of the body. False where not even reading it away is worth while."""
        self._body_bytes += len(data)
        if self.refusal is None:
            if self._body_bytes > host.limits.body_bytes:
                self.refuse(too_large(host.limits))
            elif self.head.length is not None and self._body_bytes > self.head.length:
                self.refuse(Broken(400, NOT_HTTP2))
            else:
                self._body += data
                self._keep(len(data))
        return self._body_bytes <= host.limits.discard_bytes

    def refuse(self, broken: Broken) -> None:
        self.refusal = self.refusal or broken
        self.drop()

    def drop(self) -> None:
        """Keeps nothing more of it. Idempotent."""
        self._body = bytearray()
        self._shelf.take(self._kept)
        self._kept = 0
        held, self.held = self.held, None
        if held is not None:
            self._shelf.holdings.end(held)

    def whole(self) -> Request:
        """Once its end was seen; `drop` ends the counting of what it holds."""
        head = self.head
        if head.length is not None and head.length != self._body_bytes:
            self.refuse(Broken(400, NOT_HTTP2))
        if self.held is not None:
            self._shelf.holdings.whole(self.held)
        body, self._body = bytes(self._body), bytearray()
        return Request(head.method, head.raw_path, head.raw_query, head.headers, head.items, body)

    def bodiless(self) -> Request:
        """Its head alone."""
        head = self.head
        return Request(head.method, head.raw_path, head.raw_query, head.headers, head.items, b"")

    def is_late(self, now: float, host: Host) -> bool:
        """Past its deadline, unless it is slow but comes."""
        if now <= self.deadline:
            return False
        limits = host.limits
        more_s = min(limits.stall_s, limits.body_most_s - limits.body_s - self._granted_s)
        if more_s <= 0 or self._body_bytes - self._granted_at < limits.stall_bytes:
            return True
        self._granted_s += more_s
        self._granted_at = self._body_bytes
        self.deadline = now + more_s
        return False
