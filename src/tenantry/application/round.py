"""A round of background work, and the mark that it leaves."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from tenantry.ports.round_marks import Marks


@dataclass(frozen=True, slots=True)
class Round:
    """One piece of background work and the pause after it."""

    name: str
    every_s: float
    work: Callable[[], Awaitable[object]]


def marked(
    rounds: Sequence[Round], marks: Marks, told: Callable[[BaseException], str | None]
) -> list[Round]:
    """The same rounds, of which each leaves a mark when it ends as it should, and when it fails.

    `told`: one line that says what went wrong, None where it is a fault of ours.
    """
    marks.begin({each.name: each.every_s for each in rounds})
    return [Round(each.name, each.every_s, _marking(each, marks, told)) for each in rounds]


def _marking(
    each: Round, marks: Marks, told: Callable[[BaseException], str | None]
) -> Callable[[], Awaitable[object]]:
    async def work() -> object:
        try:
            done = await each.work()
        except Exception as failure:
            why = told(failure) or f"a fault of ours ({type(failure).__name__})"
            marks.failed(each.name, each.every_s, why)
            raise
        marks.ended(each.name, each.every_s)
        return done

    return work
