"""Listening sockets and the connections behind them, inside one worker."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl

from tenantry.entrypoints.http.wire.accepting import Accepting
from tenantry.entrypoints.http.wire.handover import Application, Who
from tenantry.entrypoints.http.wire.holding import Holdings
from tenantry.entrypoints.http.wire.host import Link
from tenantry.entrypoints.http.wire.limits import WireLimits
from tenantry.entrypoints.http.wire.outgoing import Unsent

_SWEEP_S = 1.0  # how often deadlines are looked at
_LAST_OPENED_S = 1.0  # at the end, for the handshakes of who was accepted at the last moment
_LAST_ASKED_S = 0.25  # and for their requests
_LOOK_S = 0.05  # how often, at the end, for answers that have not left


class Server:
    """One application on one or more sockets. Must be made inside a running loop.

    `who` is asked about each large body before it is kept; without it anybody's is.
    """

    def __init__(
        self,
        application: Application,
        limits: WireLimits | None = None,
        *,
        who: Who | None = None,
    ) -> None:
        self.application = application
        self.limits = limits or WireLimits()
        self.loop = asyncio.get_running_loop()
        self.connections: set[Link] = set()
        self.tasks: set[asyncio.Task[None]] = set()
        self.who = who
        self.holdings = Holdings(self.limits.held_bytes, self.loop.time)
        self.unsent = Unsent(self.limits)
        self.finishing = False
        self.ended = asyncio.Event()  # of all connections, while finishing
        self._listeners: list[Accepting] = []
        self._opening: set[asyncio.Task[None]] = set()  # accepted, and no connection yet
        self._sweeper = self.loop.call_later(_SWEEP_S, self._sweep)

    @property
    def held_bytes(self) -> int:
        """Of large bodies, until they are answered."""
        return self.holdings.bytes

    async def listen(self, listener: socket.socket, tls: ssl.SSLContext | None = None) -> None:
        """Accepts connections of a socket made by `bind`."""
        self._listeners.append(Accepting(self, self._opening, listener, tls))

    def stop_listening(self) -> None:
        """Accepts no more; the connections that are open stay so. Idempotent."""
        for listener in self._listeners:
            listener.close()

    async def finish(self, grace_s: float) -> None:
        """Accepts no more. Each connection may still have one answer, which tells the client to
        come back on another: closing an idle one could cross a request on its way to us. They end
        within the connection's own limits; at most `grace_s`.
        """
        self.finishing = True
        self.stop_listening()
        for connection in tuple(self.connections):
            connection.finish()
        if not self.connections:
            return
        self.ended.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(grace_s):
                await self.ended.wait()

    async def drain(self, grace_s: float) -> int:
        """Accepts no more, lets running requests end and their answers leave for so long, closes
        all connections.

        Returns how many requests and answers were cut off.
        """
        until = self.loop.time() + grace_s
        self.stop_listening()
        if self._opening:
            await asyncio.wait(tuple(self._opening), timeout=min(_LAST_OPENED_S, grace_s))
            await asyncio.sleep(min(_LAST_ASKED_S, grace_s))
        for connection in tuple(self.connections):
            connection.close_if_idle()
        if self.tasks:
            await asyncio.wait(tuple(self.tasks), timeout=grace_s)
        cut = tuple(self.tasks)
        for task in cut:
            task.cancel()
        if cut:
            await asyncio.wait(cut, timeout=grace_s)
        for connection in tuple(self.connections):
            connection.close_if_idle()
        unsent = await self._send_on(until)
        for connection in unsent:
            connection.cut()
        self._sweeper.cancel()
        for listener in self._listeners:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(listener.wait_closed(), self.limits.close_s)
        return len(cut) + len(unsent)

    async def _send_on(self, until: float) -> list[Link]:
        """Whose answers have not left by then."""
        while True:
            unsent = [each for each in self.connections if each.owes()]
            if not unsent or self.loop.time() >= until:
                return unsent
            await asyncio.sleep(_LOOK_S)

    def _sweep(self) -> None:
        self._sweeper = self.loop.call_later(_SWEEP_S, self._sweep)
        now = self.loop.time()
        for connection in tuple(self.connections):
            connection.cut_if_late(now)
