"""What asks a long process to end in order."""

from __future__ import annotations

import signal


def endings() -> tuple[signal.Signals, ...]:
    """SIGTERM, and SIGHUP for a terminal that was closed, unless that was to be ignored when the
    process began (`nohup`). Ctrl-C is beside them."""
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        return (signal.SIGTERM,)
    return (signal.SIGTERM, signal.SIGHUP)
