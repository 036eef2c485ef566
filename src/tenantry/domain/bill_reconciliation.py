"""The provider's bill held against the ledger, by day, account, region and usage.

Owns: what is compared, what a break is and what it is worth. Does not own: reading either side.

A *usage* is a model, a scope, a tier and a class. Usage types that AWS bills apart and the ledger
does not tell apart (in-region and geo profiles; short and long prompts) are summed on both sides.
What is within max($0.01, 0.1 %) of the bill agrees; what the tolerance swallowed is summed and
shown. Both sides come with the day before and the day after: a call of the last minutes of a day
may be billed in the next.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Final, NamedTuple

from tenantry.domain import money
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
    """The ledger's side of a key. `late_…`: of the last minutes of the day, which the provider may
    have put into the next."""

    quantity: int = 0
    cost: Decimal = money.ZERO
    late_quantity: int = 0
    late_cost: Decimal = money.ZERO


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
    moved: int = 0  # days whose last minutes are billed in the next
    not_yet_billed: int = 0
    not_yet_billed_usd: Decimal = money.ZERO


def tolerance(billed: Decimal) -> Decimal:
    return max(CENT, money.times(money.absolute(billed), PER_MILLE))


def usage_of(model: str, scope: str, tier: str, token_class: str) -> str:
    return f"{model} {scope} {tier} {token_class}"


def compared(
    booked: dict[UsageKey, Booked],
    billed: Mapping[UsageKey, Billed],
    days: tuple[date, date],
    billed_until: date | None,
    tally: BillTally,
) -> Iterator[BillBreak]:
    """The breaks of [days) in the order of account, region, usage and day. `booked` is used up.

    `billed_until` is the last day that the bill has anything of; None: the bill is empty.
    """
    _move_late(booked, billed, tally)
    for key in sorted(booked.keys() | billed.keys()):
        if not days[0] <= key.day < days[1]:
            continue
        ours, theirs = booked.get(key, Booked()), billed.get(key, Billed())
        difference = money.less(theirs.cost, ours.cost)
        if money.absolute(difference) <= tolerance(theirs.cost):
            tally.matched += 1
            tally.within_tolerance_usd = money.total((tally.within_tolerance_usd, difference))
        elif not theirs.lines and (billed_until is None or key.day > billed_until):
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
    share = money.times(money.absolute(theirs.quantity), PER_MILLE)
    if money.absolute(more) <= share:
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


def _move_late(
    booked: dict[UsageKey, Booked], billed: Mapping[UsageKey, Billed], tally: BillTally
) -> None:
    """Usage of a day's last minutes that the bill has in the next day: what the day lacks, where
    there was so much so late, and where the next has so much too much."""
    for key in sorted(booked):
        ours, theirs = booked[key], billed.get(key, Billed())
        lacking = money.less(ours.cost, theirs.cost)
        if not ours.late_cost or lacking <= tolerance(theirs.cost):
            continue
        after = key._replace(day=key.day + timedelta(days=1))
        next_theirs, next_ours = billed.get(after), booked.get(after, Booked())
        if next_theirs is None:
            continue
        surplus = money.less(next_theirs.cost, next_ours.cost)
        allowed = money.total((ours.late_cost, tolerance(theirs.cost)))
        if lacking > min(allowed, money.total((surplus, tolerance(next_theirs.cost)))):
            continue  # it would not settle the day
        cost = lacking
        short = int(money.less(Decimal(ours.quantity), theirs.quantity))
        quantity = max(0, short)
        booked[key] = replace(
            ours, quantity=ours.quantity - quantity, cost=money.less(ours.cost, cost)
        )
        booked[after] = replace(
            next_ours,
            quantity=next_ours.quantity + quantity,
            cost=money.total((next_ours.cost, cost)),
        )
        tally.moved += 1
