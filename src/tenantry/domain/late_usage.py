"""What settles after its period was invoiced, or is corrected: lines of the next invoice, at the
period's own price.

A period stays what it was when it was closed: the end of the contract and the rates that were known
then hold for it, and the tax, whatever was entered since. Where none of those rates is of its time,
because its currency was agreed later, those that are known now hold; so does the tax of now where
there was no contract then.

By list, a late event costs its list charge. Under an overage it costs what the steps ask for the
tokens after those already invoiced, and included tokens that are left stay included. A minimum
that was charged covers it as far as it reaches: nobody pays for the same usage twice.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Final

from tenantry.domain import money
from tenantry.domain.billing import Late, LineKind, Statement, StatementLine, statement
from tenantry.domain.contract import Contract, ExchangeRate, terms_until
from tenantry.domain.invoice_edition import PRESENT, Edition
from tenantry.domain.overage import COUNTED
from tenantry.domain.period import Span
from tenantry.domain.proration import civil_days, to_currency
from tenantry.domain.tax import TaxRate
from tenantry.domain.usage_line import UNKNOWN, UsageLine, words_of

SETTLED_LATE: Final = "settled_late"
PRICE_CORRECTED: Final = "price_corrected"
TAKEN_BACK: Final = "taken_back"


@dataclass(frozen=True, slots=True)
class Closed:
    """What was known of a period when it was closed."""

    ends: date | None  # of the contract
    rates: tuple[ExchangeRate, ...]
    tax: TaxRate | None = None  # None: there was no contract


@dataclass(frozen=True, slots=True)
class EarlierPeriod:
    """`invoiced`: what earlier invoices hold of it; `late`: what the ledger holds beyond that.

    `closed` None: for an invoice of before migration 0041, which took the end and the rates of its
    own instant, and has a line of tokens also where they come to nothing.
    """

    period: Span
    invoiced: Sequence[UsageLine]
    late: Sequence[UsageLine]
    closed: Closed | None


def late_of(
    contract: Contract, earlier: Sequence[EarlierPeriod], *, edition: Edition = PRESENT
) -> Late:
    """Raises `ContractError`."""
    lines: list[StatementLine] = []
    charges = money.ZERO
    for each in earlier:
        if not each.late:
            continue
        agreed, tax = _as_closed(contract, each), _tax_of(contract, each, edition)
        before = statement(agreed, each.period, each.invoiced)
        after = statement(agreed, each.period, [*each.invoiced, *each.late])
        charges = money.total((charges, money.less(after.charges, before.charges)))
        found = [*_listed(agreed, each, tiered=after.terms.overage is not None)]
        if after.terms.overage is not None:
            steps = _exact(after.lines, LineKind.OVERAGE) - _exact(before.lines, LineKind.OVERAGE)
            tokens = sum(row.quantity for row in each.late if row.token_class in COUNTED)
            if tokens or steps or each.closed is None:
                price = _step_price(before, after) if edition >= Edition.STEPS_TOLD else None
                line = _line("Tokens", steps, contract.currency, quantity=tokens, per_million=price)
                found.append(replace(line, reason=TAKEN_BACK if tokens < 0 else SETTLED_LATE))
        if covered := _covered(found, before, after):
            found.append(_line("Covered by the minimum", Fraction(covered), contract.currency))
        found = [_of(each.period, line, contract.zone, edition) for line in found]
        lines += [replace(line, tax=tax) for line in found]
    return Late(tuple(lines), charges)


def _as_closed(contract: Contract, each: EarlierPeriod) -> Contract:
    closed = each.closed
    if closed is None:
        return contract
    began = civil_days(each.period, contract.zone).start
    known = any(rate.day <= began for rate in closed.rates)
    return replace(
        contract,
        terms=terms_until(contract.terms, closed.ends),
        ends=closed.ends,
        rates=closed.rates if known else contract.rates,
    )


def _tax_of(contract: Contract, each: EarlierPeriod, edition: Edition) -> TaxRate | None:
    """Where it is another than the contract's."""
    if edition < Edition.TAXED_BY_PERIOD or each.closed is None or each.closed.tax == contract.tax:
        return None
    return each.closed.tax


def _step_price(before: Statement, after: Statement) -> Decimal | None:
    """What 1,000,000 of the tokens cost by which two statements differ; None: some of them cost
    another price, or the price of those before has moved."""
    moved: Counter[Decimal] = Counter()
    for sign, lines in ((1, after.lines), (-1, before.lines)):
        for line in lines:
            if line.kind in (LineKind.INCLUDED, LineKind.OVERAGE):
                moved[line.per_million or money.ZERO] += sign * line.quantity
    prices = [price for price, quantity in moved.items() if quantity]
    return prices[0] if len(prices) == 1 else None


def _covered(lines: Sequence[StatementLine], before: Statement, after: Statement) -> Decimal:
    """What the period's minimum takes of the lines: it was paid up to it, or is now short of it."""
    owed = money.total(line.amount for line in lines)
    if owed > 0:
        return money.minus(min(owed, before.true_up))
    return min(money.minus(owed), after.true_up)


def _of(period: Span, line: StatementLine, zone: str, edition: Edition) -> StatementLine:
    """A line with its period; its words say why it comes so late."""
    why = line.reason
    if edition < Edition.PERIODS_TOLD:
        why = SETTLED_LATE
    words = "" if why is None else f", {why.replace('_', ' ')}"
    day = civil_days(period, zone).start.isoformat()
    described = f"{line.description}{words}, of the period from {day}"
    return replace(line, description=described, period=period)


def _reason(row: UsageLine, late: Sequence[UsageLine]) -> str:
    """Of usage that went from one price to another both are late: what is taken back at the one,
    and posted at the other, with what has settled at it meanwhile."""
    signs = Counter(
        each.quantity > 0
        for each in late
        if (each.model, each.token_class) == (row.model, row.token_class) and each.quantity
    )
    if len(signs) > 1:
        return PRICE_CORRECTED
    return TAKEN_BACK if row.quantity < 0 else SETTLED_LATE


def _listed(contract: Contract, each: EarlierPeriod, *, tiered: bool) -> Iterator[StatementLine]:
    rate = contract.usage_rate(civil_days(each.period, contract.zone).start)
    times = Decimal(1) if rate is None else rate.rate
    rows = [row for row in each.late if not (tiered and row.token_class in COUNTED)]
    for row in sorted(rows, key=lambda r: (r.model, r.token_class, r.unit_price or money.ZERO)):
        price = None if row.unit_price is None else money.times(row.unit_price, times)
        line = _line(
            words_of(row.model, row.token_class),
            Fraction(money.times(row.charge, times)),
            contract.currency,
            quantity=row.quantity,
            row=row,
            per_million=price,
        )
        yield replace(line, rate=rate, reason=_reason(row, each.late))


def _line(
    description: str,
    exact: Fraction,
    currency: str,
    *,
    quantity: int = 1,
    row: UsageLine | None = None,
    per_million: Decimal | None = None,
) -> StatementLine:
    return StatementLine(
        LineKind.ADJUSTMENT,
        description,
        exact,
        to_currency(exact, currency),
        quantity,
        per_million,
        None if row is None else row.model,
        None if row is None else row.token_class,
        UNKNOWN if row is None else row.priced_as,
    )


def _exact(lines: Sequence[StatementLine], kind: LineKind) -> Fraction:
    return sum((line.exact for line in lines if line.kind is kind), Fraction(0))
