"""One request on its way: its head, what has come of its body, and until when more must come."""

from __future__ import annotations

from typing import Final

from tenantry.entrypoints.http.wire.handover import Broken, too_large
from tenantry.entrypoints.http.wire.host import Host
from tenantry.entrypoints.http.wire.http2.head import NOT_HTTP2, Head
from tenantry.entrypoints.http.wire.request import Request

LATE: Final = Broken(408, "The request body did not come in time.")


class Shelf:
    """What one connection keeps of requests, and how much of it counts among its worker's. Of an
    HTTP/1.1 connection one small body does not; of this, as much of all its streams together."""

    __slots__ = ("_bytes", "_host")

    def __init__(self, host: Host) -> None:
        self._host = host
        self._bytes = 0

    def put(self, count: int) -> int:
        """So many more; returns how many of them count."""
        self._bytes += count
        if self._bytes <= self._host.limits.small_body_bytes:
            return 0
        self._host.held_bytes += count
        return count

    def is_full(self) -> bool:
        return self._host.held_bytes > self._host.limits.held_bytes

    def take(self, count: int, counted: int) -> None:
        self._bytes -= count
        self._host.held_bytes -= counted


class Incoming:
    """Reads one body away or keeps it, whole or not at all."""

    __slots__ = (
        "_body", "_body_bytes", "_counted", "_granted_at", "_granted_s", "_kept", "_shelf", "cost",
        "deadline", "head", "refusal",
    )  # fmt: skip

    def __init__(self, head: Head, size: int, cost: int, shelf: Shelf, deadline: float) -> None:
        self.head = head
        self.cost = cost  # of the head, which an answer earns back
        self.refusal = head.refusal
        self.deadline = deadline
        self._shelf = shelf
        self._body = bytearray()
        self._body_bytes = 0
        self._kept = 0
        self._counted = 0
        self._granted_at = 0
        self._granted_s = 0.0
        self._keep(size)

    def _keep(self, count: int) -> None:
        self._kept += count
        counted = self._shelf.put(count)
        self._counted += counted
        if counted and self._shelf.is_full():
            self.refuse(Broken(503, "Too many large requests at once."))

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
        self._shelf.take(self._kept, self._counted)
        self._kept = self._counted = 0

    def whole(self) -> Request:
        """Once its end was seen; `drop` ends the counting of what it holds."""
        head = self.head
        if head.length is not None and head.length != self._body_bytes:
            self.refuse(Broken(400, NOT_HTTP2))
        body, self._body = bytes(self._body), bytearray()
        return Request(head.method, head.raw_path, head.raw_query, head.headers, head.items, body)

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
