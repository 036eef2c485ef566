"""A round of background work, and what is known of one from outside."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from tenantry.ports.round_marks import LastRound, Marks

STANDS_STILL_S: Final = 60.0  # without an end of any round; several come every second or two
SLACK_S: Final = 300.0  # that a round may take, past three pauses


@dataclass(frozen=True, slots=True)
class Round:
    """One piece of background work and the pause after it."""

    name: str
    every_s: float
    work: Callable[[], Awaitable[object]]


def marked(rounds: Sequence[Round], marks: Marks) -> list[Round]:
    """The same rounds, of which each leaves a mark when it ends as it should."""
    marks.begin({each.name: each.every_s for each in rounds})
    return [Round(each.name, each.every_s, _marking(each, marks)) for each in rounds]


def _marking(each: Round, marks: Marks) -> Callable[[], Awaitable[object]]:
    async def work() -> object:
        done = await each.work()
        marks.ended(each.name, each.every_s)
        return done

    return work


def stands_still(rounds: Sequence[LastRound], now_s: float) -> bool:
    """Whether a worker that works here ends no round any more."""
    return bool(rounds) and now_s - max(each.at_s for each in rounds) > STANDS_STILL_S


def round_facts(rounds: Sequence[LastRound], now_s: float) -> tuple[str, list[str]]:
    """What `doctor` says of a background worker: a line, and its problems."""
    if not rounds:
        return "none works from this data folder", []
    newest = max(rounds, key=lambda each: each.at_s)
    told = f"its last round ({newest.name}) ended {_instant(newest.at_s)}"
    if stands_still(rounds, now_s):
        return told, [
            f"the background worker stands still: {told}, and nothing is settled, swept or"
            " invoiced since. Where its process hangs, end it: `serve` starts another"
        ]
    late = [f"{each.name} since {_instant(each.at_s)}" for each in rounds if _is_late(each, now_s)]
    if not late:
        return told, []
    return told, [f"rounds of the background worker do not end ({', '.join(late)}): see its log"]


def _is_late(each: LastRound, now_s: float) -> bool:
    return now_s - each.at_s > 3 * each.every_s + SLACK_S


def _instant(at_s: float) -> str:
    return f"{datetime.fromtimestamp(at_s, UTC):%Y-%m-%d %H:%M:%S}Z"
