"""Loopback ports for the server, out of the kernel's ephemeral range where possible."""

import random
import socket

LOOPBACK = "127.0.0.1"
_RANGE = range(20_000, 32_768)  # Linux hands out 32768 and up to outgoing connections
_TRIES_MAX = 64


def free_port(wanted: int) -> int:
    """Return `wanted` where nobody has it, else another free port of the loopback address.

    It can be taken between this answer and its use; the guardian then starts once more.
    """
    if wanted and _is_free(wanted):
        return wanted
    for _ in range(_TRIES_MAX):
        candidate = random.choice(_RANGE)
        if _is_free(candidate):
            return candidate
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
        return True
