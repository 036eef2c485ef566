"""A tenant's hours with all that is watched of them, as the ledger has it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from tenantry.domain.anomaly.hours import SPAN_MAX_H, BadHours, Series


@dataclass(frozen=True, slots=True)
class HourFacts:
    """One hour, counted from 1970. `charge` is the customer's, `cost` the provider's.

    `throttled` counts attempts that upstream throttled; `requests` only what used something.
    """

    hour: int
    requests: int
    tokens: int
    input_tokens: int = 0
    cache_read_tokens: int = 0
    throttled: int = 0
    charge: Decimal = Decimal(0)
    cost: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True)
class FactSeries:
    """Every hour from the first one used on; `usage` holds tokens, requests and charges."""

    usage: Series
    input_tokens: Sequence[int]
    cache_read_tokens: Sequence[int]
    throttled: Sequence[int]
    costs: Sequence[Decimal]

    @property
    def start(self) -> int:
        return self.usage.start

    def __len__(self) -> int:
        return len(self.usage)


def facts_of(rows: Iterable[HourFacts], through: int) -> FactSeries:
    """Rows in order of their hours, all before `through`, up to which the series goes on with
    hours without use. Raises `BadHours`.
    """
    kept = list(rows)
    if not kept:
        return FactSeries(Series(through, (), (), ()), (), (), (), ())
    start = kept[0].hour
    span = through - start
    if not 0 < span <= SPAN_MAX_H:
        raise BadHours(f"{span} hours from first to last, not 1 to {SPAN_MAX_H}")
    counts = [[0] * span for _ in range(5)]
    charges, costs = [Decimal(0)] * span, [Decimal(0)] * span
    for row in kept:
        at = row.hour - start
        if not 0 <= at < span:
            raise BadHours(f"hour {row.hour} is not among those from {start} to {through}")
        named = (
            row.tokens, row.requests, row.input_tokens, row.cache_read_tokens, row.throttled,
        )  # fmt: skip
        for column, value in zip(counts, named, strict=True):
            column[at] = value
        charges[at], costs[at] = row.charge, row.cost
    tokens, requests, inputs, reads, throttled = counts
    usage = Series(start, tokens, requests, charges)
    return FactSeries(usage, inputs, reads, throttled, costs)
