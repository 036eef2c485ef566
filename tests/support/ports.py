"""Ports that stay free until somebody listens there, or for as long as nobody shall."""

import random
import socket

# Below those that systems hand out unasked: to connections, and to who listens at port 0, as most
# of what runs beside a test does.
RANGE = range(20_000, 30_000)
_chance = random.SystemRandom()


def free_port() -> int:
    """Of 127.0.0.1, where nobody listens."""
    while True:
        port = _chance.choice(RANGE)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
