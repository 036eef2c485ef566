"""Invoices as their canonical JSON: one that adds up, and what can be done to it."""

import copy
import json
from collections.abc import Callable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

MODEL = "anthropic.claude-sonnet-4-5-20250929-v1:0"


def _usage(token_class: str, quantity: int, price: str, charge: str, amount: str) -> dict[str, Any]:
    return {
        "kind": "usage", "description": f"{MODEL}: {token_class}", "model": MODEL,
        "token_class": token_class, "quantity": str(quantity), "unit_price": price,
        "charge": charge, "amount": amount,
    }  # fmt: skip


def _other(kind: str, description: str, amount: str) -> dict[str, Any]:
    return {
        "kind": kind, "description": description, "model": None, "token_class": None,
        "quantity": "1", "unit_price": None, "charge": amount, "amount": amount,
    }  # fmt: skip


_LINES = [
    _other("fee", "Plan pro", "99.00"),
    _usage("uncached_in", 123_456_789, "9", "1111.111101", "1111.11"),
    _usage("cache_write_5m", 4_356_789, "11.25", "49.01387625", "49.01"),
    _usage("out", 23_456_789, "45", "1055.555505", "1055.56"),
    _other("adjustment", "Correction of October", "-12.50"),
    _other("minimum", "Up to the minimum of plan pro", "97.82"),
]


def an_invoice(**changes: Any) -> dict[str, Any]:
    """Final, of 2,400.00 with 8.1 % tax, a minimum and a prepaid credit."""
    return copy.deepcopy(
        {
            "number": "INV-2026-000042",
            "kind": "invoice",
            "status": "final",
            "issued_at": "2026-12-01T08:15:00Z",
            "due_at": "2026-12-31T08:15:00Z",
            "issuer": {
                "name": "Nimbus Softworks AG",
                "address": ["Bahnhofstrasse 12", "8001 Zürich"],
                "tax_id": "CHE-123.456.789",
                "email": "billing@nimbus.example",
                "payment": ["IBAN CH93 0076 2011 6238 5295 7"],
            },
            "customer": {
                "tenant_id": "tnt_01jdxyzabcdefghjkmnpqrst00",
                "name": "Αθήνα Καφές & Кафе Søhne",
                "address": ["Οδός Ερμού 45", "105 63 Αθήνα"],
                "tax_id": "EL094019245",
                "email": "ap@athena.example",
            },
            "currency": "USD",
            "zone": "Europe/Zurich",
            "period": {
                "start": "2026-10-31T23:00:00Z", "end": "2026-11-30T23:00:00Z", "label": "2026-11",
            },
            "plan": "pro",
            "lines": _LINES,
            "subtotal": "2302.18",
            "true_up": "97.82",
            "tax": {"rate": "0.081", "label": "MWST", "amount": "194.40"},
            "total": "2594.40",
            "credit": "200.00",
            "due": "2394.40",
            "exchange_rate": None,
            "references": {},
            "price_versions": [1],
            "plan_versions": [3],
            "watermark": "2026-12-01T08:15:00Z",
            **changes,
        }
    )  # fmt: skip


def of_many_models(models: int) -> dict[str, Any]:
    """A draft with five lines for each model."""
    lines = [
        _usage(token_class, 7_000_000, "3.75", "26.25", "26.25") | {"model": f"vendor.model-{n}"}
        for n in range(models)
        for token_class in ("uncached_in", "cache_read", "cache_write_5m", "cache_write_1h", "out")
    ]
    total = format(Decimal("26.25") * len(lines), "f")
    return an_invoice(
        number=None, status="draft", issued_at=None, due_at=None, lines=lines, subtotal=total,
        true_up="0.00", tax=None, total=total, credit="0.00", due=total,
    )  # fmt: skip


def a_credit_note() -> dict[str, Any]:
    return an_invoice(
        number="CN-2026-000003", kind="credit_note",
        references={"invoice": "INV-2026-000042", "reason": "Outage"},
        lines=[_other("credit", "Outage on 12 November", "-100.00")],
        subtotal="-100.00", true_up="0.00", total="-108.10", credit="0.00", due="-108.10",
        tax={"rate": "0.081", "label": "MWST", "amount": "-8.10"},
    )  # fmt: skip


