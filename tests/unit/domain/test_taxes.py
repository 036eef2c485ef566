"""Tax of several rates: on statements, on documents, and what credit notes give back of each."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tenantry.domain.agreement import Agreement
from tenantry.domain.billing import Statement, statement
from tenantry.domain.contract import Contract, Terms
from tenantry.domain.credit_note import Credited, credit_note
from tenantry.domain.focus import focus_rows
from tenantry.domain.invoice import Document, Made, document
from tenantry.domain.invoice_edition import PRESENT, Edition, edition_of
from tenantry.domain.invoice_sheet import sheet_of
from tenantry.domain.late_usage import Closed, EarlierPeriod, late_of
from tenantry.domain.overage import overage_from
from tenantry.domain.party import Issuer, Party
from tenantry.domain.period import billing_period
from tenantry.domain.tax import Taxed, TaxRate, taxed_apart
from tenantry.domain.usage_line import UsageLine

AUGUST, SEPTEMBER, OCTOBER, NOVEMBER = (
    billing_period(datetime(2026, month, 15, tzinfo=UTC), "UTC", 1) for month in (8, 9, 10, 11)
)
OWN = TaxRate(Decimal("0.081"), "MWST")
OLD = TaxRate(Decimal("0.077"), "MWST")
OLDEST = TaxRate(Decimal("0.19"), "USt")
PARTY = Party("Acme", ("1 Main Street",))
ISSUER = Issuer(Party("Lumen", ("500 Howard St",)))
AT = datetime(2026, 12, 5, tzinfo=UTC)


def row(usd: int, quantity: int = 1_000_000) -> UsageLine:
    price = Decimal(usd * 1_000_000) / quantity
    return UsageLine("m", "out", quantity, Decimal(usd), price)


def contract(**fields: Any) -> Contract:
    terms = (Terms(date(2026, 1, 1), "p", Decimal(0)),)
    given = {"terms": terms, "tax_rate": OWN.rate, "tax_label": OWN.label, **fields}
    return Contract("UTC", **given)


def earlier(late: list[UsageLine], tax: TaxRate | None, period: Any = OCTOBER) -> EarlierPeriod:
    return EarlierPeriod(period, [row(450)], late, Closed(None, (), tax))


def stated(*periods: EarlierPeriod, own: int = 100, edition: Edition | None = None) -> Statement:
    by, edition = contract(), edition or Edition.TAXED_BY_PERIOD
    late = late_of(by, periods, edition=edition)
    return statement(by, NOVEMBER, [row(own)] if own else [], late, edition=edition)


def made(of: Statement, edition: Edition = Edition.TAXED_BY_PERIOD) -> Document:
    agreement = Agreement(PARTY, tax_rate=OWN.rate, tax_label=OWN.label)
    return document(
        Made("tnt_1", agreement, "UTC", NOVEMBER, of, AT, ISSUER, number="INV-2026-000041",
             issued_at=AT, edition=edition)
    )  # fmt: skip


def test_each_rate_and_label_is_rounded_once() -> None:
    nets = [(OWN, "0.06"), (OLD, "0.05"), (OWN, "0.06"), (OLD, "-3.95")]
    found = taxed_apart([(by, Decimal(net)) for by, net in nets], "USD")
    assert [(each.by, each.net, each.amount) for each in found] == [
        (OWN, Decimal("0.12"), Decimal("0.01")), (OLD, Decimal("-3.90"), Decimal("-0.30")),
    ]  # fmt: skip
    same = TaxRate(Decimal("0.0810"), "MWST")
    assert len(taxed_apart([(OWN, Decimal(1)), (same, Decimal(1))], "USD")) == 1
    half = TaxRate(Decimal("0.1"), "VAT")
    for net, tax in (("5", "1"), ("-5", "-1"), ("4", "0")):
        [each] = taxed_apart([(half, Decimal(net))], "JPY")
        assert (str(each.net), str(each.amount)) == (net, tax)


@pytest.mark.parametrize(
    ("own", "late", "taxes", "total", "credit"),
    [
        (100, [row(50)], [(OWN, "100.00", "8.10"), (OLD, "50.00", "3.85")], "161.95", "0.00"),
        (100, [row(-450)], [(OWN, "100.00", "8.10"), (OLD, "-450.00", "-34.65")],
         "-376.55", "-376.55"),
        (0, [row(-450), row(225)], [(OLD, "-225.00", "-17.33")], "-242.33", "-242.33"),
        (100, [], [(OWN, "100.00", "8.10")], "108.10", "0.00"),
        (0, [], [(OWN, "0.00", "0.00")], "0.00", "0.00"),
    ],
)  # fmt: skip
def test_an_adjustment_has_the_tax_of_its_period(
    own: int, late: list[UsageLine], taxes: list[tuple[TaxRate, str, str]], total: str, credit: str
) -> None:
    of = stated(earlier(late, OLD), own=own)
    assert [(each.by, str(each.net), str(each.amount)) for each in of.taxes] == taxes
    assert (str(of.total), str(of.credit), of.due) == (total, credit, of.total - of.credit)
    shown = made(of)
    several = len(taxes) > 1
    assert ("parts" in shown["tax"]) is several
    assert all(("tax" in line) is (line["kind"] == "adjustment") for line in shown["lines"])
    said = [line["description"].endswith(", MWST 7.7 %") for line in shown["lines"]]
    assert any(said) is several


TINY = [UsageLine("m", "out", 1, Decimal("0.004"), Decimal(4_000))]  # an amount of 0.00
BEFORE = Edition.STANDING_TOLD


@pytest.mark.parametrize(
    ("late", "own", "now", "before"),
    [
        (TINY, 100, [OWN], [OWN, OLD]),
        (TINY, 0, [OWN], [OLD]),
        ([row(5), row(-5, 2_000_000)], 100, [OWN, OLD], [OWN, OLD]),  # lines of +5.00 and -5.00
        ([row(50)], 100, [OWN, OLD], [OWN, OLD]),
        ([row(50)], 0, [OLD], [OLD]),
    ],
)
def test_a_tax_of_lines_of_nothing_is_none(
    late: list[UsageLine], own: int, now: list[TaxRate], before: list[TaxRate]
) -> None:
    made_now = stated(earlier(late, OLD), own=own, edition=PRESENT)
    made_before = stated(earlier(late, OLD), own=own, edition=BEFORE)
    assert [each.by for each in made_now.taxes] == now
    assert [each.by for each in made_before.taxes] == before
    assert made_now.total == made_before.total
    shown = made(made_now, PRESENT)
    assert ("parts" in shown["tax"]) is (len(now) > 1)
    rows = focus_rows(shown)
    assert len(rows) == len(shown["lines"]) + len(now)
    charged = {OWN: Decimal(own), OLD: sum((line.charge for line in late), Decimal(0))}
    bases = [charged[by] * by.rate for by in now]
    assert [Decimal(row["ListCost"] or "") for row in rows[-len(now) :]] == bases
    sums = [each["label"] for each in sheet_of(shown)["sums"]]
    assert len([label for label in sums if label.startswith("MWST")]) == len(now)


def test_a_document_of_one_rate_is_that_of_the_edition_before() -> None:
    for tax in (OWN, None):
        periods = [earlier([row(50), row(-20)], tax), earlier([row(7)], OWN, SEPTEMBER)]
        now = made(stated(*periods))
        before = made(stated(*periods, edition=Edition.PERIODS_TOLD), edition=Edition.PERIODS_TOLD)
        assert now == before and edition_of(now) is Edition.PERIODS_TOLD
    old = stated(earlier([row(50)], OLD), edition=Edition.PERIODS_TOLD)
    assert [(each.by, str(each.amount)) for each in old.taxes] == [(OWN, "12.15")]
    assert edition_of(made(old, Edition.PERIODS_TOLD)) is Edition.PERIODS_TOLD
    assert edition_of(made(stated(earlier([row(50)], OLD), own=0))) is Edition.TAXED_BY_PERIOD
    unknown = EarlierPeriod(OCTOBER, [], [row(50)], None)
    assert [each.by for each in stated(unknown).taxes] == [OWN]


def test_three_rates_stand_in_the_order_of_their_periods_after_the_contracts() -> None:
    periods = (earlier([row(1)], OLDEST, AUGUST), earlier([row(2)], OLD, SEPTEMBER),
               earlier([row(4)], OLDEST), )  # fmt: skip
    of = stated(*periods)
    assert [(each.by, each.net) for each in of.taxes] == [(OWN, 100), (OLDEST, 5), (OLD, 2)]
    of = stated(*periods, own=0)
    assert [(each.by, each.net) for each in of.taxes] == [(OLDEST, 5), (OLD, 2)]
    shown = made(of)["tax"]
    assert (shown["rate"], shown["label"], shown["amount"]) == ("0.19", "USt", "1.10")
    same_rate = TaxRate(OWN.rate, "TVA")
    of = stated(earlier([row(1)], same_rate))
    assert [each.by for each in of.taxes] == [OWN, same_rate]


def test_tokens_and_a_minimum_of_an_earlier_period_have_its_tax() -> None:
    steps = {"mode": "graduated", "included": 0, "steps": [{"per_million": "100"}]}
    terms = (Terms(date(2026, 1, 1), "p", Decimal(0), overage_from("p", steps), Decimal(500)),)
    by = contract(terms=terms)
    late = late_of(by, [earlier([row(450, 5_000_000)], OLD)])
    of = statement(by, NOVEMBER, [row(450)], late)
    words = [line.description.split(",")[0] for line in late.lines]
    assert words == ["Tokens", "Covered by the minimum"]
    assert {line.tax for line in late.lines} == {OLD}
    assert [(each.by, each.net) for each in of.taxes] == [(OWN, 500), (OLD, 100)]


def invoice_of(nets: dict[TaxRate, str], credit: str = "0.00") -> Document:
    example = Path(__file__).parents[2] / "support" / "invoice_example.json"
    taxes = taxed_apart([(by, Decimal(net)) for by, net in nets.items()], "USD")
    parts = [{"rate": str(each.by.rate), "label": each.by.label, "net": str(each.net),
              "amount": str(each.amount)} for each in taxes]  # fmt: skip
    net, tax = sum(each.net for each in taxes), sum(each.amount for each in taxes)
    return json.loads(example.read_text("utf-8")) | {
        "subtotal": str(net), "true_up": "0.00", "total": str(net + tax), "credit": credit,
        "due": str(net + tax - Decimal(credit)),
        "tax": {"rate": parts[0]["rate"], "label": parts[0]["label"], "amount": str(tax),
                "parts": parts},
    }  # fmt: skip


def both(*notes: Credited) -> Credited:
    parts: dict[TaxRate, Taxed] = {}
    for each in (part for note in notes for part in note.parts):
        was = parts.get(each.by, Taxed(each.by, Decimal(0), Decimal(0)))
        parts[each.by] = Taxed(each.by, was.net + each.net, was.amount + each.amount)
    net, tax, prepaid = (
        sum((getattr(note, name) for note in notes), Decimal(0))
        for name in ("net", "tax", "prepaid")
    )
    return Credited(net, tax, prepaid, tuple(parts.values()))


def note(
    invoice: Document, net: str | None, credited: Credited | None = None
) -> tuple[Document, Credited]:
    amount = None if net is None else Decimal(net)
    return credit_note(invoice, ISSUER, "CN-2026-000001", AT, credited or both(), amount, "outage")


def test_a_note_gives_back_of_each_rate_what_its_lines_are_of_all() -> None:
    invoice = invoice_of({OWN: "300.00", OLD: "-100.00"}, credit="50.00")
    shown, given = note(invoice, "10.01")
    assert [(each.net, each.amount) for each in given.parts] == [
        (Decimal("15.02"), Decimal("1.22")), (Decimal("-5.01"), Decimal("-0.39")),
    ]  # fmt: skip
    assert [(line["amount"], line["charge"], line.get("tax")) for line in shown["lines"]] == [
        ("-15.02", "-15.02", None), ("5.01", "5.01", {"rate": "0.077", "label": "MWST"}),
    ]  # fmt: skip
    assert [line["description"] for line in shown["lines"]] == [
        "outage (invoice INV-2026-000041), MWST 8.1 %",
        "outage (invoice INV-2026-000041), MWST 7.7 %",
    ]
    assert shown["tax"] == {
        "rate": "0.081", "label": "MWST", "amount": "-0.83",
        "parts": [
            {"rate": "0.081", "label": "MWST", "net": "-15.02", "amount": "-1.22"},
            {"rate": "0.077", "label": "MWST", "net": "5.01", "amount": "0.39"},
        ],
    }  # fmt: skip
    assert [shown[name] for name in ("total", "credit", "due")] == ["-10.84", "0.00", "-10.84"]
    whole, rest = note(invoice, None, given)
    assert [(each.net, each.amount) for each in rest.parts] == [
        (Decimal("284.98"), Decimal("23.08")), (Decimal("-94.99"), Decimal("-7.31")),
    ]  # fmt: skip
    assert whole["credit"] == "-50.00"


def test_a_rate_of_nothing_has_no_line_and_stands_among_the_parts() -> None:
    shown, given = note(invoice_of({OWN: "0.00", OLD: "100.00"}), "10")
    assert [line["tax"]["rate"] for line in shown["lines"]] == ["0.077"]
    assert [part["net"] for part in shown["tax"]["parts"]] == ["0.00", "-10.00"]
    assert given.tax == Decimal("0.77")


def test_an_invoice_that_is_nothing_with_its_taxes_is_not_credited() -> None:
    with pytest.raises(ValueError, match="with its taxes nothing is left to credit"):
        note(invoice_of({OWN: "1000.00", OLDEST: "-999.00"}), None)
    tiny = invoice_of({OWN: "100.00", OLDEST: "-43.00"})  # 57.00 and its taxes of -0.07
    assert note(tiny, "1")[1].tax == 0
    almost = invoice_of({OWN: "980.00", OLDEST: "-890.00"})  # 90.00 and its taxes of -89.72
    with pytest.raises(ValueError, match=r"it would come to 0\.00, and 0\.28 is left to credit"):
        note(almost, "1")
    assert note(almost, None)[1].total == Decimal("0.28")


CENTS = st.integers(-30_000, 60_000).map(lambda cents: str(Decimal(cents).scaleb(-2)))


@given(
    st.tuples(CENTS, CENTS, CENTS),
    st.lists(st.tuples(st.integers(1, 40_000), st.booleans()), max_size=6),
)
def test_notes_come_to_the_invoice_in_each_of_its_rates(
    nets: tuple[str, str, str], asked: list[tuple[int, bool]]
) -> None:
    """Whichever of them are void again."""
    invoice = invoice_of(dict(zip((OWN, OLD, OLDEST), nets, strict=True)))
    net, total = Decimal(invoice["subtotal"]), Decimal(invoice["total"])
    assume(net > 0 and total > 0)
    live: list[Credited] = []
    for cents, is_voided in asked:
        try:
            shown, given = note(invoice, str(Decimal(cents).scaleb(-2)), both(*live))
        except ValueError:
            continue
        assert sum(part.net for part in given.parts) == given.net == Decimal(cents) / 100
        assert sum(part.amount for part in given.parts) == given.tax
        assert sum(Decimal(line["amount"]) for line in shown["lines"]) == -given.net
        for part, of in zip(given.parts, invoice["tax"]["parts"], strict=True):
            exact = Fraction(part.net) * Fraction(part.by.rate)
            assert abs(part.net) <= abs(Decimal(of["net"])) and part.net * Decimal(of["net"]) >= 0
            assert abs(Fraction(part.amount) - exact) <= Fraction(len(asked) + 1, 200)
        if not is_voided:
            live.append(given)
    done = both(*live)
    if done.net < net:
        live.append(note(invoice, None, done)[1])
    whole = both(*live)
    assert (whole.net, whole.tax) == (net, Decimal(invoice["tax"]["amount"]))
    assert [(str(part.net), str(part.amount)) for part in whole.parts] == [
        (part["net"], part["amount"]) for part in invoice["tax"]["parts"]
    ]
    assert whole.due == Decimal(invoice["due"])
