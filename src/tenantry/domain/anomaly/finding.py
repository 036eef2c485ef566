"""What was found unusual in a tenant's hours, and which of it is news."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum


class Unit(StrEnum):
    TOKENS = "tokens"
    REQUESTS = "requests"
    TOKENS_PER_REQUEST = "tokens_per_request"
    SHARE = "share"  # of 1
    ATTEMPTS = "attempts"


@dataclass(frozen=True, slots=True)
class Finding:
    """The `hours` hours that end with `hour` (since 1970), beside what is normal for them.

    `excess_tokens` is what the difference comes to in tokens, where it comes to any.
    """

    kind: str
    hour: int
    hours: int
    observed: float
    expected: float
    unit: Unit
    excess_tokens: int | None = None


def news(findings: Iterable[Finding], cool_down_h: int, remind_h: int) -> Iterator[Finding]:
    """The first of each episode of one kind, and what lasts said again; findings in order."""
    seen: int | None = None
    told: int | None = None
    for finding in findings:
        fresh = seen is None or finding.hour - seen > cool_down_h
        again = told is not None and finding.hour - told >= remind_h
        seen = finding.hour
        if fresh or again:
            told = finding.hour
            yield finding
