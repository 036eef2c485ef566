"""What stands on the sheets of an invoice: its canonical JSON as words and figures to lay out.

Owns: which blocks there are, their order, their words, and how figures and dates are written. Does
not own: the invoice, whose sums are taken as they are, and the look of the page. Pure: the same
JSON gives the same sheet. Numbers are written `1,234,567.89` and dates `2026-11-30`, in the
document's zone; the sheet says so itself. Members that a draft does not have yet are left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any
from zoneinfo import ZoneInfo

from tenantry.domain import money
from tenantry.domain.invoice_edition import Edition, edition_of
from tenantry.domain.invoice_parties import customer_of, issuer_of, tax_words, taxes_of
from tenantry.domain.printable import printable
from tenantry.domain.told_apart import words_apart
from tenantry.domain.usage_line import class_words

LINES_MAX = 2_000  # about 60 pages; an invoice has a line for each model and token class
TEXT_CHARS_MAX = 500  # of one name, line of an address or description; longer ones are cut
BLOCK_LINES_MAX = 12  # of an address, or of the payment information

NUMBERS = "Figures are written 1,234.56: a comma groups thousands, a point marks decimals."
_TITLES = {"invoice": "Invoice", "credit_note": "Credit note"}
_STAMPS = {"draft": "DRAFT", "void": "VOID"}
_OTHERS = "Plan and other charges"
_MINIMUM = "minimum"  # stands below the subtotal, and not among the lines that it is the sum of


class SheetError(ValueError):
    """The JSON is no invoice that can be laid out; the message says what is wrong."""


def sheet_of(invoice: Mapping[str, Any]) -> dict[str, Any]:
    """Text alone, in the order in which it is laid out. Raises `SheetError`."""
    try:
        return _sheet(invoice)
    except (KeyError, TypeError, AttributeError, InvalidOperation) as error:
        raise SheetError(f"not an invoice that can be printed: {error!r}") from None


def _sheet(invoice: Mapping[str, Any]) -> dict[str, Any]:
    lines = invoice["lines"]
    if len(lines) > LINES_MAX:
        raise SheetError(f"{len(lines)} lines, of {LINES_MAX} that are printed at most")
    kind = kind_of(invoice)
    zone = ZoneInfo(invoice["zone"])
    currency = printable(invoice["currency"], 8)
    return {
        "title": _TITLES.get(kind, "Invoice"),
        "stamp": _STAMPS.get(invoice["status"], ""),
        "number": _text(invoice.get("number") or "(draft)"),
        "issuer": _party(issuer_of(invoice)),
        "customer": _party(customer_of(invoice)),
        "facts": list(_facts(invoice, zone)),
        "currency": currency,
        "groups": list(_groups(invoice, zone)),
        "sums": list(_sums(invoice, kind)),
        "payable": _payable(invoice, kind, currency),
        "payment": _payment(invoice),
        "notes": list(_notes(invoice, zone)),
        "created": _created(invoice),
    }


def kind_of(invoice: Mapping[str, Any]) -> str:
    """`invoice` or `credit_note`."""
    return str(invoice.get("kind") or "invoice")


def _party(party: Mapping[str, Any]) -> dict[str, Any]:
    lines = _block(party.get("address"))
    if party.get("tax_id"):
        lines.append(f"Tax id {_text(party['tax_id'])}")
    if party.get("email"):
        lines.append(_text(party["email"]))
    return {"name": _text(party.get("name") or ""), "lines": lines}


def _facts(invoice: Mapping[str, Any], zone: ZoneInfo) -> Iterator[tuple[str, str]]:
    yield "Number", _text(invoice.get("number") or "not numbered yet")
    if invoice.get("issued_at"):
        yield "Date", _day(invoice["issued_at"], zone)
    if invoice.get("due_at") and _is_to_be_paid(invoice):
        yield "Due", _day(invoice["due_at"], zone)
    yield "Period", _period(invoice["period"], zone)
    yield "Time zone", zone.key
    if invoice.get("plan"):
        yield "Plan", _text(invoice["plan"])
    customer = customer_of(invoice)
    if customer.get("tenant_id"):
        yield "Customer id", _text(customer["tenant_id"])
    for name, value in sorted((invoice.get("references") or {}).items()):
        shown = value
        if isinstance(value, list):  # the starts of earlier periods
            shown = ", ".join(_day(start, zone) for start in value)
        if shown:
            yield _text(name.replace("_", " ").capitalize()), _text(shown)


def _period(period: Mapping[str, Any], zone: ZoneInfo) -> str:
    """First and last civil day; instants where the period does not begin and end at midnight."""
    start, end = (_instant(period[name]).astimezone(zone) for name in ("start", "end"))
    last = (end.astimezone(zone) - timedelta(microseconds=1)).date()
    if _whole_day(start) and _whole_day(end):
        return f"{start.date()} to {last}"
    return f"{start:%Y-%m-%d %H:%M:%S} to {end:%Y-%m-%d %H:%M:%S}, exclusive"


def _whole_day(instant: datetime) -> bool:
    """Where clocks skip midnight, a day begins later: nothing of it lies before."""
    before = (instant - timedelta(microseconds=1)).astimezone(instant.tzinfo)
    return (instant.hour, instant.minute, instant.second, instant.microsecond) == (0, 0, 0, 0) or (
        before.astimezone(ZoneInfo("UTC")) + timedelta(microseconds=1)
    ).astimezone(instant.tzinfo).date() > before.date()


def _groups(invoice: Mapping[str, Any], zone: ZoneInfo) -> Iterator[dict[str, Any]]:
    """Lines in their order, under what they are about: the plan, or a model."""
    lines = [each for each in invoice["lines"] if each["kind"] != _MINIMUM]
    several = len(taxes_of(invoice)) > 1
    groups: dict[str, list[dict[str, str]]] = {}
    times = edition_of(invoice) >= Edition.CHANGES_TOLD
    for line, apart in zip(lines, words_apart(lines, zone.key, times=times), strict=True):
        if several and line.get("tax"):
            apart = f"{apart}, {tax_words(line['tax'])}" if apart else tax_words(line["tax"])
        row = _row(line, apart, zone)
        groups.setdefault(_text(line.get("model") or _OTHERS), []).append(row)
    for name, rows in groups.items():
        yield {"name": name, "rows": rows}


def _row(line: Mapping[str, Any], apart: str, zone: ZoneInfo) -> dict[str, str]:
    """`apart`: what tells the line from those beside it, which its description has already. An
    adjustment says why and of which period it is; one of before, that it is one."""
    words = _text(line["description"])
    if line.get("model") and line.get("token_class"):
        words = _text(class_words(line["token_class"])).capitalize()
        if line.get("reason"):
            words += f", {_reason(line)}, {_period(line['period'], zone)}"
        elif line["kind"] not in ("usage", "overage"):
            words += f" ({_text(line['kind'])})"
        if apart:
            words += f", {_text(apart)}"
    counted = line.get("unit_price") is not None or line.get("token_class") is not None
    counted = counted or line["kind"] in ("included", "overage") or bool(line.get("reason"))
    return {
        "description": words,
        "quantity": figure(line["quantity"]) if counted else "",
        "unit_price": "" if line.get("unit_price") is None else _price(line["unit_price"]),
        "amount": figure(line["amount"]),
    }


def _reason(line: Mapping[str, Any]) -> str:
    return _text(line["reason"]).replace("_", " ")


def _sums(invoice: Mapping[str, Any], kind: str) -> Iterator[dict[str, Any]]:
    if "subtotal" in invoice:
        yield _sum("Subtotal", invoice["subtotal"])
    if _some(invoice.get("true_up")):
        words = [line["description"] for line in invoice["lines"] if line["kind"] == _MINIMUM]
        yield _sum(_text(words[0] if words else "Up to the agreed minimum"), invoice["true_up"])
    for tax in taxes_of(invoice):
        if _some(tax["rate"]) or _some(tax["amount"]) or tax.get("label"):
            of = f" of {figure(tax['net'])}" if "net" in tax else ""
            yield _sum(_text(tax_words(tax)) + of, tax["amount"])
    total = "Total credited" if kind == "credit_note" else "Total"
    yield _sum(total, invoice["total"], strong=True)
    if _some(invoice.get("credit")):
        used = Decimal(invoice["credit"])
        label = "Prepaid credit used" if used > 0 else "Given back to prepaid credit"
        yield _sum(label, format(money.minus(used), "f"))


def _sum(label: str, amount: str, *, strong: bool = False) -> dict[str, Any]:
    return {"label": label, "amount": figure(amount), "strong": strong}


def _payable(invoice: Mapping[str, Any], kind: str, currency: str) -> dict[str, str]:
    due = str(invoice.get("due", invoice["total"]))
    label = "Amount due" if invoice["status"] == "final" else "Would be due"
    is_void = invoice["status"] == "void"
    if kind == "credit_note" or Decimal(due) < 0:
        label = "Was in your favour, now void" if is_void else "Amount in your favour"
        due = format(money.absolute(Decimal(due)), "f")
    elif is_void:
        label = "Was due, now void"
    return {"label": label, "amount": f"{figure(due)} {currency}"}


def _payment(invoice: Mapping[str, Any]) -> list[str]:
    """How to pay, where something is to be paid."""
    if invoice["status"] != "final" or not _is_to_be_paid(invoice):
        return []
    return _block(issuer_of(invoice).get("payment"))


def _is_to_be_paid(invoice: Mapping[str, Any]) -> bool:
    """Not a credit note, nor what a prepaid credit covers or a fee given back outweighs."""
    return kind_of(invoice) != "credit_note" and Decimal(invoice.get("due", invoice["total"])) > 0


def _notes(invoice: Mapping[str, Any], zone: ZoneInfo) -> Iterator[str]:
    if invoice["status"] == "draft":
        yield "This is a draft: it can change and asks for no payment."
    if kind_of(invoice) == "credit_note" and invoice["status"] == "final":
        yield "This is a credit note: the amount is credited to you, and nothing is to be paid."
    if invoice["status"] == "void":
        yield "This document is void. It keeps its number; nothing is to be paid on it."
    if kind_of(invoice) == "invoice" and Decimal(invoice["total"]) < 0 and _gives_back(invoice):
        yield "The total is in your favour: it is prepaid credit now and pays your next invoices."
    yield from _rates(invoice, zone)
    yield (
        "Quantities are tokens, or units where a line says so; unit prices are for 1,000,000 of"
        " them. Each line is rounded once, half up; taxes and totals are of rounded lines."
    )
    yield f"{NUMBERS} Dates are year-month-day in {zone.key}."


def _gives_back(invoice: Mapping[str, Any]) -> bool:
    return invoice["status"] == "final" and Decimal(invoice.get("credit") or 0) < 0


def _rates(invoice: Mapping[str, Any], zone: ZoneInfo) -> Iterator[str]:
    """What converted the period's usage, then that of each earlier period."""
    if invoice.get("exchange_rate"):
        yield f"Exchange rate: {_rate(invoice['exchange_rate'])}."
    earlier = {
        f"Exchange rate, {_period(line['period'], zone)}: {_rate(line['exchange_rate'])}."
        for line in invoice["lines"]
        if line.get("exchange_rate")
    }
    yield from sorted(earlier)


