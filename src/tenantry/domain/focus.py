"""An invoice as rows of FOCUS 1.2, the FinOps Open Cost and Usage Specification.

Owns: which of the specification's columns there are, and what stands in each for each line. Pure.

A row for each line, one for each tax, one for the prepaid credit that was used. Invariants:
BilledCost sums to what is due; a unit price times its quantity is ContractedCost and ListCost to
the digit; null is None, never an empty text. The customer's list price is the price agreed for its
plan, so list and contracted figures are the same; they are exact, where BilledCost is rounded as
the invoice rounds. The specification wants a cost that has no unit price to be BilledCost, so every
line that may be rounded has one: its own, or the line is one unit. Columns for what does not exist
here (sub-accounts, regions, commitment discounts, capacity reservations, resources) are left out,
as the specification wants.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from tenantry.domain import money
from tenantry.domain.invoice_parties import customer_of, is_taxed_by, issuer_of, tax_words, taxes_of
from tenantry.domain.usage import GUARDRAIL_CLASSES, TokenClass
from tenantry.domain.usage_line import class_words

VERSION = "1.2"
Row = dict[str, str | None]

DECIMALS = (
    "BilledCost",
    "ConsumedQuantity",
    "ContractedCost",
    "ContractedUnitPrice",
    "EffectiveCost",
    "ListCost",
    "ListUnitPrice",
    "PricingQuantity",
    "x_ExchangeRate",
)
INSTANTS = (
    "BillingPeriodEnd",
    "BillingPeriodStart",
    "ChargePeriodEnd",
    "ChargePeriodStart",
    "x_PricedFrom",
)
COLUMNS = (
    "BilledCost",
    "BillingAccountId",
    "BillingAccountName",
    "BillingAccountType",
    "BillingCurrency",
    "BillingPeriodEnd",
    "BillingPeriodStart",
    "ChargeCategory",
    "ChargeClass",
    "ChargeDescription",
    "ChargeFrequency",
    "ChargePeriodEnd",
    "ChargePeriodStart",
    "ConsumedQuantity",
    "ConsumedUnit",
    "ContractedCost",
    "ContractedUnitPrice",
    "EffectiveCost",
    "InvoiceId",
    "InvoiceIssuerName",
    "ListCost",
    "ListUnitPrice",
    "PricingCategory",
    "PricingQuantity",
    "PricingUnit",
    "ProviderName",
    "PublisherName",
    "ServiceCategory",
    "ServiceName",
    "ServiceSubcategory",
    "SkuId",
    "SkuMeter",
    "SkuPriceId",
    "Tags",
    "x_ExchangeRate",
    "x_InvoiceStatus",
    "x_LineKind",
    "x_Model",
    "x_Plan",
    "x_PriceKey",
    "x_PricedFrom",
    "x_ServiceTier",
    "x_TokenClass",
    "x_Zone",
)
SERVICE_CATEGORY = "AI and Machine Learning"
SERVICE_SUBCATEGORY = "Generative AI"
SERVICE_NAME = "Model inference"
_USAGE = frozenset({"usage", "included", "overage"})
_UNITS: Mapping[str, str] = {  # of what is not counted in tokens
    **dict.fromkeys(GUARDRAIL_CLASSES, "Text Units"),
    TokenClass.GUARDRAIL_IMAGE: "Images",
    TokenClass.IMAGE: "Images",
    TokenClass.RERANK_UNITS: "Queries",
    TokenClass.CACHE_HIT: "Answers",
}


class FocusError(ValueError):
    """The invoice has no FOCUS rows; the message says why."""


@dataclass(frozen=True, slots=True)
class _Priced:
    """Quantity, unit and unit price whose product is the exact cost."""

    quantity: Decimal
    unit: str
    price: Decimal


def focus_rows(invoice: Mapping[str, Any]) -> list[Row]:
    """The rows of a draft or final invoice or credit note. Raises `FocusError`."""
    if invoice["status"] == "void":
        raise FocusError("a void invoice bills nothing")
    rows = [*_lines(invoice), *_tax(invoice), *_credit(invoice)]
    billed = money.total(Decimal(row["BilledCost"] or "") for row in rows)
    due = Decimal(invoice.get("due", invoice["total"]))
    if billed != due:
        raise FocusError(f"its rows come to {billed}, and {due} is due")
    return rows


def _lines(invoice: Mapping[str, Any]) -> Iterator[Row]:
    common = _common(invoice)
    for line in invoice["lines"]:
        row = {**common, **_line(invoice, line)}
        if invoice.get("kind") == "credit_note":
            row["ChargeClass"] = "Correction"
        yield row


def _line(invoice: Mapping[str, Any], line: Mapping[str, Any]) -> Row:
    kind = line["kind"]
    amount, cost = Decimal(line["amount"]), Decimal(line["charge"])
    unit = _UNITS.get(line.get("token_class") or "", "Tokens")
    shown: Row = {
        "BilledCost": _decimal(amount),
        "EffectiveCost": _decimal(amount),
        "ChargeDescription": str(line["description"]),
        "x_LineKind": str(kind),
        "x_Model": line.get("model"),
        "x_TokenClass": line.get("token_class"),
        **_priced_as(line),
        **_whose(line),
        "Tags": _tags(line),
    }
    if kind in _USAGE:
        priced = _price_of(line, cost, unit)
        shown |= _priced(priced, cost) | _sku(invoice, priced, *_usage_sku(invoice, line))
        shown |= {
            "ChargeCategory": "Usage",
            "ChargeFrequency": "Usage-Based",
            "ConsumedQuantity": _decimal(Decimal(line["quantity"])),
            "ConsumedUnit": unit,
        }
    elif kind == "fee":
        priced = _one(cost)
        sku = f"plan/{_plan_of(invoice, line) or 'fee'}"
        shown |= _priced(priced, cost) | _sku(invoice, priced, sku, "Plan fee")
        shown |= {"ChargeCategory": "Purchase", "ChargeFrequency": "Recurring"}
    elif kind == "credit":
        shown |= {"ChargeCategory": "Credit", "ChargeFrequency": "One-Time", **_costs(amount)}
    else:
        shown |= {"ChargeCategory": "Adjustment", "ChargeFrequency": "One-Time"}
        shown |= {"ChargeClass": "Correction" if kind == "adjustment" else None}
        if line.get("model"):
            priced = _price_of(line, cost, unit)
            shown |= _priced(priced, cost) | _sku(invoice, priced, *_usage_sku(invoice, line))
        elif line.get("reason"):  # of tokens that steps price
            shown |= _priced(_price_of(line, cost, unit), cost)
        else:
            shown |= _priced(_one(cost), cost)
    return shown


def _price_of(line: Mapping[str, Any], cost: Decimal, unit: str) -> _Priced:
    """The line's unit price where it is the one that was charged; of included tokens, nothing. A
    line of several prices is one unit: what a million of it comes to may be none of them."""
    millions = money.shifted(Decimal(line["quantity"]), -6)
    known = "0" if line["kind"] == "included" else line.get("unit_price")
    if known is not None and money.times(Decimal(known), millions) == cost:
        return _Priced(millions, f"1000000 {unit}", Decimal(known))
    return _one(cost)


def _priced_as(line: Mapping[str, Any]) -> Row:
    """What the price was asked for; null of a line that does not say so, as those of before."""
    since = line.get("priced_from")
    return {
        "x_PriceKey": ", ".join(line.get("price_keys") or ()) or None,
        "x_PricedFrom": None if since is None else _instant(since),
        "x_ServiceTier": ", ".join(line.get("service_tiers") or ()) or None,
    }


def _whose(line: Mapping[str, Any]) -> Row:
    """The days of a fee; the period of an adjustment, and the rate that converted it. A line that
    names none is of the invoice's period."""
    period, rate = line.get("period"), line.get("exchange_rate")
    found: Row = {}
    if period is not None:
        found["ChargePeriodStart"] = _instant(period["start"])
        found["ChargePeriodEnd"] = _instant(period["end"])
    if rate is not None:
        found["x_ExchangeRate"] = _decimal(Decimal(rate["rate"]))
    return found


