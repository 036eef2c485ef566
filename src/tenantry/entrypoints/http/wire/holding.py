"""What the large bodies of a worker hold together, and which gives way where that is too much.

Owns: the count of all bodies that are read or being read until they are answered, whose they are,
and the choice among them. Does not own: who asks (an owner is a name that the application gives),
the bodies themselves. Invariant: beyond the allowance there are at most the small part of it that
nobody was asked about yet.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Final

TOO_MANY: Final = "Too many large requests at once."
_SHARES: Final = 4  # who holds more than such a part of it gives way to others
_UNASKED_PARTS: Final = 16  # over the allowance there is such a part for whom nobody knows yet
_HALF_CHARS: Final = 19  # of an IPv6 address, in hexadecimal digits and colons
_YOUNG_S: Final = 5.0  # before that nobody can tell who is slow


class Held:
    """One body: by whom it is sent, how much of it counts, and how it comes."""

    __slots__ = ("address", "bytes", "came_at", "give_way", "owner", "since")

    def __init__(self, address: str, give_way: Callable[[], None] | None, now: float) -> None:
        self.address = address
        self.owner: str | None = None  # not known yet
        self.bytes = 0
        self.since = now
        self.came_at = now
        self.give_way = give_way  # drops it; None once it is whole

    def bytes_per_s(self, now: float) -> float:
        """On average; none where nothing came for a while."""
        return 0.0 if now - self.came_at > _YOUNG_S else self.bytes / max(now - self.since, 1.0)


class Holdings:
    """Of one listener's worker. `now` is monotonic, in seconds."""

    __slots__ = ("_all", "_most", "_now", "bytes")

    def __init__(self, most: int, now: Callable[[], float]) -> None:
        self._all: dict[Held, None] = {}
        self._most = most
        self._now = now
        self.bytes = 0

    def begin(self, address: str, give_way: Callable[[], None]) -> Held:
        held = Held(address, give_way, self._now())
        self._all[held] = None
        return held

    def add(self, held: Held, count: int) -> bool:
        """So much more. False: there is no room, and it has to be dropped by whoever reads it."""
        held.bytes += count
        held.came_at = self._now()
        self.bytes += count
        return self._has_room(held)

    def name(self, held: Held, owner: str) -> bool:
        """Whose it is. False as of `add`."""
        held.owner = owner
        return self._has_room(held)

    def whole(self, held: Held) -> None:
        """It was read to its end, and gives way no more."""
        held.give_way = None

    def end(self, held: Held) -> None:
        """It is held no more. Idempotent."""
        if self._all.pop(held, held) is None:
            self.bytes -= held.bytes

    def _has_room(self, held: Held) -> bool:
        if held.owner is None:  # who has not said who it is makes nobody give way
            return self.bytes <= self._most + self._most // _UNASKED_PARTS
        while self.bytes > self._most:
            other = self._who_gives_way(held)
            if other is held or other.give_way is None:
                return False
            other.give_way()
            self.end(other)
        return True

    def _who_gives_way(self, held: Held) -> Held:
        """Of whoever holds more than a share, tenant or address, else of all: the slowest."""
        now, most = self._now(), self._most // _SHARES
        owners: Counter[str] = Counter()
        addresses: Counter[str] = Counter()
        for each in self._all:
            owners[each.owner or ""] += each.bytes
            addresses[each.address] += each.bytes
        del owners[""]
        coming = [each for each in self._all if each.give_way is not None]
        owner, owned = max(owners.items(), key=lambda item: item[1], default=("", 0))
        if owned > most:
            theirs = [each for each in coming if each.owner == owner]
            if theirs:
                return _slowest(theirs, now) or _newest(theirs)
        address, sent = max(addresses.items(), key=lambda item: item[1])
        if sent > most:
            theirs = [each for each in coming if each.address == address]
            if theirs:
                return _slowest(theirs, now) or (held if held in theirs else _newest(theirs))
        return _slowest(coming, now) or held


def address_of(transport: asyncio.BaseTransport | None) -> str:
    """Of a client: of IPv6 the first half, of which one client has all others."""
    peer = None if transport is None else transport.get_extra_info("peername")
    if not isinstance(peer, tuple):
        return ""
    if ":" not in peer[0]:
        return str(peer[0])
    try:
        address = ipaddress.IPv6Address(peer[0].partition("%")[0])
    except ValueError:
        return str(peer[0])
    return str(address.ipv4_mapped or address.exploded[:_HALF_CHARS])


def _slowest(among: Iterable[Held], now: float) -> Held | None:
    """Of those that are old enough to be told."""
    old = [each for each in among if now - each.since > _YOUNG_S]
    return min(old, key=lambda each: (each.bytes_per_s(now), each.came_at), default=None)


def _newest(among: Iterable[Held]) -> Held:
    return max(among, key=lambda each: each.since)
