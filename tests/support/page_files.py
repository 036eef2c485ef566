"""Small PDFs of pages that are given as what draws them."""

from __future__ import annotations

from collections.abc import Sequence

from tests.support import hostile_files as hostile

from tenantry.domain.upload import Upload, upload_from_file

FONT = "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>"
# Of its two characters the font names no letter, or those that a table of its own names.
NAMELESS = (
    "<< /Type /Font /Subtype /Type0 /BaseFont /AAAAAA+X /Encoding /Identity-H %s /DescendantFonts "
    "[<< /Type /Font /Subtype /CIDFontType2 /BaseFont /AAAAAA+X /CIDSystemInfo << /Registry (Adobe)"
    " /Ordering (Identity) /Supplement 0 >> /DW 600 /FontDescriptor << /Type /FontDescriptor "
    "/FontName /AAAAAA+X /Flags 4 /FontBBox [0 0 600 700] /Ascent 700 /Descent 0 /StemV 80 "
    "/ItalicAngle 0 /CapHeight 700 >> >>] >>"
)
LETTERS = (
    b"/CIDInit /ProcSet findresource begin 12 dict begin begincmap 1 begincodespacerange <0000> "
    b"<FFFF> endcodespacerange 2 beginbfchar <0001> <D83DDE80> <0002> <0041> endbfchar endcmap end"
)


def pages_of(contents: Sequence[bytes], font: str = FONT, settings: str = "") -> bytes:
    """A PDF of pages with these contents; `settings` are each page's."""
    numbers = range(3, 3 + 2 * len(contents), 2)
    kids = " ".join(f"{number} 0 R" for number in numbers)
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {len(contents)} >>".encode(),
    ]
    for number, content in zip(numbers, contents, strict=True):
        objects.append(
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] {settings} /Contents "
            f"{number + 1} 0 R /Resources << /Font << /F1 {font} >> >> >>".encode()
        )
        objects.append(b"<< /Length %d >>\nstream\n%s\nendstream" % (len(content), content))
    objects.append(b"<< /Length %d >>\nstream\n%s\nendstream" % (len(LETTERS), LETTERS))
    return hostile.pdf(objects)


COVER = b"BT /F1 12 Tf 1 0 0 1 50 700 Tm (Contract on apples) Tj ET"
DRAWN = b"0 0 500 700 re f"
SCANNED = pages_of([COVER] + 5 * [DRAWN])


def upload(data: bytes) -> Upload:
    return upload_from_file(data, content_type="application/pdf", file_name="contract.pdf")
