"""Lists that are read in pages, to their end."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Final, TypeVar

PAGE: Final = 1_000  # rows; the most that an adapter gives at once

T = TypeVar("T")
K = TypeVar("K")


async def to_the_end(
    page: Callable[[K | None], Awaitable[Sequence[T]]], place: Callable[[T], K]
) -> list[T]:
    """All rows of a list. `page` gives those after a place (None: the first); it ends where
    nothing comes any more."""
    found: list[T] = []
    after: K | None = None
    while rows := await page(after):
        found += rows
        after = place(rows[-1])
    return found
