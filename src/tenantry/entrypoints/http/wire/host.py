"""What the connections of one listener share, and what it asks of each."""

from __future__ import annotations

import asyncio
from typing import Protocol

from tenantry.entrypoints.http.wire.handover import Application, Who
from tenantry.entrypoints.http.wire.holding import Holdings
from tenantry.entrypoints.http.wire.limits import WireLimits
from tenantry.entrypoints.http.wire.outgoing import Unsent


class Link(Protocol):
    """A connection as its listener sees it, whatever it speaks."""

    def cut_if_late(self, now: float) -> None:
        """Ends it, or what is late of it; told about once a second."""

    def close_if_idle(self) -> None:
        """Before a shutdown: no request is begun any more, and it closes with its last answer."""

    def finish(self) -> None:
        """Where a successor serves already: tells the client to come back on another."""

    def owes(self) -> bool:
        """Its client has yet to take some of an answer."""
        ...

    def cut(self) -> None:
        """Ends at once, whatever has not left."""


class Host(Protocol):
    """What the connections of one listener share."""

    application: Application
    limits: WireLimits
    loop: asyncio.AbstractEventLoop
    connections: set[Link]
    tasks: set[asyncio.Task[None]]
    who: Who | None  # None: nobody has to say
    holdings: Holdings  # large bodies that are read or being read, until they are answered
    unsent: Unsent
    finishing: bool  # a successor serves already
    ended: asyncio.Event  # the last connection of one that finishes
