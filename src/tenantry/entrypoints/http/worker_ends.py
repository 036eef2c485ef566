"""How a worker ended, for who reads the log."""

from __future__ import annotations

import signal
from multiprocessing.process import BaseProcess


def ended(process: BaseProcess) -> str:
    """How a worker came to its end, in the words that its system has for it."""
    name, code = f"{process.name} (pid {process.pid})", process.exitcode
    if code is None:
        return f"{name} says nothing any more"
    if code >= 0:
        return f"{name} ended by itself with status {code}"
    out_of_memory = ", as where memory runs out" if code == -signal.SIGKILL else ""
    return f"{name} was ended by {signal.Signals(-code).name}{out_of_memory}"
