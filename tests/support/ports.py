"""Ports that stay free until somebody listens there, or for as long as nobody shall."""

import random
import socket

# Below those that systems hand out unasked: to connections, and to who listens at port 0, as most
# of what runs beside a test does.
RANGE = range(20_000, 30_000)
_chance = random.SystemRandom()


def free_ports(count: int) -> list[int]:
    """Of 127.0.0.1, where nobody listens; no two alike."""
    found: list[int] = []
    while len(found) < count:
        port = _chance.choice(RANGE)
        if port not in found and _is_free(port):
            found.append(port)
    return found


def free_port() -> int:
    """See `free_ports`."""
    return free_ports(1)[0]


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