def _rate(rate: Mapping[str, Any]) -> str:
    known = {name: rate.get(name) for name in ("base", "quote", "rate", "day", "source")}
    return ", ".join(f"{name} {_text(value)}" for name, value in known.items() if value)


def figure(text: object) -> str:
    """A plain decimal with its thousands grouped; all digits are kept. Raises `SheetError`."""
    try:
        value = Decimal(str(text))
    except InvalidOperation:
        raise SheetError(f"{str(text)[:40]!r} is no figure") from None
    if not value.is_finite():
        raise SheetError(f"{value} is no figure")
    return f"{value:,f}".replace("-", "−")


def _price(text: object) -> str:
    """As a figure, with two decimals at least, so that a column of them reads well."""
    shown = figure(text)
    whole, _, decimals = shown.partition(".")
    return f"{whole}.{decimals:0<2}"


def _some(amount: Any) -> bool:
    return amount is not None and Decimal(str(amount)) != 0


def _block(value: Any) -> list[str]:
    lines = value.splitlines() if isinstance(value, str) else list(value or ())
    return [_text(line) for line in lines[:BLOCK_LINES_MAX]]


def _text(value: Any) -> str:
    return printable(str(value), TEXT_CHARS_MAX)


def _day(text: str, zone: ZoneInfo) -> str:
    return _instant(text).astimezone(zone).date().isoformat()


def _instant(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise SheetError(f"{str(text)[:40]!r} is no instant") from None


def _created(invoice: Mapping[str, Any]) -> str:
    """The instant that the file says it was made at: never that of printing."""
    return str(invoice.get("issued_at") or invoice.get("watermark") or invoice["period"]["end"])