def in_yen() -> dict[str, Any]:
    return an_invoice(
        currency="JPY", zone="Asia/Tokyo",
        period={"start": "2026-10-31T15:00:00Z", "end": "2026-11-30T15:00:00Z", "label": "2026-11"},
        lines=[_usage("out", 1_500_000, "6806.25", "10209.375", "10209")],
        subtotal="10209", true_up="0", tax={"rate": "0.1", "label": "Tax", "amount": "1021"},
        total="11230", credit="0", due="11230",
        exchange_rate={"base": "USD", "quote": "JPY", "rate": "151.25", "day": "2026-11-01"},
    )  # fmt: skip


AN_OVERAGE = {
    "kind": "overage", "description": "Tokens beyond 5,000,000", "model": None,
    "token_class": None, "quantity": "6000000", "unit_price": "6", "charge": "36",
    "amount": "36.00",
}  # fmt: skip


def with_plan_lines() -> dict[str, Any]:
    included = {
        **AN_OVERAGE, "kind": "included", "description": "Included tokens", "quantity": "5000000",
        "unit_price": None, "charge": "0", "amount": "0.00",
    }  # fmt: skip
    credited = {
        **an_invoice()["lines"][0],
        "description": "Plan a, credited",
        "charge": "-66",
        "amount": "-66.00",
    }
    return an_invoice(
        lines=[credited, included, AN_OVERAGE], subtotal="-30.00", true_up="0.00", tax=None,
        total="-30.00", credit="0.00", due="-30.00",
    )  # fmt: skip


def with_two_prices() -> dict[str, Any]:
    """A price changed within the period: no unit price, and a quotient without an end."""
    line = an_invoice()["lines"][1] | {
        "unit_price": None, "quantity": "3000000", "charge": "10", "amount": "10.00",
        "tags": {"feature": "chat"},
    }  # fmt: skip
    return an_invoice(lines=[line], true_up="0.00", tax=None, credit="0.00", due="10.00")


def with_told_prices() -> dict[str, Any]:
    """One class at the prices of two tiers, of a profile and of two editions."""
    told = [
        (tier, f"{prefix}{MODEL}", since, price)
        for tier, prefix, since, price in (
            ("batch", "", "2026-09-01T00:00:00Z", "22.5"),
            ("default", "", "2026-09-01T00:00:00Z", "45"),
            ("default", "us.", "2026-09-01T00:00:00Z", "49.5"),
            ("default", "", "2026-11-15T23:00:00Z", "90"),
        )
    ]
    lines = [
        _usage("out", 1_000_000, price, price, f"{Decimal(price):.2f}")
        | {"service_tiers": [tier], "price_keys": [key], "plans": ["pro/3"], "priced_from": since}
        for tier, key, since, price in told
    ]
    return an_invoice(
        lines=lines, subtotal="207.00", true_up="0.00", tax=None, total="207.00", credit="0.00",
        due="207.00",
    )  # fmt: skip


def with_followed_lines() -> dict[str, Any]:
    """In euros: a fee of some days, corrected prices and late usage of two months, each at its own
    rate, and a total below zero that goes to the prepaid credit."""
    rates = {
        day: {"day": day, "base": "USD", "quote": "EUR", "rate": rate, "source": "ECB"}
        for day, rate in (("2026-09-01", "0.9"), ("2026-10-01", "0.875"))
    }
    september = {"start": "2026-08-31T22:00:00Z", "end": "2026-09-30T22:00:00Z"}
    october = {"start": "2026-09-30T22:00:00Z", "end": "2026-10-31T23:00:00Z"}
    fee = _other("fee", "Plan pro, 20 of 30 days from 2026-11-11", "66.00")
    own = {"period": {"start": "2026-11-10T23:00:00Z", "end": "2026-11-30T23:00:00Z"}}

    def adjusted(reason: str, period: dict[str, str], day: str, since: str) -> dict[str, Any]:
        return {
            "kind": "adjustment", "reason": reason, "period": period, "exchange_rate": rates[day],
            "service_tiers": ["default"], "price_keys": [MODEL], "plans": ["pro/3"],
            "priced_from": since,
        }  # fmt: skip

    was = adjusted("price_corrected", september, "2026-09-01", "2026-08-01T00:00:00Z")
    now = {**was, "priced_from": "2026-09-15T00:00:00Z"}
    late = adjusted("settled_late", october, "2026-10-01", "2026-09-15T00:00:00Z")
    lines = [
        {**fee, **own},
        _usage("out", -10_000_000, "40.5", "-405", "-405.00") | was,
        _usage("out", 10_000_000, "20.25", "202.5", "202.50") | now,
        _usage("out", 1_000_000, "39.375", "39.375", "39.38") | late,
        _other("adjustment", "Covered by the minimum, of the period from 2026-10-01", "-39.38")
        | {"period": october, "reason": None, "exchange_rate": None},
    ]
    return an_invoice(
        currency="EUR", issue_zone="Europe/Zurich", lines=lines, subtotal="-136.50",
        true_up="0.00", tax={"rate": "0.081", "label": "MWST", "amount": "-11.06"},
        total="-147.56", credit="-147.56", due="0.00", exchange_rate=rates["2026-10-01"],
        references={"adjusts": [september["start"], october["start"]]}, plan_versions=[],
    )  # fmt: skip


