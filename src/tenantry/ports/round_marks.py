"""Where the background worker leaves when its rounds ended, for others to see."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class LastRound:
    """When a round last ended as it should, in Unix seconds, and the pause after it."""

    name: str
    every_s: float
    at_s: float


class Marks(Protocol):
    """Nothing here raises: a round goes on where no mark can be left."""

    def begin(self, pauses_s: Mapping[str, float], /) -> None:
        """A worker begins with these rounds. One that has a mark keeps its time until it ends
        again; marks of other rounds, as of an earlier version, are taken away."""

    def ended(self, name: str, every_s: float, /) -> None:
        """A round has ended as it should."""

    def forget(self) -> None:
        """The worker ends in order."""

    def read(self) -> Sequence[LastRound]:
        """By name; nothing where no worker works here."""
