"""Sockets that were bound once, for all workers."""

from __future__ import annotations

import socket
from dataclasses import dataclass

_BACKLOG = 1_024
# What the kernel may hold unsent of a connection (megabytes by default): so a reader's progress is
# seen, and a stream waits for its reader rather than for a buffer.
_UNSENT_BYTES = 131_072


class PortTaken(OSError):
    """Another program listens there already."""


def bind(host: str, port: int, *, listening: bool = True) -> socket.socket:
    """A listening socket; `port` 0 takes any free one. Raises `PortTaken` or `OSError`. Without
    `listening` it lets nobody in: it shows that nobody else listens there."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        # Lets a restart bind while old connections linger; a live listener still refuses it.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if hasattr(socket, "TCP_NOTSENT_LOWAT"):  # Linux, macOS; accepted sockets inherit it
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, _UNSENT_BYTES)
        listener.bind((host, port))
        if listening:
            listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        if isinstance(error, PermissionError):
            raise OSError(f"not allowed to listen on {host}:{port}") from None
        raise PortTaken(f"cannot listen on {host}:{port}: {error.strerror}") from None
    listener.setblocking(False)
    return listener


@dataclass(frozen=True, slots=True)
class Listeners:
    """Bound sockets; several workers accept from the same ones."""

    http: socket.socket
    https: socket.socket
    admin: socket.socket

    def close(self) -> None:
        for listener in (self.http, self.https, self.admin):
            listener.close()
