"""Why usage is on a later invoice than its own period's: by what the ledger has beyond it."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from tenantry.domain.agreement import Agreement
from tenantry.domain.billing import statement
from tenantry.domain.contract import Contract, ExchangeRate, Terms
from tenantry.domain.invoice import Made, document
from tenantry.domain.invoice_edition import Edition
from tenantry.domain.late_usage import Closed, EarlierPeriod, late_of
from tenantry.domain.party import Party
from tenantry.domain.period import billing_period
from tenantry.domain.tax import TaxRate
from tenantry.domain.usage_line import UsageLine

ZONES = {"America/New_York": "USD", "Europe/Zurich": "EUR"}
RATE = ExchangeRate(date(2026, 1, 1), "USD", "EUR", Decimal("0.9"), "ECB")


def row(quantity: int, price: int, token_class: str = "out") -> UsageLine:
    charge = Decimal(quantity * price) / 1_000_000
    return UsageLine("m", token_class, quantity, charge, Decimal(price))


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize(
    ("late", "reasons"),
    [
        ([row(7, 4)], ["settled_late"]),
        ([row(7, 4), row(7, 9)], ["settled_late"] * 2),
        ([row(-7, 4)], ["taken_back"]),
        ([row(-7, 4), row(7, 9)], ["price_corrected"] * 2),
        ([row(-7, 4), row(9, 9)], ["price_corrected"] * 2),
        (
            [row(-7, 4), row(7, 9), row(1, 2, "cache_read"), row(-1, 3, "image")],
            ["settled_late", "taken_back", "price_corrected", "price_corrected"],
        ),
    ],
)
def test_each_line_says_why_it_comes_late(
    zone: str, late: list[UsageLine], reasons: list[str]
) -> None:
    october = billing_period(datetime(2026, 10, 15, tzinfo=UTC), zone, 1)
    terms = (Terms(date(2026, 1, 1), "p", Decimal(0)),)
    contract = Contract(zone, terms, currency=ZONES[zone], rates=(RATE,))
    earlier = [EarlierPeriod(october, [row(50, 4)], late, Closed(None, (RATE,)))]
    lines = late_of(contract, earlier).lines
    assert [line.reason for line in lines] == reasons
    assert {line.period for line in lines} == {october}
    assert {line.rate for line in lines} == {None if ZONES[zone] == "USD" else RATE}
    for line, reason in zip(lines, reasons, strict=True):
        words = f", {reason.replace('_', ' ')}, of the period from 2026-10-01"
        assert line.description.endswith(words)
    for line in late_of(contract, earlier, edition=Edition.PRICES_TOLD).lines:
        assert line.description.endswith(", settled late, of the period from 2026-10-01")


@pytest.mark.parametrize("zone", ZONES)
def test_a_document_tells_of_adjustments_alone_why_at_which_rate_and_at_which_tax(
    zone: str,
) -> None:
    october, november = (
        billing_period(datetime(2026, month, 15, tzinfo=UTC), zone, 1) for month in (10, 11)
    )
    terms = (Terms(date(2026, 1, 1), "p", Decimal(5)),)
    contract = Contract(
        zone, terms, currency=ZONES[zone], rates=(RATE,), tax_rate=Decimal("0.1"), tax_label="VAT"
    )
    closed = Closed(None, (RATE,), TaxRate(Decimal("0.077"), "MWST"))
    late = late_of(contract, [EarlierPeriod(october, [row(50, 4)], [row(7_000_000, 4)], closed)])
    agreement = Agreement(
        Party("Acme"), currency=ZONES[zone], tax_rate=Decimal("0.1"), tax_label="VAT"
    )
    of = statement(contract, november, [row(9, 4)], late)
    shown = document(Made("tnt_1", agreement, zone, november, of, november.end))
    by_kind = {line["kind"]: line for line in shown["lines"]}
    adjusted = by_kind.pop("adjustment")
    assert set(by_kind) == {"fee", "usage"}
    assert not any({"reason", "exchange_rate", "tax"} & set(line) for line in by_kind.values())
    assert adjusted["reason"] == "settled_late"
    rate = {"day": "2026-01-01", "base": "USD", "quote": "EUR", "rate": "0.9", "source": "ECB"}
    assert adjusted["exchange_rate"] == (None if ZONES[zone] == "USD" else rate)
    assert adjusted["tax"] == {"rate": "0.077", "label": "MWST"}
    assert adjusted["description"].startswith("m: output tokens")
    assert adjusted["description"].endswith(", MWST 7.7 %")
    assert [part["net"] for part in shown["tax"]["parts"]] == ["5.00", adjusted["amount"]]