def with_two_taxes() -> dict[str, Any]:
    """Of the same lines, where September had been invoiced at another tax."""
    made, then = with_followed_lines(), {"rate": "0.077", "label": "MWST"}
    for line in made["lines"][1:3]:
        line["tax"] = then
        line["description"] += ", MWST 7.7 %"
    own = {"rate": "0.081", "label": "MWST"}
    parts = [
        {**own, "net": "66.00", "amount": "5.35"},
        {**then, "net": "-202.50", "amount": "-15.59"},
    ]
    tax = {**own, "amount": "-10.24", "parts": parts}
    return made | {"tax": tax, "total": "-146.74", "credit": "-146.74"}


def the_example() -> dict[str, Any]:
    """The example of the reference, as it was made from a statement."""
    file = Path(__file__).parent / "invoice_example.json"
    found: dict[str, Any] = json.loads(file.read_text("utf-8"))
    return found


def with_rounded_lines() -> dict[str, Any]:
    """In pounds: a fee, usage that settled late, a reversal and a minimum, none a whole penny."""
    late = _usage("out", 3_001, "13.822056", "0.041479990056", "0.04")
    return an_invoice(
        currency="GBP",
        lines=[
            _other("fee", "Plan pro, 7 of 10 days", "69.99") | {"charge": "69.993"},
            late | {"kind": "adjustment"},
            late | {"kind": "adjustment", "quantity": "-25321", "charge": "-0.349988279976",
                    "amount": "-0.35"},
            _other("adjustment", "Tokens, settled late", "1.01") | {"charge": "1.0051"},
            _other("minimum", "Up to the minimum of plan pro", "29.31") | {"charge": "29.3051"},
        ],
        subtotal="70.69", true_up="29.31", tax={"rate": "0.2", "label": "VAT", "amount": "20.00"},
        total="120.00", credit="0.00", due="120.00",
    )  # fmt: skip


def with_late_tokens() -> dict[str, Any]:
    """Of a plan with steps: tokens of October that settled late in one step and over two, some that
    were taken back, and what its minimum covers of them."""
    october = {"start": "2026-10-01T00:00:00Z", "end": "2026-11-01T00:00:00Z"}

    def tokens(
        reason: str, quantity: str, price: str | None, charge: str, amount: str
    ) -> dict[str, Any]:
        words = f"Tokens, {reason.replace('_', ' ')}, of the period from 2026-10-01"
        own = {"reason": reason, "quantity": quantity, "unit_price": price, "charge": charge}
        return _other("adjustment", words, amount) | own

    covered = _other("adjustment", "Covered by the minimum, of the period from 2026-10-01", "-6.66")
    of_october = {"period": october, "exchange_rate": None}
    lines = [
        tokens("settled_late", "1500000", "10", "15", "15.00"),
        tokens("settled_late", "2100000", None, "11.66", "11.66"),
        tokens("taken_back", "-1000000", "10", "-10", "-10.00"),
        covered | {"reason": None},
    ]
    return an_invoice(
        lines=[line | of_october for line in lines],
        subtotal="10.00", true_up="0.00", tax={"rate": "0.19", "label": "USt", "amount": "1.90"},
        total="11.90", credit="0.00", due="11.90",
    )  # fmt: skip


INVOICES: Mapping[str, Callable[[], dict[str, Any]]] = {
    "plain": an_invoice,
    "many lines": lambda: of_many_models(5),
    "credit note": a_credit_note,
    "yen": in_yen,
    "plan lines": with_plan_lines,
    "two prices": with_two_prices,
    "rounded lines": with_rounded_lines,
    "told prices": with_told_prices,
    "followed lines": with_followed_lines,
    "two taxes": with_two_taxes,
    "late tokens": with_late_tokens,
    "example": the_example,
}
