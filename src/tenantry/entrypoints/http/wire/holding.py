"""What the large bodies of a worker hold together, and which gives way where that is too much.

Owns: the count of all bodies that are read or being read until they are answered, whose they are,
and the choice among them. Does not own: who asks (an owner is a name that the application gives),
the bodies themselves. Invariants: beyond the allowance there are at most the small part of it that
nobody was asked about yet; the bodies of one owner, or of one address of which nobody was asked,
are no more than half of it together. For what is whole gives way no more: one tenant would fill it.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Final

TOO_MANY: Final = "Too many large requests at once."
_OWN_PARTS: Final = 2  # nobody holds more than such a part of it, though nobody else is there
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

    __slots__ = ("_all", "_most", "_now", "_whose", "bytes")

    def __init__(self, most: int, now: Callable[[], float]) -> None:
        self._all: dict[Held, None] = {}
        self._whose: Counter[tuple[bool, str]] = Counter()  # bytes of each that holds any
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
        self._whose[_whose(held)] += count
        return self._has_room(held)

    def name(self, held: Held, owner: str) -> bool:
        """Whose it is. False as of `add`."""
        counts = held in self._all
        if counts:
            self._take(held)
        held.owner = owner
        if counts:
            self._whose[_whose(held)] += held.bytes
        return self._has_room(held)

    def whole(self, held: Held) -> None:
        """It was read to its end, and gives way no more."""
        held.give_way = None

    def end(self, held: Held) -> None:
        """It is held no more. Idempotent."""
        if self._all.pop(held, held) is None:
            self.bytes -= held.bytes
            self._take(held)

    def _take(self, held: Held) -> None:
        whose = _whose(held)
        self._whose[whose] -= held.bytes
        if self._whose[whose] <= 0:
            del self._whose[whose]

    def _has_room(self, held: Held) -> bool:
        if held.owner is None:  # who has not said who it is makes nobody give way
            beside = self._most // _UNASKED_PARTS
            return self._has_its_part(held) and self.bytes <= self._most + beside
        while (too_much := not self._has_its_part(held)) or self.bytes > self._most:
            other = self._own_that_gives_way(held) if too_much else self._who_gives_way(held)
            if other is held or other.give_way is None:
                return False
            other.give_way()
            self.end(other)
        return True

    def _has_its_part(self, held: Held) -> bool:
        """Whether all of its owner's are within its part; one body alone always is."""
        theirs = self._whose[_whose(held)]
        return theirs <= self._most // _OWN_PARTS or theirs == held.bytes

    def _own_that_gives_way(self, held: Held) -> Held:
        """Of its owner's, whom it would take beyond its part: nobody else's pays for that."""
        theirs = [each for each in self._coming() if each.owner == held.owner]
        return _slowest(theirs, self._now()) or _newest(theirs, held)

    def _who_gives_way(self, held: Held) -> Held:
        """Of whoever holds more than a share, tenant or address, else of all: the slowest. Of
        those that have any that still comes, the one that holds most."""
        now, coming = self._now(), self._coming()
        owners: Counter[str] = Counter()
        addresses: Counter[str] = Counter()
        for each in self._all:
            addresses[each.address] += each.bytes
            if each.owner is not None:
                owners[each.owner] += each.bytes
        named = (each.owner for each in coming if each.owner is not None)
        owner = max(named, key=owners.__getitem__, default="")
        if owners[owner] > self._most // _SHARES:
            theirs = [each for each in coming if each.owner == owner]
            return _slowest(theirs, now) or _newest(theirs, held)
        address = max((each.address for each in coming), key=addresses.__getitem__, default="")
        if addresses[address] > self._most // _SHARES:
            theirs = [each for each in coming if each.address == address]
            return _slowest(theirs, now) or (held if held in theirs else _newest(theirs, held))
        return _slowest(coming, now) or held

    def _coming(self) -> list[Held]:
        return [each for each in self._all if each.give_way is not None]


def _whose(held: Held) -> tuple[bool, str]:
    """Whose part it counts to: its owner's, or its address's until that is known."""
    return (True, held.owner) if held.owner is not None else (False, held.address)


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


def _newest(among: Iterable[Held], held: Held) -> Held:
    return max(among, key=lambda each: each.since, default=held)
