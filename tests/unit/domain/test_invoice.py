"""A document is a function of ledger, contract and issuer: the same to the last bit."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tenantry.domain.agreement import Agreement, AgreementError
from tenantry.domain.billing import statement
from tenantry.domain.contract import Contract, ExchangeRate, Terms, terms_of
from tenantry.domain.invoice import (
    Made,
    canonical,
    content_sha256,
    document,
    number_of,
    sha256,
)
from tenantry.domain.invoice_edition import Edition
from tenantry.domain.party import Issuer, Party, PartyError, issuer_from_toml
from tenantry.domain.period import billing_period
from tenantry.domain.plan import plan_from
from tenantry.domain.usage_line import PricedAs, UsageLine

EXAMPLE = Path(__file__).parents[2] / "support" / "invoice_example.json"
NOW = datetime(2026, 12, 1, 6, 0, 12, 345678, tzinfo=UTC)
PERIOD = billing_period(datetime(2026, 11, 23, tzinfo=UTC), "America/New_York", 1)
ISSUER = Issuer(
    Party("Lumen Notes, Inc.", ("500 Howard St", "San Francisco, CA 94105", "USA"),
          "US 84-1234567", "billing@lumen.example"),
    ("Wire to First Bank, ABA 026009593, account 1234567890", "Quote the invoice number"),
)  # fmt: skip
AGREEMENT = Agreement(
    Party("Acme Corporation", ("1 Main Street", "New York, NY 10001", "USA"),
          "US 12-3456789", "ap@acme.example"),
    tax_rate=Decimal("0.08875"),
    tax_label="NY sales tax",
    payment_days=30,
    version=2,
)  # fmt: skip
HAIKU, NOVA = "anthropic.claude-haiku-4-5-20251001-v1:0", "amazon.nova-micro-v1:0"
SEPTEMBER, OCTOBER = (datetime(2026, month, 1, tzinfo=UTC) for month in (9, 10))
BY_PROFILE = PricedAs(("default",), (f"us.{HAIKU}",), ("pro/3", "scale/1"), OCTOBER)
BY_ITSELF = PricedAs(("default",), (NOVA,), ("scale/1",), SEPTEMBER)
LINES = [
    UsageLine(HAIKU, "uncached_in", 18_400_311, Decimal("73.601244"), Decimal(4), BY_PROFILE),
    UsageLine(HAIKU, "out", 2_210_457, Decimal("44.20914"), Decimal(20), BY_PROFILE),
    UsageLine(HAIKU, "cache_read", 5_000_000, Decimal(2), Decimal("0.4"), BY_PROFILE),
    UsageLine(NOVA, "uncached_in", 1_000_001, Decimal("0.14000014"), Decimal("0.14"), BY_ITSELF),
    UsageLine(NOVA, "out", 300_003, Decimal("0.16800168"), Decimal("0.56"), BY_ITSELF),
]
PRO, SCALE = (
    plan_from("pro", {"monthly_fee": "50"}, version=3),
    plan_from("scale", {"monthly_fee": "299"}, version=1),
)


def contract(agreement: Agreement = AGREEMENT, **fields: Any) -> Contract:
    terms = (terms_of(PRO, date(2026, 3, 1)), terms_of(SCALE, date(2026, 11, 11)))
    given = {
        "currency": agreement.currency,
        "tax_rate": agreement.tax_rate,
        "tax_label": agreement.tax_label,
        "prepaid": Decimal(100),
        **fields,
    }
    return Contract("America/New_York", given.pop("terms", terms), **given)


def made(lines: list[UsageLine] = LINES, **changes: Any) -> Made:
    agreement = changes.pop("agreement", AGREEMENT)
    of = statement(changes.pop("contract", contract(agreement)), PERIOD, lines)
    values: dict[str, Any] = {
        "tenant_id": "tnt_01kb3v8f9d5e6s7r8q9p0n1m2k",
        "agreement": agreement,
        "zone": "America/New_York",
        "period": PERIOD,
        "statement": of,
        "watermark": NOW,
        "issuer": ISSUER,
        "price_versions": [7, 8],
        "plan_versions": [
            {"plan": "pro", "version": 3, "from": "2026-03-01"},
            {"plan": "scale", "version": 1, "from": "2026-11-11"},
        ],
        "number": "INV-2026-000041",
        "issued_at": NOW,
    }
    return Made(**{**values, **changes})


def test_the_example_that_others_build_on_is_what_is_made() -> None:
    assert json.loads(EXAMPLE.read_text("utf-8")) == document(made())


def test_a_document_of_before_says_nothing_of_what_its_prices_were_asked_for() -> None:
    batch = replace(LINES[1], priced_as=replace(BY_PROFILE, service_tiers=("batch",)))
    now, before = (
        document(replace(made([batch]), edition=edition))["lines"][-1]
        for edition in (Edition.PRICES_TOLD, Edition.FIRST)
    )
    assert before["description"] == f"{HAIKU}: output tokens"
    assert now["description"] == f"{HAIKU}: output tokens, batch"
    assert set(now) - set(before) == {"service_tiers", "price_keys", "plans", "priced_from"}


def test_a_customer_reads_of_a_provisioned_model_no_account() -> None:
    arn = "arn:aws:bedrock:us-east-1:111111111111:provisioned-model/x"
    priced_as = replace(BY_PROFILE, price_keys=(arn, f"us.{HAIKU}"))
    shown = document(made([LINES[1], replace(LINES[1], unit_price=None, priced_as=priced_as)]))
    [first, _] = (line for line in shown["lines"] if line["model"])
    assert first["price_keys"] == ["provisioned-model/x", f"us.{HAIKU}"]
    assert first["description"].endswith(", provisioned-model/x and cross-region (us)")
    assert "111111111111" not in str(shown)


def test_each_line_is_its_quantity_at_its_price_rounded_once() -> None:
    shown = document(made())
    for line in shown["lines"]:
        if line["unit_price"] is not None:
            price = Decimal(line["unit_price"]) * line["quantity"] / 1_000_000
            assert price == Decimal(line["charge"])
            assert abs(price - Decimal(line["amount"])) <= Decimal("0.005")
    amounts = sum(Decimal(line["amount"]) for line in shown["lines"])
    assert amounts == Decimal(shown["subtotal"]) + Decimal(shown["true_up"])
    assert Decimal(shown["due"]) == amounts + Decimal(shown["tax"]["amount"]) - 100


@pytest.mark.parametrize(
    ("currency", "amounts", "total"),
    [("JPY", ["0", "15"], "15"), ("KWD", ["0.050", "15.000"], "15.050")],
)
def test_a_document_has_its_currencys_decimals(
    currency: str, amounts: list[str], total: str
) -> None:
    lines = [UsageLine("m", "out", 1, Decimal("0.005")), UsageLine("n", "out", 1, Decimal("1.5"))]
    rate = ExchangeRate(date(2026, 11, 1), "USD", currency, Decimal(10), "central bank")
    agreed = Agreement(Party("Acme"), currency=currency)
    terms = (Terms(date(2026, 1, 1), "p", Decimal(0)),)
    of = contract(agreed, terms=terms, rates=(rate,), prepaid=Decimal(0))
    shown = document(made(lines, agreement=agreed, contract=of))
    assert [line["amount"] for line in shown["lines"]] == amounts
    assert shown["total"] == total
    assert shown["exchange_rate"]["rate"] == "10"


def test_equal_ledgers_have_equal_hashes_in_any_order_at_any_time() -> None:
    first = document(made())
    for seed in range(20):
        shuffled = random.Random(seed).sample(LINES, len(LINES))
        assert sha256(document(made(shuffled))) == sha256(first)
        draft = document(
            made(shuffled, number=None, issued_at=None, watermark=datetime(2027, 1, 1, tzinfo=UTC))
        )
        assert (draft["status"], draft["number"]) == ("draft", "draft-2026-11-01")
        assert content_sha256(draft) == content_sha256(first)


@pytest.mark.parametrize(
    "change", [{"quantity": 101}, {"charge": Decimal("0.006")}, {"model": "n"}]
)
def test_another_ledger_has_another_hash(change: dict[str, Any]) -> None:
    first = document(made())
    other = document(made([replace(LINES[0], **change), *LINES[1:]]))
    assert content_sha256(other) != content_sha256(first)
    assert content_sha256(document(made(tenant_id="tnt_other"))) != content_sha256(first)


def test_a_tenant_reads_nothing_of_our_cost() -> None:
    text = canonical(document(made())).decode().lower()
    assert "cost" not in text
    assert "markup" not in text


def test_a_number_has_six_digits_and_more_where_it_needs_them() -> None:
    assert number_of("INV-2026", 41) == "INV-2026-000041"
    assert number_of("CN-2026", 1_234_567) == "CN-2026-1234567"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name =", "not TOML"),
        ('name = "A"', "address has no lines"),
        ('address = ["x"]', "name is missing"),
        ('name = "A"\naddress = "x"', "must be a list"),
        ('name = "A"\naddress = ["x", ""]', "a line of address is missing"),
        ('name = "A"\naddress = ["x"]\nemail = "nobody"', "not an e-mail"),
        ('name = "A"\naddress = ["x"]\nphone = "1"', "unknown field phone"),
        ('name = "A"\naddress = ["x"]\npayment = ["a\\nb"]', "printable"),
    ],
)
def test_an_issuer_that_cannot_stand_on_an_invoice_is_refused(text: str, message: str) -> None:
    with pytest.raises(PartyError, match=message):
        issuer_from_toml(text)


def test_names_keep_the_joiners_of_their_script_and_spaces_that_do_not_break() -> None:
    for name in ("شرکت نمونه\u200cسازان", "क्\u200dष लिमिटेड", "10115\u00a0Berlin"):
        assert Party(name, (name,)).name == name
    for name in ("a\u202eb", "a\nb", "a\x00b", "a\ud800b", "a\u2066b"):
        with pytest.raises(PartyError, match="printable"):
            Party(name)


@pytest.mark.parametrize(
    "fields",
    [
        {"currency": "usd"},
        {"tax_rate": Decimal("8.25")},
        {"tax_rate": Decimal("NaN")},
        {"tax_rate": Decimal("0.00000001")},
        {"payment_days": -1},
        {"tax_label": " "},
    ],
)
def test_an_agreement_that_cannot_be_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(AgreementError):
        Agreement(Party("Acme"), **fields)