def _one(cost: Decimal) -> _Priced:
    return _Priced(Decimal(-1 if cost < 0 else 1), "Units", money.absolute(cost))


def _priced(priced: _Priced, cost: Decimal) -> Row:
    price = _decimal(priced.price)
    return {
        **_costs(cost),
        "PricingCategory": "Standard",
        "PricingQuantity": _decimal(priced.quantity),
        "PricingUnit": priced.unit,
        "ContractedUnitPrice": price,
        "ListUnitPrice": price,
    }


def _costs(cost: Decimal) -> Row:
    return {"ContractedCost": _decimal(cost), "ListCost": _decimal(cost)}


def _usage_sku(invoice: Mapping[str, Any], line: Mapping[str, Any]) -> tuple[str, str]:
    if line.get("model"):
        token_class = line.get("token_class") or line["kind"]
        return f"{line['model']}/{token_class}", class_words(token_class).capitalize()
    return f"plan/{invoice.get('plan') or 'plan'}/{line['kind']}", str(line["kind"]).capitalize()


def _plan_of(invoice: Mapping[str, Any], fee: Mapping[str, Any]) -> str | None:
    """The plan that asks a fee: of those in force in the period the one that its words name. The
    invoice's own is that of the first day alone."""
    own = invoice.get("plan")
    in_force = [each for each in invoice.get("plan_versions") or () if isinstance(each, Mapping)]
    plans = {str(name) for name in (own, *(each["plan"] for each in in_force)) if name}
    words = f"{fee['description']}, "
    named = [plan for plan in plans if words.startswith(f"Plan {plan}, ")]
    return max(named, key=len, default=own)


