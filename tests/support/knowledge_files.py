"""Small real files for extraction tests: PDF, DOCX, and what attackers make of them."""

from __future__ import annotations

import functools
import io
import zipfile
from collections.abc import Sequence

from docx import Document


def pdf(*pages: str, encrypted: bool = False, annotations: Sequence[str] = ()) -> bytes:
    """A PDF of some lines a page, in windows-1252 but for U+2010; `encrypted` needs a password that
    nobody knows. `annotations` of its first page may be a form's fields.
    """
    font = (
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding "
        "<< /BaseEncoding /WinAnsiEncoding /Differences [127 /uni2010] >> >>"
    )
    bodies = [b"<< /Type /Catalog /Pages 2 0 R >>", b""]
    kids = []
    for text in pages:
        number = len(bodies) + 1
        kids.append(f"{number} 0 R")
        escaped = text.replace("\\", r"\\").replace("(", r"\(").replace(")", r"\)")
        lines = escaped.replace("\u2010", "\x7f").replace("\n", ") Tj 0 -30 Td (")
        stream = f"BT /F1 24 Tf 72 700 Td ({lines}) Tj ET".encode("cp1252")
        bodies.append(
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents {number + 1} 0 R "
            f"/Resources << /Font << /F1 {font} >> >> >>".encode()
        )
        bodies.append(b"<< /Length %d >>\nstream\n%s\nendstream" % (len(stream), stream))
    if annotations:
        first = len(bodies) + 1
        numbers = " ".join(f"{first + place} 0 R" for place in range(len(annotations)))
        bodies += [
            f"<< /Type /Annot /Rect [72 600 300 620] {one} >>".encode() for one in annotations
        ]
        bodies[0] = (
            f"<< /Type /Catalog /Pages 2 0 R /AcroForm << /Fields [{numbers}] >> >>".encode()
        )
        bodies[2] = bodies[2].replace(b"/MediaBox", f"/Annots [{numbers}] /MediaBox".encode())
    bodies[1] = f"<< /Type /Pages /Kids [{' '.join(kids)}] /Count {len(kids)} >>".encode()
    trailer = f"/Size {len(bodies) + 1} /Root 1 0 R"
    if encrypted:
        unknown = "5a" * 32
        trailer += (
            f" /ID [<{'00' * 16}> <{'00' * 16}>] /Encrypt << /Filter /Standard /V 1 /R 2 "
            f"/O <{unknown}> /U <{unknown}> /P -4 >>"
        )
    out = io.BytesIO(b"%PDF-1.4\n")
    out.seek(0, io.SEEK_END)
    offsets = []
    for number, body in enumerate(bodies, start=1):
        offsets.append(out.tell())
        out.write(b"%d 0 obj\n%s\nendobj\n" % (number, body))
    start = out.tell()
    out.write(b"xref\n0 %d\n0000000000 65535 f \n" % (len(bodies) + 1))
    for offset in offsets:
        out.write(b"%010d 00000 n \n" % offset)
    out.write(f"trailer << {trailer} >>\nstartxref\n{start}\n%%EOF".encode())
    return out.getvalue()


def docx(*paragraphs: str, table: tuple[tuple[str, ...], ...] = ()) -> bytes:
    document = Document()
    for paragraph in paragraphs:
        document.add_paragraph(paragraph)
    if table:
        grid = document.add_table(rows=len(table), cols=len(table[0]))
        for row, cells in zip(grid.rows, table, strict=True):
            for cell, text in zip(row.cells, cells, strict=True):
                cell.text = text
    out = io.BytesIO()
    document.save(out)
    return out.getvalue()


def docx_of(
    body: str, footnotes: str = "", *, main: str = "word/document.xml", strict: bool = False
) -> bytes:
    """A DOCX of raw WordprocessingML, as Word writes what python-docx cannot."""
    office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    words = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
    maths = "http://schemas.openxmlformats.org/officeDocument/2006/math"
    if strict:
        ooxml = "http://purl.oclc.org/ooxml"
        office, words = f"{ooxml}/officeDocument/relationships", f"{ooxml}/wordprocessingml/main"
        maths = f"{ooxml}/officeDocument/math"
    package = "http://schemas.openxmlformats.org/package/2006"
    spaces = (
        f'xmlns:w="{words}" xmlns:m="{maths}" '
        'xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006"'
    )
    kind = "application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"

    def relations(name: str, target: str) -> str:
        inner = f'<Relationship Id="rId1" Type="{office}/{name}" Target="{target}"/>'
        return f'<Relationships xmlns="{package}/relationships">{inner}</Relationships>'

    parts = {
        "[Content_Types].xml": f'<Types xmlns="{package}/content-types">'
        '<Default Extension="rels" '
        'ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        '<Default Extension="xml" ContentType="application/xml"/>'
        f'<Override PartName="/{main}" ContentType="{kind}"/></Types>',
        "_rels/.rels": relations("officeDocument", main),
        main: f"<w:document {spaces}><w:body>{body}</w:body></w:document>",
    }
    if footnotes:
        folder, _, name = main.rpartition("/")
        parts[f"{folder}/_rels/{name}.rels"] = relations("footnotes", "footnotes.xml")
        parts[f"{folder}/footnotes.xml"] = f"<w:footnotes {spaces}>{footnotes}</w:footnotes>"
    return archive(**parts)


@functools.cache
def zip_bomb(*, megabytes: int = 64) -> bytes:
    """An archive that passes for a DOCX and unpacks to a thousand times its size."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
        main = '<Relationship Type="x/officeDocument" Target="word/document.xml"/>'
        archive.writestr("_rels/.rels", f"<Relationships>{main}</Relationships>")
        archive.writestr("word/document.xml", b"\0" * (megabytes * 1024 * 1024))
    return out.getvalue()


def archive(**parts: str) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        for name, body in parts.items():
            file.writestr(name, body)
    return out.getvalue()
