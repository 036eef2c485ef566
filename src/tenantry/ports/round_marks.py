"""Where the background worker leaves when its rounds ended and failed, for others to see."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class LastRound:
    """When a round last ended as it should, in Unix seconds, and the pause after it.

    `failures`: how often it did not, with when that was last, and why, in one line.
    """

    name: str
    every_s: float
    at_s: float
    failures: int = 0
    failed_at_s: float = 0.0
    failure: str = ""

    @property
    def fails(self) -> bool:
        """Whether it has not ended as it should since it failed."""
        return self.failures > 0 and self.failed_at_s > self.at_s


class Marks(Protocol):
    """Nothing here raises: a round goes on where no mark can be left."""

    def begin(self, pauses_s: Mapping[str, float], /) -> None:
        """A worker begins with these rounds. One that has a mark keeps it, with its failures;
        marks of other rounds, as of an earlier version, are taken away."""

    def ended(self, name: str, every_s: float, /) -> None:
        """A round has ended as it should."""

    def failed(self, name: str, every_s: float, why: str, /) -> None:
        """A round has ended otherwise; `why` is one line, of which the beginning is kept."""

    def forget(self) -> None:
        """The worker ends in order."""

    def read(self) -> Sequence[LastRound]:
        """By name; nothing where no worker works here."""