def _sku(invoice: Mapping[str, Any], priced: _Priced, sku: str, meter: str) -> Row:
    """One unit at different prices, as of another tier or plan, has an id for each price."""
    price = f"{sku}/{invoice['currency']}/{money.plain(priced.price)}"
    return {"SkuId": sku, "SkuPriceId": price, "SkuMeter": meter}


def _tags(line: Mapping[str, Any]) -> str | None:
    """A JSON object of texts; lines that carry no tags have null."""
    tags = line.get("tags")
    if not tags:
        return None
    texts = {str(name): str(value) for name, value in tags.items()}
    return json.dumps(texts, sort_keys=True, ensure_ascii=False)


def _tax(invoice: Mapping[str, Any]) -> Iterator[Row]:
    correction = "Correction" if invoice.get("kind") == "credit_note" else None
    for tax in taxes_of(invoice):
        if not Decimal(tax["rate"]):
            continue
        base = money.total(
            Decimal(row["ContractedCost"] or "")
            for line, row in zip(invoice["lines"], _lines(invoice), strict=True)
            if is_taxed_by(invoice, line, tax)
        )
        yield {
            **_common(invoice),
            "BilledCost": _decimal(Decimal(tax["amount"])),
            "EffectiveCost": _decimal(Decimal(tax["amount"])),
            **_costs(money.times(base, Decimal(tax["rate"]))),
            "ChargeCategory": "Tax",
            "ChargeClass": correction,
            "ChargeFrequency": "Recurring",
            "ChargeDescription": tax_words(tax),
            "x_LineKind": "tax",
        }


def _credit(invoice: Mapping[str, Any]) -> Iterator[Row]:
    cost = money.minus(Decimal(invoice.get("credit") or 0))
    if cost:
        given_back = cost > 0  # by a credit note
        yield {
            **_common(invoice),
            "BilledCost": _decimal(cost),
            "EffectiveCost": _decimal(cost),
            **_costs(cost),
            "ChargeCategory": "Credit",
            "ChargeClass": "Correction" if given_back else None,
            "ChargeFrequency": "One-Time",
            "ChargeDescription": (
                "Given back to prepaid credit" if given_back else "Prepaid credit used"
            ),
            "x_LineKind": "credit",
        }


def _common(invoice: Mapping[str, Any]) -> Row:
    """What every row of an invoice has; the other columns begin as null."""
    customer, issuer = customer_of(invoice), issuer_of(invoice)
    start, end = (_instant(invoice["period"][name]) for name in ("start", "end"))
    row: Row = dict.fromkeys(COLUMNS)
    return row | {
        "BillingAccountId": customer["tenant_id"],
        "BillingAccountName": customer["name"],
        "BillingAccountType": "Tenant",
        "BillingCurrency": invoice["currency"],
        "BillingPeriodStart": start,
        "BillingPeriodEnd": end,
        "ChargePeriodStart": start,
        "ChargePeriodEnd": end,
        "InvoiceId": invoice.get("number"),
        "InvoiceIssuerName": issuer["name"],
        "ProviderName": issuer["name"],
        "PublisherName": issuer["name"],
        "ServiceCategory": SERVICE_CATEGORY,
        "ServiceSubcategory": SERVICE_SUBCATEGORY,
        "ServiceName": SERVICE_NAME,
        "x_InvoiceStatus": invoice["status"],
        "x_Plan": invoice.get("plan"),
        "x_Zone": invoice["zone"],
    }


def _decimal(amount: Decimal) -> str:
    """With a point always: readers that guess types take a column without one for integers."""
    text = money.plain(amount)
    return text if "." in text else f"{text}.0"


def _instant(text: str) -> str:
    return datetime.fromisoformat(text).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
