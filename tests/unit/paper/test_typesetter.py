"""The invoice on paper: what its text says, on every page, and that it is always the same file."""

import asyncio
import hashlib
import re
from pathlib import Path
from typing import Any

import pypdfium2
import pytest
from tests.support.invoices import (
    MODEL,
    a_credit_note,
    an_invoice,
    in_yen,
    of_many_models,
    the_example,
    with_told_prices,
)

from tenantry.adapters.paper.typesetter import Typesetter
from tenantry.domain.errors import BadRequest, Unavailable
from tenantry.domain.invoice_sheet import LINES_MAX


@pytest.fixture(scope="module")
def typesetter() -> Typesetter:
    return Typesetter()


def pages_of(pdf: bytes) -> list[str]:
    document = pypdfium2.PdfDocument(pdf)
    try:
        return [page.get_textpage().get_text_range().replace("\r\n", "\n") for page in document]
    finally:
        document.close()


def text_of(typesetter: Typesetter, invoice: dict[str, Any]) -> str:
    return "\n".join(pages_of(typesetter.render(invoice)))


def test_it_says_all_that_a_finance_department_asks_for(typesetter: Typesetter) -> None:
    text = text_of(typesetter, an_invoice())
    for words in (
        "Invoice", "INV-2026-000042", "Nimbus Softworks AG", "CHE-123.456.789", "8001 Zürich",
        "Αθήνα Καφές & Кафе Søhne", "EL094019245", "2026-12-01", "2026-12-31",
        "2026-11-01 to 2026-11-30", "Europe/Zurich", "Input tokens", "123,456,789", "9.00",
        MODEL, "tnt_01jdxyzabcdefghjkmnpqrst00",
        "1,111.11", "Output tokens", "1,055.56", "−12.50", "Subtotal", "2,302.18",
        "Up to the minimum of plan pro", "97.82", "MWST 8.1 %", "194.40", "2,594.40", "−200.00",
        "Amount due", "2,394.40 USD", "IBAN CH93 0076 2011 6238 5295 7", "Page 1 of 1",
        "a comma groups thousands",
    ):  # fmt: skip
        assert words in text
    assert text.count("Up to the minimum") == 1  # below the subtotal, which is without it
    assert "cost" not in text.lower() and "markup" not in text.lower()


def test_the_same_invoice_is_the_same_file(typesetter: Typesetter) -> None:
    one, two = typesetter.render(an_invoice()), Typesetter().render(an_invoice())
    assert hashlib.sha256(one).digest() == hashlib.sha256(two).digest()
    assert typesetter.render(an_invoice(number="INV-2026-000043")) != one


def test_it_is_an_archival_pdf_dated_by_the_invoice(typesetter: Typesetter) -> None:
    pdf = typesetter.render(an_invoice())
    assert b"<pdfaid:part>2</pdfaid:part>" in pdf
    assert b"<pdfaid:conformance>U</pdfaid:conformance>" in pdf
    document = pypdfium2.PdfDocument(pdf)
    assert document.get_metadata_value("CreationDate").startswith("D:20261201081500")
    assert document.get_metadata_value("Title") == "Invoice INV-2026-000042"
    document.close()


def test_many_lines_go_over_pages_with_their_headings(typesetter: Typesetter) -> None:
    pages = pages_of(typesetter.render(of_many_models(24)))
    assert len(pages) >= 3
    for number, page in enumerate(pages, 1):
        assert f"Page {number} of {len(pages)}" in page
        assert "Unit price per 1M" in page and "DRAFT" in page
    assert "not numbered yet" in pages[0] and "Would be due" in pages[-1]
    assert "IBAN" not in pages[-1]  # a draft asks for no payment
    assert sum(page.count("Output tokens") for page in pages) == 24


def test_a_credit_note_pays_back(typesetter: Typesetter) -> None:
    text = text_of(typesetter, a_credit_note())
    for words in ("Credit note", "CN-2026-000003", "INV-2026-000042", "−100.00", "−108.10"):
        assert words in text
    assert "Due" not in text and "Reason" in text
    assert "Amount in your favour" in text and "108.10 USD" in text and "IBAN" not in text


