"""The provider's bill held against the ledger, by day, account, region and usage.

Owns: what is compared, what a break is and what it is worth. Does not own: reading either side.

A *usage* is a model, a scope, a tier and a class. Usage types that AWS bills apart and the ledger
does not tell apart (in-region and geo profiles; short and long prompts) are summed on both sides.
What is within max($0.01, 0.1 %) of the bill agrees; what the tolerance swallowed is summed and
shown. Both sides come with days before and after: what was asked for on one day may be billed on
a later one (`domain/billed_later.py`). What may be of a day before the first that the bill has
cannot be told: it is no break, and summed apart.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal
from enum import StrEnum
from itertools import groupby
from typing import Final, NamedTuple

from tenantry.domain import money
from tenantry.domain.billed_later import Sides, Tolerance, billed_later, not_billed_yet
from tenantry.domain.usage import TokenClass

CENT: Final = Decimal("0.01")
PER_MILLE: Final = Decimal("0.001")
IDS_MAX: Final = 20  # of lines of the bill, with each break
GLOBAL, REGIONAL = "global", "regional"
# Classes that usage types are mapped to; the others' lines on a bill are shown and not compared.
COMPARED: Final = frozenset(
    {
        TokenClass.UNCACHED_IN,
        TokenClass.CACHE_READ,
        TokenClass.CACHE_WRITE_5M,
        TokenClass.CACHE_WRITE_1H,
        TokenClass.OUT,
        TokenClass.EMBEDDING,
        TokenClass.RERANK_UNITS,
    }
)


class BillBreakKind(StrEnum):
    """Why bill and ledger do not agree."""

    MISSING = "missing"  # in the ledger, and less of it or nothing on the bill
    UNATTRIBUTED = "unattributed"  # on the bill, and less of it or nothing in the ledger
    DOUBLED = "doubled"  # the export has one line of the bill twice
    MISPRICED = "mispriced"  # the same quantity at another price
    TENANT_DIFFERENCE = "tenant_difference"  # the bill names a tenant with another sum


class UsageKey(NamedTuple):
    """What is compared with what. `usage` is `model scope tier class`, or a usage type alone that
    stands for no usage of the gateway."""

    account: str
    region: str
    usage: str
    day: date


@dataclass(slots=True)
class Booked:
    """The ledger's side of a key. All of it may stand `reach` days later on the bill, and `late_…`,
    of the end of the day, one day further."""

    quantity: int = 0
    cost: Decimal = money.ZERO
    late_quantity: int = 0
    late_cost: Decimal = money.ZERO
    reach: int = 0


@dataclass(slots=True)
class Billed:
    """The bill's side of a key; the ids of the first lines."""

    quantity: Decimal = money.ZERO
    cost: Decimal = money.ZERO
    lines: int = 0
    usage_types: set[str] = field(default_factory=set)
    line_ids: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class BillBreak:
    """`difference_usd` is the bill's cost less the ledger's. `usage` is the key's; of a tenant
    difference it is the tenant."""

    kind: BillBreakKind
    id: str
    day: date | None
    account: str
    region: str
    usage: str
    usage_types: tuple[str, ...]
    line_ids: tuple[str, ...]
    ledger_quantity: int
    bill_quantity: Decimal
    ledger_usd: Decimal
    bill_usd: Decimal
    difference_usd: Decimal


@dataclass(slots=True)
class BillTally:
    """What was no break."""

    matched: int = 0
    within_tolerance_usd: Decimal = money.ZERO  # bill less ledger, of all that matched
    moved: int = 0  # days of which something is billed on a later one
    not_yet_billed: int = 0  # days, or what of a day may stand behind the bill's last
    not_yet_billed_usd: Decimal = money.ZERO
    of_before_bill: int = 0  # usages of which something may be of a day before the bill's first
    of_before_bill_usd: Decimal = money.ZERO


@dataclass(frozen=True, slots=True)
class Window:
    """The days [start, end) that are asked for, and the first and the last that the bill has
    anything of; None: the bill is empty."""

    start: date
    end: date
    billed_from: date | None
    billed_until: date | None

    def has(self, day: date) -> bool:
        return self.start <= day < self.end

    def is_before_bill(self, day: date) -> bool:
        """Whether the bill need not have that day: it is before its first and was not asked for."""
        return day < self.start and self.billed_from is not None and day < self.billed_from


class _AsBilled(NamedTuple):
    """The ledger's amounts of one usage on the days on which the bill has them, without those that
    it cannot have yet. `moved`: days from which something went; `waiting`: what waits for a bill;
    `of_before`: what came from days before the bill, by the day to which it went."""

    amounts: dict[date, Decimal]
    moved: set[date]
    waiting: Mapping[date, Decimal]
    of_before: Mapping[date, Decimal]


def tolerance(billed: Decimal) -> Decimal:
    return max(CENT, money.times(money.absolute(billed), PER_MILLE))


def usage_of(model: str, scope: str, tier: str, token_class: str) -> str:
    return f"{model} {scope} {tier} {token_class}"


def compared(
    booked: dict[UsageKey, Booked],
    billed: Mapping[UsageKey, Billed],
    window: Window,
    tally: BillTally,
) -> Iterator[BillBreak]:
    """The breaks of the days that are asked for, in the order of account, region, usage and day.
    `booked` is used up."""
    untold = _move_later(booked, billed, window, tally)
    for key in sorted(booked.keys() | billed.keys()):
        if not window.has(key.day):
            continue
        ours, theirs = booked.get(key, Booked()), billed.get(key, Billed())
        difference = money.less(theirs.cost, ours.cost)
        if money.absolute(difference) <= tolerance(theirs.cost):
            tally.matched += key not in untold
            tally.within_tolerance_usd = money.total((tally.within_tolerance_usd, difference))
        elif not theirs.lines and (window.billed_until is None or key.day > window.billed_until):
            tally.not_yet_billed += 1
            tally.not_yet_billed_usd = money.total((tally.not_yet_billed_usd, ours.cost))
        else:
            yield _found(_kind(ours, theirs), key, ours, theirs, difference)


