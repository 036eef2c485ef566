"""From a document to the billing book: what moves between which accounts. Pure, double entry.

The customer's book holds list charges as `receivable_unbilled`. Invoicing turns them into what is
owed: adjustments (fee, allowance, overage, rounding, minimum) bring the list charges to the sum
before tax, and `invoiced` moves that sum to `receivable`. So charges + adjustments = invoiced +
unbilled, in each currency. A row is one transfer: `debit` grows by `amount`, `credit` falls by it.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from tenantry.domain import money
from tenantry.domain.billing import LineKind, Statement
from tenantry.domain.contract import LIST_CURRENCY
from tenantry.domain.credit_note import Credited

UNBILLED = "receivable_unbilled"
RECEIVABLE = "receivable"
PREPAID = "prepaid_credit"
TAX = "tax_payable"
EXCHANGE = "exchange"


@dataclass(frozen=True, slots=True)
class Transfer:
    kind: str
    debit: str
    credit: str
    amount: Decimal
    currency: str


def invoice_transfers(statement: Statement, list_charges: Decimal) -> list[Transfer]:
    """`list_charges`: of all usage on the invoice, in `LIST_CURRENCY`, unrounded."""
    currency, found = statement.currency, []
    converted = money.total((statement.charges, statement.late_charges))
    if statement.rate is not None:
        found += [
            Transfer("conversion", EXCHANGE, UNBILLED, list_charges, LIST_CURRENCY),
            Transfer("conversion", UNBILLED, EXCHANGE, converted, currency),
        ]
    else:
        assert converted == list_charges, "what is not converted is what the ledger holds"
    by_kind = _adjustments(statement)
    assert money.total(by_kind.values()) == statement.adjustment, "adjustments explain the sum"
    found += [
        Transfer(kind, UNBILLED, f"revenue_{kind}", amount, currency)
        for kind, amount in by_kind.items()
    ]
    net = money.total((statement.subtotal, statement.true_up))
    found += [
        Transfer("invoiced", RECEIVABLE, UNBILLED, net, currency),
        Transfer("tax", RECEIVABLE, TAX, statement.tax, currency),
        _of_credit(statement.credit, currency),
    ]
    return [transfer for transfer in found if transfer.amount]


def _of_credit(credit: Decimal, currency: str) -> Transfer:
    if credit < 0:
        amount = money.minus(credit)
        return Transfer("credit_returned", RECEIVABLE, PREPAID, amount, currency)
    return Transfer("credit_used", PREPAID, RECEIVABLE, credit, currency)


def credit_note_transfers(given: Credited, currency: str) -> list[Transfer]:
    """What a credit note gives back."""
    found = [
        Transfer("credited", UNBILLED, "revenue_credited", money.minus(given.net), currency),
        Transfer("invoiced", RECEIVABLE, UNBILLED, money.minus(given.net), currency),
        Transfer("tax", RECEIVABLE, TAX, money.minus(given.tax), currency),
        Transfer("credit_returned", RECEIVABLE, PREPAID, given.prepaid, currency),
    ]
    return [transfer for transfer in found if transfer.amount]


def grant_transfer(amount: Decimal, currency: str) -> Transfer:
    """A prepaid credit: what the customer has paid, or was given, ahead."""
    return Transfer("credit_granted", "prepayment", PREPAID, amount, currency)


def _adjustments(statement: Statement) -> dict[str, Decimal]:
    """By kind; they sum to `statement.adjustment`."""
    listed = [line for line in statement.lines if line.kind is LineKind.USAGE]
    exact = money.total(
        money.EXACT.divide(Decimal(line.exact.numerator), Decimal(line.exact.denominator))
        for line in listed
    )
    return {
        "fee": statement.of(LineKind.FEE),
        "allowance": money.less(exact, statement.charges),
        "overage": statement.of(LineKind.OVERAGE),
        "rounding": money.less(statement.of(LineKind.USAGE), exact),
        "minimum": statement.of(LineKind.MINIMUM),
        "adjustment": money.less(statement.of(LineKind.ADJUSTMENT), statement.late_charges),
    }
