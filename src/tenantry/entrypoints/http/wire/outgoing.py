"""Large answers on their way to readers that may be slow.

They are handed to the transport piece by piece, so that how far a reader is can be seen also
behind TLS.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from tenantry.entrypoints.http.wire.limits import WireLimits

_PIECE_BYTES: Final = 262_144
_KNOWN_AFTER_S: Final = 1.0
_UNKNOWN: Final = float("inf")


class Unsent:
    """The large answers that the readers of one listener's worker have yet to take."""

    __slots__ = ("_answers", "_limits", "bytes")

    def __init__(self, limits: WireLimits) -> None:
        self._limits = limits
        self._answers: set[LargeAnswer] = set()
        self.bytes = 0  # each is held whole until its last byte was handed on

    def begin(self, body: bytes, last: bool, now: float, cut: Callable[[], None]) -> LargeAnswer:
        """One more; `last` of its connection, which `cut` ends. Where all together are too much to
        hold, the slowest reader is cut."""
        allowed_s = self._limits.stall_s + len(body) / self._limits.reader_bytes_per_s
        answer = LargeAnswer(body, last, now, now + allowed_s, cut)
        self._answers.add(answer)
        self.bytes += answer.size
        while self.bytes > self._limits.unsent_bytes:
            slowest = min(self._answers, key=lambda each: each.rate(now))
            self.end(slowest)
            slowest.cut()
        return answer

    def end(self, answer: LargeAnswer) -> None:
        """Counts it no more. Idempotent."""
        if answer in self._answers:
            self._answers.remove(answer)
            self.bytes -= answer.size


class LargeAnswer:
    """The body of one answer and how far it was handed on; to be taken by `until`."""

    __slots__ = ("_at", "_body", "_since", "cut", "last", "size", "until")

    def __init__(
        self, body: bytes, last: bool, since: float, until: float, cut: Callable[[], None]
    ) -> None:
        self._body = memoryview(body)
        self._at = 0
        self._since = since
        self.size = len(body)
        self.last = last
        self.until = until
        self.cut = cut

    @property
    def left(self) -> int:
        """Bytes that were not handed on."""
        return self.size - self._at

    def piece(self) -> memoryview:
        """The next to be written; empty once all was."""
        return self._next(_PIECE_BYTES)

    def rest(self) -> memoryview:
        """All that is left, at once."""
        return self._next(self.size)

    def rate(self, now: float) -> float:
        """Bytes taken a second. Of one that has just begun nothing is known yet."""
        seconds = now - self._since
        return self._at / seconds if seconds >= _KNOWN_AFTER_S else _UNKNOWN

    def _next(self, count: int) -> memoryview:
        piece = self._body[self._at : self._at + count]
        self._at += len(piece)
        return piece
