"""How long a reader may keep an answer waiting."""

from __future__ import annotations

from tenantry.entrypoints.http.wire.limits import WireLimits


class Patience:
    """Counts the time that a stream waits for its reader, and not that in which it has nothing to
    send: so many seconds for each `stall_bytes`, in whatever pieces they are taken."""

    __slots__ = ("_mark", "_since", "_waited_s")

    def __init__(self) -> None:
        self._mark = 0  # bytes that were taken when the counting began
        self._since: float | None = None
        self._waited_s = 0.0

    def wait(self, now: float) -> None:
        if self._since is None:
            self._since = now

    def go_on(self, now: float) -> None:
        if self._since is not None:
            self._waited_s += now - self._since
            self._since = None

    def is_over(self, now: float, taken: int, limits: WireLimits) -> bool:
        if taken - self._mark >= limits.stall_bytes:
            self._mark, self._waited_s = taken, 0.0
            if self._since is not None:
                self._since = now
            return False
        since = now if self._since is None else self._since
        return self._waited_s + now - since > limits.stall_s
