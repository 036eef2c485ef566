"""The ledger held against the provider's bill, by day, account, region and usage.

1. Each line of the bill becomes a usage of a model, or is set aside for a reason that is named; a
   usage type that is not known stops all, with the list of them.
2. The lines are sorted on disk by their identity, so that one that was delivered twice is found.
3. Both sides are summed and compared; what does not agree is told with its money.

Only lines of usage are compared. Credits, discounts and taxes are summed by their kind and shown.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from fnmatch import fnmatchcase
from typing import Final, TypeAlias

from tenantry.application.reconcile import INSTEAD
from tenantry.domain import money
from tenantry.domain.archive import refuse_archived
from tenantry.domain.bill import USAGE, BillError, BillLine
from tenantry.domain.bill_reconciliation import (
    COMPARED,
    GLOBAL,
    IDS_MAX,
    REGIONAL,
    BillBreak,
    BillBreakKind,
    Billed,
    BillTally,
    Booked,
    UsageKey,
    Window,
    compared,
    doubled,
    tenant_differences,
    usage_of,
)
from tenantry.domain.billed_later import reach_days
from tenantry.domain.billing_name import BillingNames
from tenantry.domain.model_ids import Scope
from tenantry.domain.price import BATCH_TIER
from tenantry.domain.price_list import class_of
from tenantry.domain.usage_type import MILLION, THOUSAND, Aside, usage_type
from tenantry.ports.cloud_bill import BillExport, CostBook, DayCost
from tenantry.ports.sorting import LineSorter

KEYS_MAX: Final = 1_000_000  # compared at once; a month of one account has some thousands
UNKNOWN_MAX: Final = 50  # usage types in one message; all are counted
LISTED_MAX: Final = 10_000  # breaks of each kind; all are counted, and so is their money
TENANT_TAG: Final = "tid"  # as in the metadata of every call
UNNAMED: Final = ""  # a line that names no tenant
# Days on either side of the period that are read as well: so far what a batch job used may stand
# from the day on which it was made, and one more, whose own usage that may have displaced.
EDGE: Final = timedelta(days=reach_days(BATCH_TIER) + 2)
_ARN = "arn:"
_SEPARATOR = "\x1f"
_UNITS: Final[Mapping[str, int]] = {
    "1k tokens": THOUSAND,
    "1m tokens": MILLION,
    "1k": THOUSAND,
    "1m": MILLION,
    "tokens": 1,
}
_Sums: TypeAlias = "dict[str, Sum]"


@dataclass(slots=True)
class Sum:
    lines: int = 0
    usd: Decimal = money.ZERO

    def add(self, cost: Decimal) -> None:
        self.lines += 1
        self.usd = money.total((self.usd, cost))


@dataclass(frozen=True, slots=True)
class TenantCost:
    """One tenant on the bill and in the ledger; `bill_usd` only of lines that name it."""

    tenant_id: str
    ledger_usd: Decimal
    bill_usd: Decimal


@dataclass(slots=True)
class BillReport:
    """`breaks` has the first LISTED_MAX of each kind."""

    start: date
    end: date
    files: int = 0
    lines: int = 0  # of usage, compared
    ledger_usd: Decimal = money.ZERO
    bill_usd: Decimal = money.ZERO
    billed_from: date | None = None  # the first day of which the bill has usage of Bedrock
    billed_until: date | None = None
    tally: BillTally = field(default_factory=BillTally)
    by_kind: dict[BillBreakKind, Sum] = field(default_factory=dict)
    breaks: list[BillBreak] = field(default_factory=list)
    set_aside: _Sums = field(default_factory=dict)  # usage that no request is priced by
    other_lines: _Sums = field(default_factory=dict)  # credits, taxes, …, by the bill's kind
    other_services: Sum = field(default_factory=Sum)
    not_compared_usd: Decimal = money.ZERO  # the ledger's, of classes without a usage type
    tenants: list[TenantCost] = field(default_factory=list)
    unnamed_usd: Decimal = money.ZERO  # of compared lines that name no tenant

    @property
    def break_count(self) -> int:
        return sum(of.lines for of in self.by_kind.values())

    def has(self, day: date) -> bool:
        return self.start <= day < self.end

    def take(self, found: BillBreak) -> None:
        of_kind = self.by_kind.setdefault(found.kind, Sum())
        of_kind.add(found.difference_usd)
        if of_kind.lines <= LISTED_MAX:
            self.breaks.append(found)


@dataclass(frozen=True, slots=True)
class BillSides:
    """What is held against what. `sorter` is used up by one reconciliation.

    `tenant_tag`: the tag by which a caller's session or profile names the tenant.
    """

    book: CostBook
    exports: Sequence[BillExport]
    names: BillingNames
    sorter: LineSorter
    ignore: Sequence[str] = ()
    tenant_tag: str = TENANT_TAG


async def reconcile_bill(sides: BillSides, start: date, end: date) -> BillReport:
    """Of the days [start, end) of UTC. Raises `BillError` for what nobody knows, and `Conflict`
    where they begin in an archived month."""
    await _refuse_archived(sides.book, start)
    report = BillReport(start, end)
    tenants = await sides.book.tenant_names()
    _read(sides, report, tenants)
    billed, billed_by_tenant = _summed(sides.sorter, report)
    booked, booked_by_tenant, edges = await _booked(sides.book, report)
    await _refuse_archived(sides.book, start)  # before the book was read a month may have gone
    window = Window(start, end, report.billed_from, report.billed_until)
    for found in compared(booked, billed, window, report.tally):
        report.take(found)
    named = {t: usd for t, usd in billed_by_tenant.items() if t != UNNAMED}
    report.unnamed_usd = billed_by_tenant.get(UNNAMED, money.ZERO)
    if named:
        report.tenants = [
            TenantCost(t, booked_by_tenant.get(t, money.ZERO), named.get(t, money.ZERO))
            for t in sorted(booked_by_tenant.keys() | named.keys())
        ]
        if UNNAMED not in billed_by_tenant:
            for found in tenant_differences(booked_by_tenant, named, edges):
                report.take(found)
    return report


def _read(sides: BillSides, report: BillReport, tenants: Mapping[str, str]) -> None:
    unknown = Counter[str]()
    for export in sides.exports:
        for line in export.lines(report.start - EDGE, report.end + EDGE):
            if not report.start - EDGE <= line.at.date() < report.end + EDGE:
                continue
            text = _line(line, sides, report, tenants, unknown)
            if text is not None:
                sides.sorter.add(text)
        report.files += export.files
    if unknown:
        shown = sorted(unknown)[:UNKNOWN_MAX]
        more = len(unknown) - len(shown)
        rest = f", and {more} more" if more else ""
        raise BillError(f"{len(unknown)} usage types are not known: {', '.join(shown)}{rest}")


def _line(
    line: BillLine,
    sides: BillSides,
    report: BillReport,
    tenants: Mapping[str, str],
    unknown: Counter[str],
) -> str | None:
    """What is sorted and summed of a line; None where it is shown and not compared."""
    day = line.at.date()
    shown = report.has(day)
    if not line.is_bedrock:
        if shown:
            report.other_services.add(line.cost)
        return None
    report.billed_until = max(day, report.billed_until or day)
    if line.kind != USAGE:
        if shown:
            report.other_lines.setdefault(line.kind, Sum()).add(line.cost)
        return None
    report.billed_from = min(day, report.billed_from or day)
    usage, quantity = line.usage_type, line.amount
    counted = usage_type(line.usage_type)
    if isinstance(counted, Aside):
        if not counted.by_request:
            if shown:
                report.set_aside.setdefault(counted.reason, Sum()).add(line.cost)
            return None
    else:
        model = sides.names.model(counted.name or line.product) if counted is not None else None
        if counted is None or model is None:
            if any(fnmatchcase(line.usage_type, pattern) for pattern in sides.ignore):
                report.set_aside.setdefault("ignored as asked", Sum()).add(line.cost)
            else:
                unknown[f"{line.usage_type} {line.product}".strip()] += 1
            return None
        scope = GLOBAL if counted.scope is Scope.GLOBAL else REGIONAL
        usage = usage_of(model.id, scope, counted.tier, class_of(counted, model))
        unit = counted.unit if counted.unit == 1 else _UNITS.get(line.unit.lower(), counted.unit)
        quantity = money.times(line.amount, Decimal(unit))
    tenant = _tenant(line, sides.tenant_tag, tenants)
    cells = (
        line.id,
        day.isoformat(),
        line.account,
        line.region,
        usage,
        line.usage_type,
        money.plain(quantity),
        money.plain(line.cost),
        tenant,
    )
    return _SEPARATOR.join(cell.replace("\n", " ").replace(_SEPARATOR, " ") for cell in cells)


def _tenant(line: BillLine, tag: str, tenants: Mapping[str, str]) -> str:
    """By a tag, else by the caller's session where that is a tenant. What a tag names and nobody
    knows is kept as it is: it is on the bill and in no ledger."""
    named = line.tagged(tag)
    if named is not None:
        return tenants.get(named, named)
    return tenants.get(line.session or "", UNNAMED)


def _summed(
    sorter: LineSorter, report: BillReport
) -> tuple[dict[UsageKey, Billed], dict[str, Decimal]]:
    billed: dict[UsageKey, Billed] = {}
    by_tenant: dict[str, Decimal] = {}
    last = ""
    for line_id, key, name, quantity, cost, tenant in map(_cells, sorter.in_order()):
        if line_id and line_id == last:
            if report.has(key.day):
                report.take(doubled(key, name, line_id, cost, quantity))
            continue
        last = line_id
        found = billed.setdefault(key, Billed())
        if len(billed) > KEYS_MAX:
            raise BillError(f"more than {KEYS_MAX:,} usages of a day; ask for a shorter period")
        found.quantity = money.total((found.quantity, quantity))
        found.cost = money.total((found.cost, cost))
        found.lines += 1
        found.usage_types.add(name)
        if line_id and len(found.line_ids) < IDS_MAX:
            found.line_ids.append(line_id)
        if not report.has(key.day):
            continue
        _add(by_tenant, tenant, cost)
        report.lines += 1
        report.bill_usd = money.total((report.bill_usd, cost))
    return billed, by_tenant


def _cells(text: str) -> tuple[str, UsageKey, str, Decimal, Decimal, str]:
    line_id, day, account, region, usage, name, quantity, cost, tenant = text.split(_SEPARATOR)
    key = UsageKey(account, region, usage, date.fromisoformat(day))
    return line_id, key, name, Decimal(quantity), Decimal(cost), tenant


async def _refuse_archived(book: CostBook, start: date) -> None:
    at = datetime.combine(start, time.min, UTC)
    refuse_archived(at, await book.archived_through(), INSTEAD)


async def _booked(
    book: CostBook, report: BillReport
) -> tuple[dict[UsageKey, Booked], dict[str, Decimal], dict[str, Decimal]]:
    """By usage with the days on either side; by tenant; and what each used that may be billed
    behind an edge of the period."""
    booked: dict[UsageKey, Booked] = {}
    by_tenant: dict[str, Decimal] = {}
    edges: dict[str, Decimal] = {}
    async for batch in book.day_costs(report.start - EDGE, report.end + EDGE):
        for one in batch:
            ours = report.has(one.day)
            if one.token_class not in COMPARED or one.price_key.startswith(_ARN):
                if ours:
                    report.not_compared_usd = money.total((report.not_compared_usd, one.cost))
                continue
            found = booked.setdefault(_key(one), Booked())
            found.quantity += one.quantity
            found.cost = money.total((found.cost, one.cost))
            found.late_quantity += one.late_quantity
            found.late_cost = money.total((found.late_cost, one.late_cost))
            found.reach = reach_days(one.service_tier)
            if len(booked) > KEYS_MAX:
                raise BillError(f"more than {KEYS_MAX:,} usages of a day; ask for less")
            for edge in (report.start, report.end):
                _add(edges, one.tenant_id, _behind(edge, one))
            if ours:
                _add(by_tenant, one.tenant_id, one.cost)
                report.ledger_usd = money.total((report.ledger_usd, one.cost))
    return booked, by_tenant, edges


def _behind(edge: date, one: DayCost) -> Decimal:
    """What of a day before the edge may be billed behind it."""
    beyond = (edge - one.day).days - reach_days(one.service_tier)
    if edge <= one.day or beyond > 1:
        return money.ZERO
    return one.late_cost if beyond == 1 else one.cost


def _add(sums: dict[str, Decimal], name: str, amount: Decimal) -> None:
    sums[name] = money.total((sums.get(name, money.ZERO), amount))


def _key(one: DayCost) -> UsageKey:
    scope = GLOBAL if one.price_key.startswith(f"{GLOBAL}.") else REGIONAL
    usage = usage_of(one.model, scope, one.service_tier, one.token_class)
    return UsageKey(one.account, one.region, usage, one.day)


def whole_days(start: datetime, end: datetime) -> tuple[date, date] | None:
    """The days of a period that has whole days of UTC; None where it has others."""
    begin, until = start.astimezone(UTC), end.astimezone(UTC)
    if begin.time() != begin.min.time() or until.time() != until.min.time():
        return None
    return begin.date(), until.date()
