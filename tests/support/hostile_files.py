"""Files made to take all of a machine: each small, and each endless where nothing bounds it."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise

from tests.support import knowledge_files as files

_CATALOGUE = b"<< /Type /Catalog /Pages 2 0 R >>"
_PAGES = b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>"
_FONT = b"<< /Font << /F1 << /Type /Font /Subtype /Type1 /BaseFont /Helvetica >> >> >>"
_FORM = b"/Type /XObject /Subtype /Form /BBox [0 0 600 700] /Resources "
_TEXT = b"BT /F1 12 Tf (ha) Tj ET "
_W = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
_SIZES = ((b"PK\x01\x02", 24), (b"PK\x03\x04", 22))  # where a part's size stands after each mark


def pdf(objects: Sequence[bytes], trailer: bytes = b"") -> bytes:
    """Objects from 1 on; the first is the catalogue."""
    out = io.BytesIO(b"%PDF-1.4\n")
    out.seek(0, io.SEEK_END)
    offsets = []
    for number, body in enumerate(objects, 1):
        offsets.append(out.tell())
        out.write(b"%d 0 obj\n%s\nendobj\n" % (number, body))
    start = out.tell()
    out.write(b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1))
    for offset in offsets:
        out.write(b"%010d 00000 n \n" % offset)
    size = len(objects) + 1
    out.write(b"trailer << /Size %d /Root 1 0 R %s >>\n" % (size, trailer))
    out.write(b"startxref\n%d\n%%%%EOF" % start)
    return out.getvalue()


def _stream(data: bytes, words: bytes = b"") -> bytes:
    return b"<< /Length %d %s >>\nstream\n%s\nendstream" % (len(data), words, data)


def _page(resources: bytes = _FONT) -> bytes:
    return (
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R /Resources %s >>"
        % resources
    )


def _x_object(number: int) -> bytes:
    return b"<< /XObject << /X %d 0 R >> >>" % number


def _one_page(contents: bytes) -> bytes:
    return pdf([_CATALOGUE, _PAGES, _page(), contents])


def pages_without_end() -> bytes:
    cycle = b"<< /Type /Pages /Kids [2 0 R 2 0 R] /Count 100 /Parent 2 0 R >>"
    return pdf([_CATALOGUE, cycle])


def arrays_in_arrays() -> bytes:
    return _one_page(_stream(zlib.compress(b"[" * 20_000_000, 9), b"/Filter /FlateDecode"))


def compressed_twice() -> bytes:
    """Two gigabytes in a few kilobytes: the same piece two hundred times."""
    packer, blank = zlib.compressobj(9), b" " * 10_000_000
    first = packer.compress(blank) + packer.flush(zlib.Z_FULL_FLUSH)
    again = packer.compress(blank) + packer.flush(zlib.Z_FULL_FLUSH)
    once = first + again * 199 + packer.flush()
    return _one_page(_stream(zlib.compress(once, 9), b"/Filter [/FlateDecode /FlateDecode]"))


def form_within_itself() -> bytes:
    form = _stream(b"/X Do", _FORM + _x_object(5))
    return pdf([_CATALOGUE, _PAGES, _page(_x_object(5)), _stream(b"/X Do"), form])


def forms_within_forms(levels: int = 12) -> bytes:
    """Each is drawn twelve times by the one around it."""
    forms = [_stream(b"/X Do " * 12, _FORM + _x_object(6 + n)) for n in range(levels - 1)]
    last = _stream(_TEXT, _FORM + _FONT)
    return pdf([_CATALOGUE, _PAGES, _page(_x_object(5)), _stream(b"/X Do"), *forms, last])


def table_of_objects_without_end() -> bytes:
    objects = [_CATALOGUE, _PAGES, _page(), _stream(b"BT ET")]
    start = pdf(objects).rpartition(b"startxref\n")[2].partition(b"\n")[0]
    return pdf(objects, b"/Prev " + start)


def text_without_end() -> bytes:
    return _one_page(_stream(zlib.compress(_TEXT * 15_000_000, 9), b"/Filter /FlateDecode"))


def docx(body: str, doctype: str = "") -> bytes:
    """A real DOCX with another body, or another whole document where a doctype is given."""
    xml = f'<?xml version="1.0"?>{doctype}<w:document {_W}><w:body>{body}</w:body></w:document>'
    out = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(files.docx("x"))) as source,
        zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive,
    ):
        for part in source.infolist():
            main = part.filename == "word/document.xml"
            archive.writestr(part.filename, xml if main else source.read(part))
    return out.getvalue()


def paragraph(text: str) -> str:
    return f"<w:p><w:r><w:t>{text}</w:t></w:r></w:p>"


def laughs() -> bytes:
    """Entities of ten entities each, ten deep."""
    names = "abcdefghijk"
    entities = "".join(
        f'<!ENTITY {name} "{"&" + before + ";"}{("&" + before + ";") * 9}">'
        for before, name in pairwise(names)
    )
    return docx(paragraph("&k;"), f'<!DOCTYPE d [<!ENTITY a "ha">{entities}]>')


def one_large_entity() -> bytes:
    doctype = f'<!DOCTYPE d [<!ENTITY a "{"x" * 100_000}">]>'
    return docx(paragraph("&a;" * 20_000), doctype)


def foreign_entity(path: str) -> bytes:
    doctype = f'<!DOCTYPE d [<!ENTITY a SYSTEM "file://{path}">]>'
    return docx(paragraph("hello &a; there"), doctype)


def column_without_end() -> bytes:
    """A cell that spans two milliards of columns."""
    span = '<w:tcPr><w:gridSpan w:val="2000000000"/></w:tcPr>'
    cell = f"<w:tc>{span}{paragraph('hi')}</w:tc>"
    return docx(f"<w:tbl><w:tblPr/><w:tblGrid><w:gridCol/></w:tblGrid><w:tr>{cell}</w:tr></w:tbl>")


def false_sizes() -> bytes:
    """A part that says it unpacks to 5,000 bytes, and unpacks to fifty million."""
    out = docx(paragraph("x" * 50_000_000))
    for mark, offset in _SIZES:
        at = out.find(mark)
        while at >= 0:
            place = at + offset
            if struct.unpack_from("<I", out, place)[0] > 1_000_000:
                out = out[:place] + struct.pack("<I", 5_000) + out[place + 4 :]
            at = out.find(mark, at + 4)
    return out


QUICK: Mapping[str, Callable[[], bytes]] = {
    "pages without end": pages_without_end,
    "arrays in arrays": arrays_in_arrays,
    "compressed twice": compressed_twice,
    "a form within itself": form_within_itself,
    "a table of objects without end": table_of_objects_without_end,
    "laughs": laughs,
    "one large entity": one_large_entity,
    "false sizes": false_sizes,
}
LONG: Mapping[str, Callable[[], bytes]] = {
    "forms within forms": forms_within_forms,
    "text without end": text_without_end,
}
