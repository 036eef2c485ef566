"""What a period earned and cost, by tenant, model or tag: from two books to a margin.

Owns: the report's arithmetic. Pure and exact: nothing is rounded but percentages, every column sums
to its total, and shared costs and fees are divided to the last digit. All money in USD.

revenue − provider cost − waste − shared − fees = contribution; its share of revenue is the margin.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from enum import StrEnum

from tenantry.domain import money
from tenantry.domain.allocation import allocate
from tenantry.domain.economics import percent_of
from tenantry.domain.shared_costs import AllocationKey, SharedCosts

USD = "USD"
NO_TAG = "(none)"
NOBODY = "(nobody)"  # bears what is shared where nothing was used
AUDITS = "(audits)"  # what canaries used: no customer's, and in no row and no total
PLANS = "(plans)"  # fees, allowances, minimums: revenue of invoices that has no model and no tag


class MarginError(ValueError):
    """The report cannot be made; the message says what is missing."""


class MarginBy(StrEnum):
    TENANT = "tenant"
    MODEL = "model"
    TAG = "tag"


@dataclass(frozen=True, slots=True)
class Books:
    """What the ledger holds of one group over a span."""

    name: str
    charges: Mapping[str, Decimal] = field(default_factory=dict)  # list charges, by currency
    invoiced: Mapping[str, Decimal] = field(default_factory=dict)  # beyond them, where final
    cost: Decimal = money.ZERO  # of what customers pay for
    retries: Decimal = money.ZERO  # of attempts beside the one that was charged
    abandoned: Decimal = money.ZERO  # of attempts that nobody was charged for
    requests: int = 0
    tokens: int = 0
    is_audit: bool = False  # of canaries, all together

    @property
    def earned(self) -> Mapping[str, Decimal]:
        """List charges and what is invoiced beyond them, by currency."""
        return {
            currency: money.total(
                part.get(currency, money.ZERO) for part in (self.charges, self.invoiced)
            )
            for currency in {**self.charges, **self.invoiced}
        }


@dataclass(frozen=True, slots=True)
class MarginRow:
    name: str
    requests: int
    tokens: int
    revenue: Decimal
    provider_cost: Decimal
    retries: Decimal
    abandoned: Decimal
    shared: Decimal = money.ZERO
    fees: Decimal = money.ZERO

    @property
    def waste(self) -> Decimal:
        return money.total((self.retries, self.abandoned))

    @property
    def contribution(self) -> Decimal:
        return money.less(self.revenue, self.provider_cost, self.waste, self.shared, self.fees)

    @property
    def margin_percent(self) -> Decimal | None:
        """To a tenth, half up; None without revenue."""
        if self.revenue <= 0:
            return None
        return percent_of(self.contribution, self.revenue)


@dataclass(frozen=True, slots=True)
class SharedLine:
    """A shared cost and how it was divided."""

    name: str
    usd: Decimal
    key: AllocationKey


@dataclass(frozen=True, slots=True)
class MarginReport:
    by: MarginBy
    rows: tuple[MarginRow, ...]  # by revenue, largest first
    total: MarginRow
    shared: tuple[SharedLine, ...]
    fee_rate: Decimal
    fee_each: Decimal
    payers: int
    audits: MarginRow | None = None


def margin_report(
    by: MarginBy,
    books: Sequence[Books],
    tenants: Sequence[Mapping[str, Decimal]],
    costs: SharedCosts,
) -> MarginReport:
    """`tenants`: what each brought, by currency; those who brought anything are the payers, however
    the report is grouped. What audits used bears nothing of what is shared. Raises `MarginError`.
    """
    audits = [_row(each, costs) for each in books if each.is_audit]
    rows = {each.name: _row(each, costs) for each in books if not each.is_audit}
    assert len(rows) + len(audits) == len(books), "a group comes once"
    assert len(audits) <= 1, "audits are one group"
    if costs.items and not rows:
        rows[NOBODY] = _row(Books(NOBODY), costs)
    for item in costs.items:
        _add(rows, allocate(item.usd, _weights(rows, item.key)), _with_shared)
    payers = sum(_usd(earned, costs) > 0 for earned in tenants)
    paying = {name: row for name, row in rows.items() if row.revenue > 0}
    if paying:
        flat = money.times(Decimal(payers), costs.fee_each)
        even = AllocationKey.EQUAL if by is MarginBy.TENANT else AllocationKey.REVENUE
        _add(rows, allocate(flat, _weights(paying, even)), _with_fees)
    _add(
        rows,
        {name: money.times(row.revenue, costs.fee_rate) for name, row in paying.items()},
        _with_fees,
    )
    ordered = sorted(rows.values(), key=lambda row: (money.minus(row.revenue), row.name))
    return MarginReport(
        by,
        tuple(ordered),
        _total(ordered),
        tuple(SharedLine(item.name, item.usd, item.key) for item in costs.items),
        costs.fee_rate,
        costs.fee_each,
        payers,
        audits[0] if audits else None,
    )


def _with_shared(row: MarginRow, part: Decimal) -> MarginRow:
    return replace(row, shared=money.total((row.shared, part)))


def _with_fees(row: MarginRow, part: Decimal) -> MarginRow:
    return replace(row, fees=money.total((row.fees, part)))


def _add(
    rows: dict[str, MarginRow],
    parts: Mapping[str, Decimal],
    with_part: Callable[[MarginRow, Decimal], MarginRow],
) -> None:
    for name, part in parts.items():
        rows[name] = with_part(rows[name], part)


def _weights(rows: Mapping[str, MarginRow], key: AllocationKey) -> dict[str, Decimal]:
    weight: Mapping[AllocationKey, Callable[[MarginRow], Decimal]] = {
        AllocationKey.TOKENS: lambda row: Decimal(row.tokens),
        AllocationKey.REQUESTS: lambda row: Decimal(row.requests),
        AllocationKey.REVENUE: lambda row: row.revenue,
        AllocationKey.EQUAL: lambda row: Decimal(1),
    }
    return {name: weight[key](row) for name, row in rows.items()}


def _row(books: Books, costs: SharedCosts) -> MarginRow:
    return MarginRow(
        books.name,
        books.requests,
        books.tokens,
        _usd(books.earned, costs),
        books.cost,
        books.retries,
        books.abandoned,
    )


def _usd(amounts: Mapping[str, Decimal], costs: SharedCosts) -> Decimal:
    return money.total(
        money.times(amount, _usd_per(currency, costs)) for currency, amount in amounts.items()
    )


def _usd_per(currency: str, costs: SharedCosts) -> Decimal:
    if currency == USD:
        return Decimal(1)
    rate = costs.usd_per.get(currency)
    if rate is None:
        raise MarginError(f"revenue is in {currency}: usd_per.{currency} is missing in the costs")
    return rate


def _total(rows: Sequence[MarginRow]) -> MarginRow:
    return MarginRow(
        "total",
        sum(row.requests for row in rows),
        sum(row.tokens for row in rows),
        money.total(row.revenue for row in rows),
        money.total(row.provider_cost for row in rows),
        money.total(row.retries for row in rows),
        money.total(row.abandoned for row in rows),
        money.total(row.shared for row in rows),
        money.total(row.fees for row in rows),
    )
