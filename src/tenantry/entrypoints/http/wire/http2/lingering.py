"""What of a connection has left us, and not arrived."""

from __future__ import annotations

import asyncio
import fcntl
import sys
import termios


def on_its_way(transport: asyncio.Transport) -> int:
    """Bytes that the client's system has not acknowledged; 0 where ours does not tell."""
    socket = transport.get_extra_info("socket")
    if socket is None:
        return 0
    try:
        told = fcntl.ioctl(socket.fileno(), termios.TIOCOUTQ, bytes(4))
    except (OSError, ValueError):
        return 0
    return int.from_bytes(told, sys.byteorder)
