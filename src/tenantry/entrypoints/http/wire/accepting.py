"""Accepts the connections of a listening socket, as many as may be open at once.

One too many is closed as it is accepted, before anything is made of it: neither a burst nor
handshakes that never come take the descriptors on which the rest of the worker lives.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
import ssl
from typing import Final

from tenantry.entrypoints.http.wire.connection import Connection
from tenantry.entrypoints.http.wire.host import Host

_TURN: Final = 64  # connections, before others have their turn
_LAST_TURNS: Final = 32  # at the end, of those that the system let in: twice what it may keep
_HANDSHAKE_S: Final = 10.0
_NONE_LEFT: Final = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_PAUSE_S: Final = 0.5  # until it is tried again
_TELL_EVERY_S: Final = 60.0
_LOOK_S: Final = 0.05  # how often, at the end, for connections that have not gone
_log = logging.getLogger(__name__)


class Accepting:
    """Of one listening socket. `opening` is what all sockets of a host have accepted and is no
    connection yet, such as a TLS handshake."""

    def __init__(
        self,
        host: Host,
        opening: set[asyncio.Task[None]],
        listener: socket.socket,
        tls: ssl.SSLContext | None,
    ) -> None:
        self._host = host
        self._opening = opening
        self._listener = listener
        self._tls = tls
        self._told_at: dict[str, float] = {}
        self._pause: asyncio.TimerHandle | None = None
        listener.setblocking(False)
        host.loop.add_reader(listener.fileno(), self._accept)

    def close(self) -> None:
        """Accepts who has been let in by the system, and would be reset, but no more; what is open
        stays so. Idempotent."""
        if self._listener.fileno() < 0:
            return
        self._host.loop.remove_reader(self._listener.fileno())
        for _ in range(_LAST_TURNS):
            if not self._accept():
                break
        if self._pause is not None:
            self._pause.cancel()
        self._listener.close()

    async def wait_closed(self) -> None:
        """Ends handshakes, and waits until all connections have gone."""
        if self._opening:  # uvloop tells a connection nothing whose opening is cancelled as it ends
            await asyncio.wait(tuple(self._opening), timeout=_LOOK_S)
        for task in tuple(self._opening):
            task.cancel()
        while self._opening or self._host.connections:  # noqa: ASYNC110 - they are many
            await asyncio.sleep(_LOOK_S)

    def _accept(self) -> bool:
        """Whether more may wait."""
        for _ in range(_TURN):
            try:
                accepted, _ = self._listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return False
            except OSError as refused:
                if refused.errno not in _NONE_LEFT:
                    raise
                self._rest(refused)
                return False
            opened = len(self._host.connections) + len(self._opening)
            if opened >= self._host.limits.connections:
                accepted.close()
                self._tell("%d connections are open, and no more may be: others are closed", opened)
                continue
            accepted.setblocking(False)
            # Asyncio's own loop does it only where a socket knows its protocol, which these do not.
            accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            task = self._host.loop.create_task(self._open(accepted))
            self._opening.add(task)
            task.add_done_callback(self._opening.discard)
        return True

    async def _open(self, accepted: socket.socket) -> None:
        try:
            await self._host.loop.connect_accepted_socket(
                lambda: Connection(self._host),
                accepted,
                ssl=self._tls,
                ssl_handshake_timeout=_HANDSHAKE_S if self._tls else None,
                ssl_shutdown_timeout=self._host.limits.stall_s if self._tls else None,
            )
        except OSError:
            # Whose handshake failed, came too late, or who has gone.
            return

    def _rest(self, refused: OSError) -> None:
        """Where the system has none to give: it would only say so again at once."""
        self._host.loop.remove_reader(self._listener.fileno())
        self._pause = self._host.loop.call_later(_PAUSE_S, self._go_on)
        self._tell("no connection can be accepted: %s", refused.strerror)

    def _go_on(self) -> None:
        self._host.loop.add_reader(self._listener.fileno(), self._accept)

    def _tell(self, what: str, *given: object) -> None:
        now = self._host.loop.time()
        if now - self._told_at.get(what, float("-inf")) >= _TELL_EVERY_S:
            _log.warning(what, *given)
            self._told_at[what] = now