def doubled(key: UsageKey, usage_type: str, line_id: str, cost: Decimal, of: Decimal) -> BillBreak:
    """A line that the export has once more: worth its whole cost, and not counted."""
    again = Billed(of, cost, 1, {usage_type}, [line_id])
    return replace(_found(BillBreakKind.DOUBLED, key, Booked(), again, cost), id=line_id)


def tenant_differences(
    booked: Mapping[str, Decimal], billed: Mapping[str, Decimal], edges: Mapping[str, Decimal]
) -> Iterator[BillBreak]:
    """Of a bill that names a tenant on every line. `edges`: what each used in the minutes that may
    be billed outside of the period, or inside it though they were before."""
    for tenant in sorted(booked.keys() | billed.keys()):
        ours, theirs = booked.get(tenant, money.ZERO), billed.get(tenant, money.ZERO)
        difference = money.less(theirs, ours)
        slack = money.total((tolerance(theirs), edges.get(tenant, money.ZERO)))
        if money.absolute(difference) > slack:
            kind = BillBreakKind.TENANT_DIFFERENCE
            nothing = ((), (), 0, money.ZERO)
            yield BillBreak(kind, tenant, None, "", "", tenant, *nothing, ours, theirs, difference)


def _kind(ours: Booked, theirs: Billed) -> BillBreakKind:
    more = money.less(theirs.quantity, Decimal(ours.quantity))
    if money.absolute(more) <= _share(theirs.quantity):
        return BillBreakKind.MISPRICED
    return BillBreakKind.UNATTRIBUTED if more > 0 else BillBreakKind.MISSING


def _found(
    kind: BillBreakKind, key: UsageKey, ours: Booked, theirs: Billed, difference: Decimal
) -> BillBreak:
    return BillBreak(
        kind=kind,
        id=f"{key.day.isoformat()} {key.account} {key.region} {key.usage}",
        day=key.day,
        account=key.account,
        region=key.region,
        usage=key.usage,
        usage_types=tuple(sorted(theirs.usage_types)),
        line_ids=tuple(theirs.line_ids),
        ledger_quantity=ours.quantity,
        bill_quantity=theirs.quantity,
        ledger_usd=ours.cost,
        bill_usd=theirs.cost,
        difference_usd=difference,
    )


def _move_later(
    booked: dict[UsageKey, Booked],
    billed: Mapping[UsageKey, Billed],
    window: Window,
    tally: BillTally,
) -> set[UsageKey]:
    """Puts usage on the days on which the bill has it, and counts what the bill cannot have yet and
    what it has of days before it; the usages of which something is that."""
    untold = set[UsageKey]()
    keys = sorted(booked.keys() | billed.keys())
    for _, same in groupby(keys, key=lambda key: key[:-1]):
        series = list(same)
        if not any(key in booked for key in series):
            continue
        ours = {key.day: booked.get(key, Booked()) for key in series}
        theirs = {key.day: billed.get(key, Billed()) for key in series}
        reach = max(one.reach for one in ours.values())
        of = series[0]
        costs = {day: Sides(ours[day].cost, ours[day].late_cost, theirs[day].cost) for day in ours}
        counts = {
            day: Sides(
                Decimal(ours[day].quantity), Decimal(ours[day].late_quantity), theirs[day].quantity
            )
            for day in ours
        }
        new = _as_billed(costs, reach, tolerance, window)
        new_counts = _as_billed(counts, reach, _share, window).amounts
        for day, one in ours.items():
            booked[of._replace(day=day)] = replace(
                one, quantity=int(new_counts[day]), cost=new.amounts[day]
            )
        untold |= {of._replace(day=day) for day in new.of_before}
        _count(new, window, tally)
    return untold


def _count(new: _AsBilled, window: Window, tally: BillTally) -> None:
    """Of the days that are asked for."""
    tally.moved += sum(map(window.has, new.moved))
    waiting = [amount for day, amount in new.waiting.items() if window.has(day)]
    tally.not_yet_billed += len(waiting)
    tally.not_yet_billed_usd = money.total((tally.not_yet_billed_usd, *waiting))
    of_before = [amount for day, amount in new.of_before.items() if window.has(day)]
    tally.of_before_bill += len(of_before)
    tally.of_before_bill_usd = money.total((tally.of_before_bill_usd, *of_before))


def _as_billed(
    sides: Mapping[date, Sides], reach: int, slack: Tolerance, window: Window
) -> _AsBilled:
    moves = billed_later(sides, reach, slack)
    amounts = {day: one.ours for day, one in sides.items()}
    of_before = dict[date, Decimal]()
    for move in moves:
        amounts[move.of] = money.less(amounts[move.of], move.amount)
        amounts[move.on] = money.total((amounts[move.on], move.amount))
        if window.is_before_bill(move.of):
            of_before[move.on] = money.total((of_before.get(move.on, money.ZERO), move.amount))
    moved = {move.of for move in moves}
    if window.billed_until is None:
        return _AsBilled(amounts, moved, {}, of_before)
    now = {day: one._replace(ours=amounts[day]) for day, one in sides.items()}
    waiting = not_billed_yet(now, reach, slack, window.billed_until)
    for day, amount in waiting.items():
        amounts[day] = money.less(amounts[day], amount)
    return _AsBilled(amounts, moved, waiting, of_before)


def _share(quantity: Decimal) -> Decimal:
    return money.times(money.absolute(quantity), PER_MILLE)
