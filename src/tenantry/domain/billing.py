"""From a contract and a period's usage to what is due: pure, and rounded once a line.

1. Fees, pro-rated by civil days: charged ahead for the period; a change credits what is left of
   the old fee and charges what is left of the new one.
2. Usage: by list charge, or, where the terms have an overage, tokens by included quantity and
   steps. List charges of another currency are converted at the rate of the period's first day.
3. Subtotal: 1 and 2. A line lifts it to the minimum.
4. Adjustments of earlier periods, at those periods' own prices: they neither fill this period's
   minimum nor use up its included tokens.
5. Tax, rounded once for each rate: adjustments have that of their period, all else the contract's.
   Then the prepaid credit, as far as it reaches. A total below zero, of corrections, goes to it,
   whatever had paid: nothing is paid out by an invoice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from typing import Any, Final

from tenantry.domain import money
from tenantry.domain.contract import Contract, ContractError, ExchangeRate, Terms
from tenantry.domain.invoice_edition import PRESENT, Edition
from tenantry.domain.overage import COUNTED, Overage
from tenantry.domain.period import Span, days_span
from tenantry.domain.proration import Days, civil_days, part_of, to_currency
from tenantry.domain.tax import Taxed, TaxRate, taxed_apart
from tenantry.domain.usage_line import UNKNOWN, PricedAs, UsageLine, words_of

_LONG_AGO: Final = datetime.min.replace(tzinfo=UTC)  # of prices of which nobody knows any more


class LineKind(StrEnum):
    FEE = "fee"
    USAGE = "usage"
    INCLUDED = "included"
    OVERAGE = "overage"
    MINIMUM = "minimum"
    ADJUSTMENT = "adjustment"  # of an earlier period
    CREDIT = "credit"  # of a credit note


@dataclass(frozen=True, slots=True)
class StatementLine:
    kind: LineKind
    description: str
    exact: Fraction  # in the contract's currency
    amount: Decimal  # the exact sum rounded once, half up
    quantity: int = 1
    per_million: Decimal | None = None  # what 1,000,000 units cost
    model: str | None = None
    token_class: str | None = None
    priced_as: PricedAs = UNKNOWN  # of a line of a model
    period: Span | None = None  # of a fee its days, of an adjustment its period
    rate: ExchangeRate | None = None  # of an adjustment: what converted it
    reason: str | None = None  # of an adjustment of usage
    tax: TaxRate | None = None  # of an adjustment: its period's; None: the contract's


@dataclass(frozen=True, slots=True)
class Statement:
    """What a period comes to, in the contract's currency.

    Invariants: subtotal + true_up is the sum of the lines; with tax it is the total; less the
    credit it is due. `charges + adjustment` is what is invoiced before tax.
    """

    currency: str
    lines: tuple[StatementLine, ...]
    subtotal: Decimal  # without the line that lifts it to the minimum
    true_up: Decimal  # that line
    tax: Decimal  # of all rates
    taxes: tuple[Taxed, ...]  # the contract's first; one at least
    total: Decimal
    credit: Decimal  # of the prepaid credit, used up by this statement; negative: given to it
    due: Decimal
    charges: Decimal  # list charges of the usage, unrounded: what the ledger already holds
    rate: ExchangeRate | None  # what converted them
    terms: Terms  # whose allowance, steps and minimum the period has
    late_charges: Decimal = money.ZERO  # list charges of earlier periods' usage, unrounded

    @property
    def adjustment(self) -> Decimal:
        """What the ledger's list charges lack, or have too much, of the sum before tax."""
        net = money.total((self.subtotal, self.true_up))
        return money.less(net, self.charges, self.late_charges)

    def of(self, kind: LineKind) -> Decimal:
        """What the lines of a kind come to."""
        return money.total(line.amount for line in self.lines if line.kind is kind)


@dataclass(frozen=True, slots=True)
class Late:
    """What an earlier period still owes: its lines, and the list charges that they stand for."""

    lines: tuple[StatementLine, ...] = ()
    charges: Decimal = money.ZERO  # converted, unrounded


