"""How an invoice lies on its pages: what stays together, what stays in its line, and which way
text runs."""

import copy
from collections.abc import Collection, Iterable, Iterator
from contextlib import closing
from typing import Any

import pypdfium2
import pytest
from _pytest.mark import ParameterSet
from tests.support.invoices import an_invoice, of_many_models, the_example

from tenantry.adapters.paper.typesetter import Typesetter

MARGIN_PT = 22 / 25.4 * 72  # above the text of a page
HEBREW = 'חברת הענן הגדולה בע"מ (Cloud 2026) Jtd.'
PAYMENT = [f"Bank {number} " + "words to read " * 30 for number in range(12)]


@pytest.fixture(scope="module")
def typesetter() -> Typesetter:
    return Typesetter()


def pages_of(pdf: bytes) -> list[str]:
    with closing(pypdfium2.PdfDocument(pdf)) as document:
        return [page.get_textpage().get_text_range() for page in document]


def placed(pdf: bytes, page: int = 0) -> Iterator[tuple[str, float, float]]:
    """Each character with its left edge and its distance from the top of the page."""
    with closing(pypdfium2.PdfDocument(pdf)) as document:
        text, height = document[page].get_textpage(), document[page].get_height()
        for index in range(text.count_chars()):
            left, bottom, _, _ = text.get_charbox(index)
            yield text.get_text_range(index, 1), left, height - bottom


def a_line(model: int, token_class: str = "out") -> dict[str, Any]:
    [first, *_] = (line for line in the_example()["lines"] if line["kind"] == "usage")
    return {**first, "model": f"vendor.model-{model}", "token_class": token_class}


def of_one_class(lines: int) -> dict[str, Any]:
    return {**the_example(), "lines": [a_line(number) for number in range(lines)]}


def of_four_classes(lines: int) -> dict[str, Any]:
    fee = the_example()["lines"][2]  # of 199.33
    classes = ("uncached_in", "cache_read", "cache_write_5m", "out")
    rows = [a_line(number // 4, classes[number % 4]) for number in range(lines - 1)]
    return {**the_example(), "lines": [fee, *rows]}


def counts(*ranges: Iterable[int], at_breaks: Collection[int]) -> list[ParameterSet]:
    """Numbers of lines. `at_breaks`: the least of all, and those beside the end of a page: of the
    lines, of their sums, or of what follows these."""
    numbers = [number for numbers in ranges for number in numbers]
    assert set(at_breaks) < set(numbers)
    return [
        pytest.param(number, marks=[] if number in at_breaks else [pytest.mark.slow])
        for number in numbers
    ]


OF_ONE = counts(range(1, 5), range(11, 19), range(33, 41), (60, 80), at_breaks=(1, 12, 13, 14, 34))
OF_FOUR = counts(range(1, 5), range(18, 30), range(53, 64), at_breaks=(1, 18, 19, 23, 58))


@pytest.mark.parametrize("lines", OF_ONE)
def test_no_page_holds_a_lonely_total(typesetter: Typesetter, lines: int) -> None:
    _assert_sums_have_company(typesetter, of_one_class(lines), "300,003", at_least=1)


@pytest.mark.parametrize("lines", OF_FOUR)
def test_the_last_lines_of_a_model_go_with_the_sums(typesetter: Typesetter, lines: int) -> None:
    of_last_model = (lines - 2) % 4 + 1
    last, at_least = ("199.33", 1) if lines == 1 else ("300,003", min(2, of_last_model))
    _assert_sums_have_company(typesetter, of_four_classes(lines), last, at_least=at_least)


def _assert_sums_have_company(
    press: Typesetter, invoice: dict[str, Any], line: str, *, at_least: int
) -> None:
    [page] = (page for page in pages_of(press.render(invoice)) if "Subtotal" in page)
    above = page.partition("Subtotal")[0]
    assert above.count(line) >= at_least
    assert "Unit price per 1M" in above.partition(line)[0]  # under its headings
    assert "Amount due" in page and "Quote the invoice number" in page


def test_what_is_taller_than_a_page_is_all_printed(typesetter: Typesetter) -> None:
    invoice = copy.deepcopy(the_example())
    invoice["issuer"]["payment"] = PAYMENT
    for line in invoice["lines"]:
        line |= {"description": "so many words " * 40, "model": None, "token_class": None}
    invoice["tax"]["label"] = "a label of many words " * 25
    pages = pages_of(typesetter.render(invoice))
    text = "\n".join(pages)
    assert all(f"Bank {number} " in text for number in range(12))
    assert "Dates are year-month-day" in pages[-1] and "Amount due" in text
    [page] = (page for page in pages if "Subtotal" in page)
    assert "so many words" in page.partition("Subtotal")[0]


def test_a_long_name_stays_in_the_line_above_and_below_each_page(typesetter: Typesetter) -> None:
    invoice = of_many_models(24)
    for number in (invoice["number"], "N-" + "9" * 300):
        invoice["number"] = number
        invoice["issuer"]["name"] = "A name of an issuer that goes on and on " * 12
        pdf = typesetter.render(invoice)
        for page in range(1, len(pages_of(pdf))):
            letters = [(c, x, y) for c, x, y in placed(pdf, page) if c.strip()]
            head = [(c, x, y) for c, x, y in letters if y < MARGIN_PT]
            foot = [(c, x, y) for c, x, y in letters if y > 842 - MARGIN_PT]
            for line in (head, foot):
                assert "…" in {c for c, _, _ in line}
                assert max(y for *_, y in line) - min(y for *_, y in line) < 8
            # the number ends before the name begins
            edges = [x for _, x, _ in head]
            assert edges == sorted(edges)


def test_a_line_runs_the_way_of_its_first_letter(typesetter: Typesetter) -> None:
    invoice = an_invoice()
    invoice["lines"][0]["description"] = HEBREW
    at = {c: (x, y) for c, x, y in placed(typesetter.render(invoice)) if c in "חJ"}
    first, ltd = at["ח"], at["J"]
    assert first[0] > ltd[0]  # it begins at the right, and its Latin end is at the left
    assert abs(first[1] - ltd[1]) < 5


def test_in_a_latin_line_hebrew_is_a_guest(typesetter: Typesetter) -> None:
    invoice = an_invoice()
    invoice["lines"][0]["description"] = "Qq חברת (Vv)"
    at = {c: x for c, x, _ in placed(typesetter.render(invoice)) if c in "QVח"}
    assert at["Q"] < at["ח"] < at["V"]


def test_a_line_that_is_broken_goes_on_below(typesetter: Typesetter) -> None:
    invoice = an_invoice()
    invoice["customer"]["name"] = HEBREW
    pdf = typesetter.render(invoice)
    [hebrew] = [y for c, _, y in placed(pdf) if c == "ח"]
    [ltd] = [y for c, _, y in placed(pdf) if c == "J"]
    assert ltd > hebrew + 5


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("شركة", "[U+0634][U+0631][U+0643][U+0629]"),
        ("क्ला", "[U+0915][U+094D][U+0932][U+093E]"),
        ("Կարեն ₪ € → ✓", "[U+053F][U+0561][U+0580][U+0565][U+0576] ₪ € → ✓"),
        ("שלום Ωμέγα Жук Zürich", "Ωμέγα Жук Zürich"),
    ],
)
def test_only_what_is_set_well_is_set(typesetter: Typesetter, name: str, shown: str) -> None:
    invoice = an_invoice()
    invoice["lines"][0]["description"] = name
    page = "".join(pages_of(typesetter.render(invoice))[0].split())
    assert "".join(shown.split()) in page