def test_a_void_invoice_says_so(typesetter: Typesetter) -> None:
    text = text_of(typesetter, an_invoice(status="void"))
    assert "VOID" in text and "Was due, now void" in text and "IBAN" not in text
    text = text_of(typesetter, a_credit_note() | {"status": "void"})
    assert "Was in your favour, now void" in text and "−108.10 USD" not in text


@pytest.mark.parametrize(
    ("changes", "payable"),
    [
        ({"credit": "2594.40", "due": "0.00"}, "Amount due"),
        ({"total": "-30.00", "credit": "0.00", "due": "-30.00"}, "in your favour"),
    ],
)
def test_where_nothing_is_to_be_paid_no_payment_is_asked(
    typesetter: Typesetter, changes: dict[str, str], payable: str
) -> None:
    text = text_of(typesetter, an_invoice(**changes))
    assert payable in text
    assert "IBAN" not in text and "Payment" not in text and "Due" not in text


def test_adjusted_periods_are_named_by_their_first_day_in_the_zone(typesetter: Typesetter) -> None:
    starts = ["2026-08-31T22:00:00+00:00", "2026-09-30T22:00:00+00:00"]
    text = text_of(typesetter, an_invoice(references={"adjusts": starts}))
    assert "Adjusts" in text and "2026-09-01, 2026-10-01" in text and "T22:00" not in text


def test_a_currency_without_decimals_shows_none(typesetter: Typesetter) -> None:
    text = text_of(typesetter, in_yen())
    assert "11,230 JPY" in text and "10,209" in text and "11,230.00" not in text
    assert "2026-11-01 to 2026-11-30" in text and "Asia/Tokyo" in text and "151.25" in text


def test_text_of_others_is_shown_and_never_obeyed(typesetter: Typesetter) -> None:
    hostile = '#panic("x") *a* _b_ $x^2$ @ref <tag> // c \\ [z] #import "/etc/passwd"'
    invoice = an_invoice()
    invoice["customer"]["name"] = hostile
    invoice["lines"][0]["description"] = "nul \x00 turn \u202eevil\ud800"
    text = text_of(typesetter, invoice)
    shown = "".join(text.split())  # lines break where they must
    assert hostile.replace(" ", "") in shown
    assert "nul[U+0000]turn[U+202E]evil[U+D800]" in shown


def test_what_no_font_draws_is_spelt_out_alone(typesetter: Typesetter) -> None:
    invoice = an_invoice()
    invoice["customer"]["name"] = "株 Zürich € Ωμ −"
    assert "[U+682A] Zürich € Ωμ −" in text_of(typesetter, invoice)


def test_long_names_stay_on_the_page(typesetter: Typesetter) -> None:
    invoice = an_invoice()
    invoice["customer"]["name"] = "A very long name of a company " * 12
    invoice["customer"]["email"] = "a" * 200 + "@example.com"
    invoice["lines"][0]["description"] = "b" * 300
    invoice["lines"][1]["model"] = "c" * 256
    invoice["references"] = {"purchase_order": "d" * 90}
    invoice["issuer"]["payment"] = ["e" * 200]
    invoice["tax"]["label"] = "f" * 90
    document = pypdfium2.PdfDocument(typesetter.render(invoice))
    for page in document:
        text, width = page.get_textpage(), page.get_width()
        for index in range(text.count_chars()):
            left, _, right, _ = text.get_charbox(index)
            assert 0 <= left <= right <= width - 50  # the margin is 20 mm, which is 56.7 pt
    document.close()


def test_a_draft_without_an_issuer_prints(typesetter: Typesetter) -> None:
    text = text_of(
        typesetter,
        {
            "number": "draft-2026-11-01", "status": "draft", "plan": "free", "currency": "USD",
            "customer": {"tenant_id": "tnt_1", "name": "acme"}, "issuer": None, "zone": "UTC",
            "lines": [], "total": "0.00",
            "period": {"start": "2026-11-01T00:00:00Z", "end": "2026-12-01T00:00:00Z"},
            "watermark": "2026-11-05T00:00:00Z",
        },
    )  # fmt: skip
    assert "draft-2026-11-01" in text and "acme" in text and "Issuer not named" in text
    assert "No charges in this period." in text


