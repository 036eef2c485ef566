"""Large answers on their way to readers that may be slow.

They are handed to the transport in copies, piece by piece: how far a reader is can then be seen
also behind TLS, and what waits below for its reader is a few pieces and not the whole body.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from tenantry.entrypoints.http.wire.limits import WireLimits

_PIECE_BYTES: Final = 65_536
_AGE_S_MIN: Final = 1.0


class Unsent:
    """The large answers that the readers of one listener's worker have yet to take."""

    __slots__ = ("_answers", "_limits", "bytes")

    def __init__(self, limits: WireLimits) -> None:
        self._limits = limits
        self._answers: set[LargeAnswer] = set()
        self.bytes = 0  # each is held whole until its last byte was handed on

    def begin(self, body: bytes, last: bool, now: float, cut: Callable[[], None]) -> LargeAnswer:
        """One more; `last` of its connection, which `cut` ends. Where all together are too much to
        hold, readers that are slower than they may be on average are cut, the slowest first; where
        none is, this one: who takes its answer is not cut for others that have just begun."""
        allowed_s = self._limits.stall_s + len(body) / self._limits.reader_bytes_per_s
        answer = LargeAnswer(body, last, now, now + allowed_s, cut)
        self.count(answer, now)
        return answer

    def count(self, answer: LargeAnswer, now: float) -> None:
        """One more of whatever size that has to wait. Idempotent."""
        if answer in self._answers:
            return
        self._answers.add(answer)
        self.bytes += answer.size
        while self.bytes > self._limits.unsent_bytes:
            dropped = self._slowest_but(answer, now)
            self.end(dropped)
            dropped.cut()

    def _slowest_but(self, newest: LargeAnswer, now: float) -> LargeAnswer:
        """Or the newest itself, where all others are fast enough."""
        least = self._limits.reader_bytes_per_s
        slow = [each for each in self._answers if each is not newest and each.rate(now) < least]
        return min(slow, key=lambda each: each.rate(now), default=newest)

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

    def piece(self, most: int = _PIECE_BYTES) -> bytes:
        """The next to be written; empty once all was."""
        piece = bytes(self._body[self._at : self._at + most])
        self._at += len(piece)
        return piece

    def rest(self) -> memoryview:
        """All that is left, at once. It holds the body, and is not counted as taken."""
        return self._body[self._at :]

    def rate(self, now: float) -> float:
        """Bytes taken a second, on average. What the transport and the system hold counts as
        taken, so that all seem fast at first."""
        return self._at / max(now - self._since, _AGE_S_MIN)
