"""What the marks of rounds say of a background worker, from outside of it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from tenantry.ports.round_marks import LastRound

STANDS_STILL_S: Final = 60.0  # without an end of any round; several come every second or two
SLACK_S: Final = 300.0  # that a round may take, past three pauses


def stands_still(rounds: Sequence[LastRound], now_s: float) -> bool:
    """Whether a worker that works here ends no round any more."""
    return bool(rounds) and now_s - max(each.at_s for each in rounds) > STANDS_STILL_S


def round_facts(rounds: Sequence[LastRound], now_s: float) -> tuple[str, list[str]]:
    """What `doctor` says of a background worker: a line, and its problems."""
    if not rounds:
        return "none works from this data folder", []
    newest = max(rounds, key=lambda each: each.at_s)
    told = f"its last round ({newest.name}) ended {_instant(newest.at_s)}"
    failing = _failing(rounds)
    if stands_still(rounds, now_s) and not failing:
        return told, [
            f"the background worker stands still: {told}, and nothing is settled, swept or"
            " invoiced since. Where its process hangs, end it: `serve` starts another"
        ]
    late = [
        f"{each.name} since {_instant(each.at_s)}"
        for each in rounds
        if _is_late(each, now_s) and not each.fails
    ]
    if not late:
        return told, failing
    return told, [
        *failing,
        f"rounds of the background worker do not end ({', '.join(late)}): see its log",
    ]


def _failing(rounds: Sequence[LastRound]) -> list[str]:
    """A problem for each reason for which rounds fail."""
    by_reason: dict[str, list[LastRound]] = {}
    for each in rounds:
        if each.fails:
            by_reason.setdefault(each.failure, []).append(each)
    return [
        f"rounds of the background worker failed when they came last"
        f" ({', '.join(each.name for each in several)}; at"
        f" {_instant(max(each.failed_at_s for each in several))}, again by"
        f" {_instant(max(each.failed_at_s + each.every_s for each in several))}): {reason}"
        for reason, several in by_reason.items()
    ]


def _is_late(each: LastRound, now_s: float) -> bool:
    return now_s - each.at_s > 3 * each.every_s + SLACK_S


def _instant(at_s: float) -> str:
    return f"{datetime.fromtimestamp(at_s, UTC):%Y-%m-%d %H:%M:%S}Z"
