"""An invoice as items in Stripe's units: exact, and refused where Stripe could not hold it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from tenantry.domain import money
from tenantry.domain.invoice_edition import Edition, edition_of
from tenantry.domain.invoice_parties import tax_words, taxes_of

_NUMBER: Final = re.compile(r"[!-~]{1,100}")  # goes into idempotency keys, which end at 255
_CURRENCY: Final = re.compile(r"[A-Z]{3}")
ITEMS_MAX: Final = 250  # of one invoice (docs.stripe.com/invoicing/line-items, 2026-11)
DESCRIPTION_CHARACTERS_MAX: Final = 500
# docs.stripe.com/currencies, 2026-11. ISK and UGX have no decimals and are sent as if they had two.
_ZERO: Final = frozenset(
    {
        *("BIF", "CLP", "DJF", "GNF", "JPY", "KMF", "KRW"),
        *("PYG", "RWF", "VND", "VUV", "XAF", "XOF", "XPF"),
    }
)
_THREE: Final = frozenset(("BHD", "JOD", "KWD", "OMR", "TND"))
_HUNDREDS: Final = frozenset(("ISK", "UGX"))
_WHOLE: Final = frozenset(("MGA",))  # of two decimals, of which Stripe takes none


class BadInvoice(ValueError):
    """The invoice cannot be one of Stripe's; the message says which line and why."""


@dataclass(frozen=True, slots=True)
class Item:
    """`amount` is in Stripe's units and may be negative."""

    key: str  # names it within its invoice, for ever
    description: str
    amount: int


@dataclass(frozen=True, slots=True)
class StripeInvoice:
    """`total` is the sum of the items. `left_over` is what Stripe cannot collect because it takes
    some currencies in larger steps than the invoice's: 0 to 9 thousandths, or 0 to 99 hundredths
    of an ariary; never more than is owed.
    """

    number: str
    currency: str  # lower case, as Stripe writes it
    items: tuple[Item, ...]
    total: int
    left_over: int = 0


def is_number(number: object) -> bool:
    """Whether an invoice's number can name it at Stripe."""
    return isinstance(number, str) and _NUMBER.fullmatch(number) is not None


def collected(due: Decimal, currency: str) -> int:
    """What Stripe collects of what is due, in its units. Raises `BadInvoice`."""
    units = _units(due, currency)
    if currency in _WHOLE:
        return units // 100
    return units - units % 10 if currency in _THREE else units


def to_stripe(invoice: Mapping[str, Any]) -> StripeInvoice:
    """Raises `BadInvoice`; also where lines, tax and credit do not add up to what is due."""
    try:
        number, currency = invoice["number"], invoice["currency"]
        if not is_number(number) or not _CURRENCY.fullmatch(currency):
            raise BadInvoice("its number or its currency is none")
        lines: Sequence[Mapping[str, Any]] = invoice["lines"]
        items = [
            Item(f"line-{place}", str(line["description"]), _units(line["amount"], currency))
            for place, line in enumerate(lines, 1)
        ]
        true_up = _units(invoice.get("true_up") or 0, currency)
        taxes = [(each, _units(each.get("amount") or 0, currency)) for each in taxes_of(invoice)]
        tax_amount = sum(amount for _, amount in taxes)
        credit = _units(invoice.get("credit") or 0, currency)
        total, due = _units(invoice["total"], currency), _units(invoice["due"], currency)
    except (KeyError, TypeError, AttributeError) as wrong:
        raise BadInvoice(f"the notice holds no invoice: {type(wrong).__name__} {wrong}") from None
    # The true-up may be one of the lines or stand beside them.
    if true_up and sum(item.amount for item in items) + tax_amount != total:
        items.append(Item("true-up", "Minimum charge", true_up))
    for place, (tax, amount) in enumerate(taxes, 1):
        if amount:
            key = "tax" if len(taxes) == 1 else f"tax-{place}"
            items.append(Item(key, _tax_words(invoice, tax), amount))
    if sum(item.amount for item in items) != total:
        raise BadInvoice("its lines and tax do not add up to its total")
    if credit:
        words = "Credit" if credit > 0 else "Given back to prepaid credit"
        items.append(Item("credit", words, -credit))
    if total - credit != due:
        raise BadInvoice("its total less its credit is not what is due")
    if due < 0:
        raise BadInvoice("it is owed by us: pay it out, Stripe collects nothing of it")
    told = tuple(replace(i, description=i.description[:DESCRIPTION_CHARACTERS_MAX]) for i in items)
    whole = StripeInvoice(number, currency.lower(), _at_most(told), due)
    if currency in _WHOLE:
        return _divided(_in_steps(whole, 100), 100)
    return _in_steps(whole, 10) if currency in _THREE else whole


def _tax_words(invoice: Mapping[str, Any], tax: Mapping[str, Any]) -> str:
    """As on paper. An invoice of before, which may be half there, keeps the item that it has."""
    if edition_of(invoice) >= Edition.PERIODS_TOLD:
        return tax_words(tax)
    return str(tax.get("label") or "Tax")


def _units(amount: object, currency: str) -> int:
    """An amount in Stripe's units, exactly; of whole ones in hundredths. Raises `BadInvoice`."""
    if isinstance(amount, float) or not isinstance(amount, str | int | Decimal):
        raise BadInvoice("an amount is not a decimal")
    exponent = 0 if currency in _ZERO else 3 if currency in _THREE else 2
    try:
        value = Decimal(amount)
        units = money.shifted(value, exponent)
    except InvalidOperation:
        raise BadInvoice("an amount is not a decimal") from None
    step = 100 if currency in _HUNDREDS else 1
    holds = units.is_finite() and money.absolute(units) < 10**12
    if not holds or int(units) != units or int(units) % step:
        raise BadInvoice(f"Stripe cannot hold {value} {currency}")
    return int(units)


def _at_most(items: tuple[Item, ...]) -> tuple[Item, ...]:
    """The items, the last of them together as one where Stripe would not take so many."""
    if len(items) <= ITEMS_MAX:
        return items
    kept, rest = items[: ITEMS_MAX - 1], items[ITEMS_MAX - 1 :]
    amount = sum(item.amount for item in rest)
    return (*kept, Item("further", f"{len(rest)} further lines", amount))


def _in_steps(invoice: StripeInvoice, step: int) -> StripeInvoice:
    """Every amount a multiple of the step. What is due is cut to one; the items are cut down, and
    the steps that are then missing go to those that lost most, the first of equals first.
    """
    left_over = invoice.total % step
    total = invoice.total - left_over
    items = [replace(item, amount=item.amount - item.amount % step) for item in invoice.items]
    lost = [item.amount % step for item in invoice.items]
    missing = (total - sum(item.amount for item in items)) // step
    order = sorted(range(len(items)), key=lambda place: -lost[place])
    for place in order[:missing]:
        items[place] = replace(items[place], amount=items[place].amount + step)
    assert sum(item.amount for item in items) == total
    return replace(invoice, items=tuple(items), total=total, left_over=left_over)


def _divided(invoice: StripeInvoice, by: int) -> StripeInvoice:
    """Of multiples; what is left over stays in the invoice's own units."""
    items = tuple(replace(item, amount=item.amount // by) for item in invoice.items)
    return replace(invoice, items=items, total=invoice.total // by)