NOTHING_LATE = Late()


def statement(
    contract: Contract,
    period: Span,
    usage: Sequence[UsageLine],
    late: Late = NOTHING_LATE,
    *,
    edition: Edition = PRESENT,
) -> Statement:
    """The lines and sums of one billing period.

    `usage` is what the ledger holds of the period, by model, token class and price; its order
    does not matter. Of an edition before `PERIODS_TOLD` a total below zero was due to the customer.
    Raises `ContractError`.
    """
    days = civil_days(period, contract.zone)
    in_force = _in_force(contract, days)
    terms = in_force[0][0]
    covered = Days(in_force[0][1].start, in_force[-1][1].end)
    rate = contract.usage_rate(days.start)
    usage = sorted((_converted(row, rate) for row in usage), key=_order(edition))
    lines = [*_fees(contract, in_force, days, period, edition)] if covered.count else []
    if terms.overage is None:
        lines += _listed(usage, contract.currency)
    else:
        included = int(part_of(terms.overage.included, covered, days))
        lines += _listed((r for r in usage if r.token_class not in COUNTED), contract.currency)
        lines += _tiered(usage, terms.overage, included, contract.currency)
    before = _sum(lines, contract.currency)
    minimum = part_of(terms.minimum, covered, days)
    true_up = [*_minimum(terms, minimum, before, contract.currency)]
    lines += late.lines
    subtotal = _sum(lines, contract.currency)
    lines += true_up
    net = _sum(lines, contract.currency)
    taxes = _taxes(lines, contract, edition)
    tax = money.total(each.amount for each in taxes)
    total = money.total((net, tax))
    credit = _credit(contract, total, edition)
    return Statement(
        currency=contract.currency,
        lines=tuple(lines),
        subtotal=subtotal,
        true_up=money.less(net, subtotal),
        tax=tax,
        taxes=taxes,
        total=total,
        credit=credit,
        due=money.less(total, credit),
        charges=money.total(row.charge for row in usage),
        rate=rate,
        terms=terms,
        late_charges=late.charges,
    )


def _in_force(contract: Contract, days: Days) -> Sequence[tuple[Terms, Days]]:
    """The terms of a period, of which there is one at least. What is used or settles late after a
    contract's end is stated under its last terms, on no day: they ask for no fee and no minimum,
    and include no tokens."""
    if contract.is_over(days):
        return [(contract.terms[-1], Days(days.start, days.start))]
    return contract.in_force(days)


def _taxes(
    lines: Sequence[StatementLine], contract: Contract, edition: Edition
) -> tuple[Taxed, ...]:
    """A tax of before of which all lines are 0 is none; in editions before `NOTHING_UNTAXED` it was
    one of 0."""
    told = edition < Edition.NOTHING_UNTAXED
    some = {line.tax for line in lines if told or line.amount}
    own = [(contract.tax, line.amount) for line in lines if line.tax is None]
    others = [(by, line.amount) for line in lines if (by := line.tax) is not None and by in some]
    nets = [*own, *others] or [(contract.tax, money.ZERO)]
    return taxed_apart(nets, contract.currency)


def _credit(contract: Contract, total: Decimal, edition: Edition) -> Decimal:
    if total < 0 and edition >= Edition.PERIODS_TOLD:
        return total
    return money.to_currency(min(contract.prepaid, max(total, money.ZERO)), contract.currency)


def _sum(lines: Iterable[StatementLine], currency: str) -> Decimal:
    """Of amounts in whole minor units: shown with all of their digits, also where it is 0."""
    return money.to_currency(money.total(line.amount for line in lines), currency)


def _converted(row: UsageLine, rate: ExchangeRate | None) -> UsageLine:
    if rate is None:
        return row
    price = row.unit_price
    price = None if price is None else money.times(price, rate.rate)
    return replace(row, charge=money.times(row.charge, rate.rate), unit_price=price)


