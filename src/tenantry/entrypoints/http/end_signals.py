"""The signals that end the supervisor of the workers, heard while it waits for them."""

from __future__ import annotations

import signal
import socket
from typing import Any

from tenantry.entrypoints.signals import endings


class EndSignals:
    """What asks for the end, as something that `multiprocessing.connection.wait` can wait for."""

    def __init__(self) -> None:
        self.asked = False
        self.receiver, self._sender = socket.socketpair()
        self._before: dict[int, Any] = {}

    def __enter__(self) -> EndSignals:
        for number in (*endings(), signal.SIGINT):
            try:
                self._before[number] = signal.signal(number, self._ask)
            except ValueError:  # not the main thread: whoever called `run` has its own way to stop
                break
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self.receiver.close()
        self._sender.close()

    def _ask(self, *_: object) -> None:
        self.asked = True
        self._sender.send(b"x")
