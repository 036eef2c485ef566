"""PDF to text: lines however they are turned, words across pages, and pages without text."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import pytest
from tests.support import knowledge_files as files
from tests.support.page_files import FONT, NAMELESS, pages_of

from tenantry.adapters.extraction import pdf
from tenantry.domain.errors import Unreadable

LINES = ("Europe reached", "Frankfurt and", "Paris exceeded")
READ = "Europe reached\nFrankfurt and\nParis exceeded"
TURNS = {
    0: "1 0 0 1 50 700",
    90: "0 1 -1 0 300 200",
    180: "-1 0 0 -1 400 400",
    270: "0 -1 1 0 200 700",
}


def turned(degrees: int, lines: Sequence[str] = LINES, indent: int = 0) -> bytes:
    drawn = " ".join(
        f"BT /F1 11 Tf 1 0 0 1 {indent} {-16 * place} Tm ({line}) Tj ET"
        for place, line in enumerate(lines)
    )
    return f"q {TURNS[degrees]} cm {drawn} Q".encode()


@pytest.mark.parametrize("degrees", TURNS)
@pytest.mark.parametrize("page", [0, 90, 180, 270])
def test_lines_are_in_order_however_they_and_their_page_are_turned(degrees: int, page: int) -> None:
    def read(*blocks: bytes) -> str:
        return pdf.to_text(pages_of([b" ".join(blocks)], settings=f"/Rotate {page}"))[0]

    assert read(turned(degrees)) == READ
    columns = read(turned(degrees), turned(degrees, ["Right one", "Right two"], 150))
    assert columns == f"{READ}\nRight one\nRight two"
    broken = ["It issued recom-", "mendations in May", "for inter-", "national use of COVID-", "19"]
    assert read(turned(degrees, broken)) == (
        "It issued recommendations in May\nfor international use of COVID-19"
    )
    above = f"q {TURNS[degrees]} cm BT /F1 7 Tf 1 0 0 1 6 4 Tm (2) Tj ET Q".encode()
    raised = read(turned(degrees, ["x"]), above, turned(degrees, ["", "y z"])).split()
    assert raised in (["x", "2", "y", "z"], ["x2", "y", "z"])


def test_lines_that_are_turned_stand_among_others_in_order() -> None:
    beside = turned(270, ["beside", "the page"], -800)  # above its edge
    page = b" ".join([turned(0), turned(270), beside, turned(180, ["The end"])])
    assert pdf.to_text(pages_of([page]))[0] == f"{READ}\n{READ}\nThe end"


def test_a_word_that_is_broken_at_a_column_s_end_is_one_and_its_lines_end() -> None:
    columns = (
        b"BT /F1 10 Tf 1 0 0 1 50 714 Tm (Left one line here) Tj ET "
        b"BT /F1 10 Tf 1 0 0 1 50 700 Tm (The committee issued recom-) Tj ET "
        b"BT /F1 10 Tf 1 0 0 1 320 714 Tm (mendations in May.) Tj ET "
        b"BT /F1 10 Tf 1 0 0 1 320 700 Tm (Right two.) Tj ET"
    )
    assert pdf.to_text(pages_of([columns]))[0] == (
        "Left one line here\nThe committee issued recommendations in May.\nRight two."
    )


PAGES = {
    ("published its recom-", "mendations in May."): "published its recommendations in May.",
    ("published its recom\u00ad", "mendations in May."): "published its recommendations in May.",
    ("recom\u2010", "mendations"): "recommendations",
    ("recom-", "", "mendations"): "recommendations",
    ("see chapter A-", "and B"): "see chapter A-\n\nand B",
    ("after COVID-", "infections"): "after COVID-\n\ninfections",
    ("Haupt-", "und Nebensatz"): "Haupt-\n\nund Nebensatz",
    ("recom-", "Page 2"): "recom-\n\nPage 2",
    ("a dash -", "and more"): "a dash -\n\nand more",
    ("soft\u00ad", "Page 2"): "soft-\n\nPage 2",
}


@pytest.mark.parametrize("pages", PAGES)
def test_a_word_that_is_broken_at_a_page_s_end_is_one(pages: tuple[str, ...]) -> None:
    assert pdf.to_text(files.pdf(*pages))[0] == PAGES[pages]


def test_what_is_typed_on_a_page_stands_between_it_and_the_next() -> None:
    note = "/Subtype /FreeText /Contents (a note)"
    assert pdf.to_text(files.pdf("recom-", "mendations", annotations=[note]))[0] == (
        "recom-\na note\n\nmendations"
    )


def test_what_stands_beside_the_page_is_not_read() -> None:
    drawn = (
        b"BT /F1 10 Tf 1 0 0 1 50 700 Tm (on it) Tj ET BT /F1 10 Tf 1 0 0 1 700 690 Tm (beside) Tj "
        b"ET BT /F1 10 Tf 1 0 0 1 50 680 Tm (below) Tj ET BT /F1 10 Tf 1 0 0 1 50 -90 Tm (under) "
        b"Tj ET"
    )
    assert pdf.to_text(pages_of([drawn]))[0] == "on it\nbelow"
    cropped = "/CropBox [0 695 612 792]"
    assert pdf.to_text(pages_of([drawn], settings=cropped))[0] == "on it"


def test_a_character_beyond_the_first_plane_is_read_whole() -> None:
    lines = b"q 0 1 -1 0 300 200 cm BT /F1 11 Tf <00010002> Tj 0 -16 Td <0002> Tj ET Q"
    named = NAMELESS % "/ToUnicode 5 0 R"
    assert pdf.to_text(pages_of([lines], named))[0] == "\U0001f680A\nA"


def test_pages_without_text_are_counted() -> None:
    packed = zlib.compress(b"BT /F1 24 Tf 72 700 Td (lost) Tj ET")
    broken = files.pdf("cover", "x" * 60, "", "end")
    page = broken.index(b"BT /F1 24 Tf 72 700 Td (xxx")
    at = broken.rindex(b"<< /Length", 0, page)
    length = broken[at : broken.index(b">>", at)]
    filtered = length.replace(b"<< /Length", b"<</Filter/FlateDecode/Length")
    assert pdf.to_text(broken)[1] == (4, 1)
    damaged = broken[:at] + filtered + broken[at + len(length) : page] + packed[:9] + broken[page:]
    text, counts = pdf.to_text(damaged)
    assert (text, counts) == ("cover\n\nend", (4, 2))


@pytest.mark.parametrize("kid", [b"<< /Type /Foo >>", b"null", b"[1]", b"(page)"])
def test_a_page_that_is_none_is_left_out_and_counted(kid: bytes) -> None:
    whole = pages_of([turned(0, ["one"]), turned(0, ["two"]), turned(0, ["three"])])
    for kids in (b"3 0 R 10 0 R 7 0 R", b"10 0 R 3 0 R 7 0 R", b"3 0 R 7 0 R 99 0 R"):
        named = whole.replace(b"3 0 R 5 0 R 7 0 R", kids)
        with_kid = named.replace(b"xref\n", b"10 0 obj\n%s\nendobj\nxref\n" % kid, 1)
        assert pdf.to_text(with_kid) == ("one\n\nthree", (3, 1))


def test_a_pdf_without_one_page_that_can_be_read_is_refused() -> None:
    whole = pages_of([turned(0, ["one"]), turned(0, ["two"])])
    with pytest.raises(Unreadable, match="None of the PDF's pages can be read"):
        pdf.to_text(whole.replace(b"3 0 R 5 0 R", b"98 0 R 99 0 R"))


def test_a_page_in_a_font_without_letters_has_no_text() -> None:
    nameless = NAMELESS % ""
    letters = b"BT /F1 11 Tf 50 700 Td <002300240025002600270028> Tj ET"
    with pytest.raises(Unreadable, match="which letters they show"):
        pdf.to_text(pages_of([letters], nameless))
    words = turned(0)
    mixed = pages_of([words, letters]).replace(FONT.encode(), nameless.encode(), 2)
    mixed = mixed.replace(nameless.encode(), FONT.encode(), 1)
    assert pdf.to_text(mixed) == (READ, (2, 1))