def test_what_cannot_be_printed_is_refused(typesetter: Typesetter) -> None:
    with pytest.raises(BadRequest, match="lines"):
        typesetter.render(an_invoice(lines=[an_invoice()["lines"][0]] * (LINES_MAX + 1)))
    with pytest.raises(BadRequest, match="no figure"):
        typesetter.render(an_invoice(total="NaN"))
    with pytest.raises(BadRequest, match="no instant"):
        typesetter.render(an_invoice(issued_at="soon"))


def test_a_sheet_of_thousands_of_characters_is_bounded(
    typesetter: Typesetter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beyond the bound they are spelt out unasked; those before it are drawn."""
    monkeypatch.setattr("tenantry.adapters.paper.typesetter.PROBES_MAX", 60)
    invoice = an_invoice()
    invoice["customer"]["address"] = ["".join(map(chr, range(0x4E00, 0x4E80)))]
    text = text_of(typesetter, invoice)
    assert "Zürich" in text and "U+4E7F" in re.sub(r"[^!-~]", "", text)


def test_a_folder_of_fonts_has_to_be_there(tmp_path: Path) -> None:
    with pytest.raises(NotADirectoryError, match="no folder of fonts"):
        Typesetter(tmp_path / "nowhere")
    assert Typesetter(tmp_path).render(an_invoice()) == Typesetter().render(an_invoice())


def test_too_many_at_once_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tenantry.adapters.paper.typesetter.WAITING_MAX", 2)

    async def all_at_once() -> list[bytes | BaseException]:
        press = Typesetter()
        asked = (press.invoice_pdf(an_invoice(number=f"INV-{n}")) for n in range(3))
        first = await asyncio.gather(*asked, return_exceptions=True)
        return [*first, await press.invoice_pdf(an_invoice())]  # afterwards there is room again

    one, two, refused, later = asyncio.run(all_at_once())
    assert isinstance(refused, Unavailable)
    assert all(isinstance(made, bytes) for made in (one, two, later))


def test_lines_that_would_read_alike_say_what_tells_them_apart(typesetter: Typesetter) -> None:
    text = " ".join(text_of(typesetter, with_told_prices()).split())
    for words in (
        "Output tokens, batch 1,000,000 22.50",
        "Output tokens, default tier, single region, prices from 2026-09-01 1,000,000 45.00",
        "Output tokens, default tier, cross-region (us) 1,000,000 49.50",
        "Output tokens, default tier, single region, prices from 2026-11-16 1,000,000 90.00",
    ):
        assert words in text
    alone = with_told_prices()["lines"][3]  # of the default tier: nothing stands beside it
    text = text_of(typesetter, an_invoice(lines=[alone]))
    assert "Output tokens 1,000,000" in text and "tier" not in text and MODEL in text


def test_an_invoice_of_before_is_printed_as_it_was(typesetter: Typesetter) -> None:
    told = ("service_tiers", "price_keys", "plans", "priced_from")
    before, plain = with_told_prices(), with_told_prices()
    for line in before["lines"]:
        for name in told:
            del line[name]
    for line in plain["lines"]:
        line |= {"service_tiers": ["default"], "price_keys": [], "plans": [], "priced_from": None}
    assert typesetter.render(before) == typesetter.render(plain)
    assert "Output tokens, " not in text_of(typesetter, before)


def test_the_example_that_others_build_on_is_printed(typesetter: Typesetter) -> None:
    text = text_of(typesetter, the_example())
    for words in ("INV-2026-000041", "Lumen Notes, Inc.", "NY sales tax 8.875 %", "265.95 USD",
                  "2026-11-01 to 2026-11-30", "America/New_York", "18,400,311"):  # fmt: skip
        assert words in text
    assert text.count("8.875 %") == 1
