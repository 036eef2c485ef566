"""PDF to text: what is filled into its forms and typed on it, at no cost that its pages feel."""

from __future__ import annotations

import asyncio

import pytest
from tests.support import hostile_files as hostile
from tests.support import knowledge_files as files

from tenantry.adapters.extraction import pdf, pdf_annotations, worker_client

FILLED = "/Subtype /Widget /FT /Tx /T (name) /V (Ann Example)"
ANNOTATIONS = {
    FILLED: "Name:\nAnn Example",
    "/Subtype /Widget /FT /Tx /T (name) /V <FEFF007A017C00F3>": "Name:\nzżó",
    "/Subtype /Widget /FT /Tx /T (name) /V (two\\rlines)": "Name:\ntwo\nlines",
    "/Subtype /Widget /Parent << /FT /Tx /T (name) /V (Ann) >>": "Name:\nAnn",
    "/Subtype /Widget /FT /Ch /Ff 131072 /T (c) /Opt [[(a) (Apple)] [(b) (Pear)]] /V (b)": (
        "Name:\nPear"
    ),
    "/Subtype /Widget /FT /Ch /Ff 2097152 /T (c) /Opt [(A) (B) (C)] /V [(A) (C)]": "Name:\nA\nC",
    "/Subtype /Widget /FT /Ch /Ff 393216 /T (c) /Opt [(A)] /V (typed)": "Name:\ntyped",
    "/Subtype /FreeText /Contents (a note) /DA (/Helv 12 Tf)": "Name:\na note",
    "/Subtype /FreeText /Contents (a note) /AP << /N 3 0 R >>": "Name:\na note",
    "/Subtype /FreeText /Contents (a note) /F 2": "Name:",
    "/Subtype /FreeText": "Name:",
    "/Subtype /Widget /FT /Tx /Ff 8192 /T (password) /V (secret)": "Name:",
    "/Subtype /Widget /F 2 /FT /Tx /T (hidden) /V (secret)": "Name:",
    "/Rect [9 9 9 9] /Subtype /Widget /FT /Tx /T (hidden) /V (secret)": "Name:",
    "/Subtype /Widget /FT /Btn /Ff 65536 /T (b) /V (Send) /MK << /CA (Send) >>": "Name:",
    "/Subtype /Widget /FT /Btn /T (box) /V /Yes /AS /Yes": "Name:",
    "/Subtype /Text /Contents (folded away)": "Name:",
    "/Subtype /Widget /FT /Sig /T (signature)": "Name:",
}


@pytest.mark.parametrize("annotation", ANNOTATIONS)
def test_what_was_filled_in_and_typed_on_a_pdf_is_read(annotation: str) -> None:
    assert pdf.to_text(files.pdf("Name:", annotations=[annotation]))[0] == ANNOTATIONS[annotation]


@pytest.mark.parametrize("form", [b"/Fields []", b"/Fields [6 0 R] /Size 12000"])
def test_a_field_that_its_form_does_not_name_is_read_by_itself(form: bytes) -> None:
    secret = FILLED.replace("/T", "/Ff 8192 /T").replace("Ann", "secret")
    button = FILLED.replace("/Tx", "/Btn")
    file = files.pdf("Name:", annotations=[FILLED, secret, button])
    before, _, after = file.partition(b"/Fields [")
    unnamed = before + form + after.partition(b"]")[2]
    assert pdf.to_text(unnamed)[0] == "Name:\nAnn Example"


def test_a_form_that_holds_its_answers_alone_is_no_scan() -> None:
    assert pdf.to_text(files.pdf("", annotations=[FILLED]))[0] == "Ann Example"
    looked = "/Subtype /Stamp /AP << /N << /Subtype /Form /BBox [0 0 9 9] /Length 0 >> >>"
    assert pdf.to_text(files.pdf("x", "y", annotations=[FILLED, looked, "/Subtype /Widget"])) == (
        "x\nAnn Example\n\ny",
        (2, 0),
    )


@pytest.mark.parametrize(
    ("bound", "value", "read"),
    [
        ("LOOKED_AT_MAX", 2, "Name:\nAnn Example\nAnn Example"),
        ("CHARS_MAX", 14, "Name:\nAnn Example\nAnn"),
    ],
)
def test_answers_beyond_the_bounds_stay_unread(
    bound: str, value: int, read: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pdf_annotations, bound, value)
    assert pdf.to_text(files.pdf("Name:", annotations=[FILLED] * 4))[0] == read


def test_answers_do_not_make_a_text_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pdf, "TEXT_CHARS_MAX", 12)
    assert pdf.to_text(files.pdf("Name:", "next", annotations=[FILLED]))[0] == "Name:\n\nnext"


def test_how_a_form_is_drawn_costs_nothing() -> None:
    """Five hundred fields that share one look of 50 kB: drawn, a gigabyte does not hold them."""
    shown = f"BT /F1 9 Tf ({'y' * 50_000}) Tj ET".encode()
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R /AcroForm << /Fields [6 0 R] >> >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R /Annots [%s] "
        b"/Resources << /Font << /F1 7 0 R >> >> >>" % (b"6 0 R " * 500),
        b"<< /Length 27 >>\nstream\nBT /F1 9 Tf (Name:) Tj ET   \nendstream",
        b"<< /Type /XObject /Subtype /Form /BBox [0 0 200 20] /Length %d "
        b"/Resources << /Font << /F1 7 0 R >> >> >>\nstream\n%s\nendstream" % (len(shown), shown),
        b"<< /Type /Annot /Subtype /Widget /FT /Tx /T (f) /V (v) /Rect [50 600 250 620] /F 4 "
        b"/AP << /N 5 0 R >> >>",
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    text, _ = asyncio.run(worker_client.parse("pdf", hostile.pdf(objects), wall_s=30))
    assert text == "Name:" + "\nv" * 500


def test_a_form_of_very_many_fields_is_read() -> None:
    """PDFium opens one in the square of their number: a minute for these, beside 30 s in all."""
    fields = [f"/Subtype /Widget /FT /Tx /T (n{place}) /V (v)" for place in range(50_000)]
    file = files.pdf("Name:", annotations=fields)
    text, _ = asyncio.run(worker_client.parse("pdf", file, wall_s=30))
    assert text == "Name:" + "\nv" * pdf_annotations.LOOKED_AT_MAX
