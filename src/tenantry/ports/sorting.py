"""Putting more lines in order than memory holds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol


class LineSorter(Protocol):
    """Lines without line breaks, first added, then read once in the order of their code points."""

    def add(self, line: str) -> None: ...

    def in_order(self) -> Iterator[str]:
        """All lines in ascending order, equal ones as often as they were added."""
        ...