def _order(edition: Edition) -> Callable[[UsageLine], tuple[Any, ...]]:
    """Of lines of one model and class that whose prices began first; in editions before
    `CHANGES_TOLD` the cheapest."""
    begins = edition >= Edition.CHANGES_TOLD

    def place(row: UsageLine) -> tuple[Any, ...]:
        began = (row.priced_as.since if begins else None) or _LONG_AGO
        price = row.unit_price or money.ZERO
        return row.model, row.token_class, began, price, row.quantity, row.charge

    return place


def _fees(
    contract: Contract,
    in_force: Sequence[tuple[Terms, Days]],
    period: Days,
    span: Span,
    edition: Edition,
) -> Iterator[StatementLine]:
    for terms, days, sign in _charged_and_credited(in_force, period, edition):
        if terms.fee:
            line = _fee(terms, days, period, sign, contract.currency)
            yield replace(line, period=days_span(days.start, days.end, span, contract.zone))


def _charged_and_credited(
    in_force: Sequence[tuple[Terms, Days]], period: Days, edition: Edition
) -> Iterator[tuple[Terms, Days, int]]:
    """The days for which terms ask their fee, and, with sign -1, for which it is given back. What a
    plan has charged is credited in its own name, and goes to another plan that asks the same: both
    lines round alike. In editions before `CHANGES_TOLD` the name went to the latest plan alone."""
    by_name = edition >= Edition.CHANGES_TOLD
    charged: Terms | None = None
    for terms, days in in_force:
        left = Days(days.start, period.end)
        if charged is None or charged.fee != terms.fee or (by_name and charged.plan != terms.plan):
            if charged is not None:
                yield charged, left, -1
            yield terms, left, 1
        charged = terms
    last, end = in_force[-1][0], in_force[-1][1].end
    if end < period.end:
        yield last, Days(end, period.end), -1


def _fee(terms: Terms, days: Days, period: Days, sign: int, currency: str) -> StatementLine:
    words = f"Plan {terms.plan}"
    if days != period:
        words += f", {days.count} of {period.count} days from {days.start}"
    if sign < 0:
        words += ", credited"
    return _line(LineKind.FEE, words, sign * part_of(terms.fee, days, period), currency)


def _listed(usage: Iterable[UsageLine], currency: str) -> Iterator[StatementLine]:
    for row in usage:
        words = words_of(row.model, row.token_class)
        line = _line(LineKind.USAGE, words, Fraction(row.charge), currency, quantity=row.quantity)
        yield replace(
            line,
            model=row.model,
            token_class=row.token_class,
            per_million=row.unit_price,
            priced_as=row.priced_as,
        )


def _tiered(
    usage: Iterable[UsageLine], overage: Overage, included: int, currency: str
) -> Iterator[StatementLine]:
    used = sum(row.quantity for row in usage if row.token_class in COUNTED)
    if used < 0:
        raise ContractError(f"a period's usage of {used} tokens has no price")
    if free := min(used, included):
        words = f"Included tokens, {free:,} of {included:,}"
        yield _line(LineKind.INCLUDED, words, Fraction(0), currency, quantity=free)
    for portion in overage.tiers.portions(used - free):
        words = f"Tokens beyond {included + portion.after:,}"
        yield _line(
            LineKind.OVERAGE,
            words,
            Fraction(portion.amount),
            currency,
            quantity=portion.quantity,
            per_million=portion.per_million,
        )


def _minimum(
    terms: Terms, minimum: Fraction, subtotal: Decimal, currency: str
) -> Iterator[StatementLine]:
    lacking = minimum - Fraction(subtotal)
    if minimum and lacking > 0:  # without a minimum a sum below zero is the customer's
        yield _line(LineKind.MINIMUM, f"Up to the minimum of plan {terms.plan}", lacking, currency)


def _line(
    kind: LineKind,
    description: str,
    exact: Fraction,
    currency: str,
    *,
    quantity: int = 1,
    per_million: Decimal | None = None,
) -> StatementLine:
    amount = to_currency(exact, currency)
    return StatementLine(kind, description, exact, amount, quantity, per_million)
