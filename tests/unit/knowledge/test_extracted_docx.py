"""DOCX to text: which part is read, and what of it stands there no longer or is not shown."""

from __future__ import annotations

import asyncio
import io
import zipfile

import pytest
from tests.support import knowledge_files as files

from tenantry.adapters.extraction import docx, docx_package, worker_client
from tenantry.domain.errors import TooLarge, Unreadable, UnsupportedMedia


def run(text: str, settings: str = "") -> str:
    return f'<w:r><w:rPr>{settings}</w:rPr><w:t xml:space="preserve">{text}</w:t></w:r>'


def line(inner: str, mark: str = "") -> str:
    return f"<w:p><w:pPr><w:rPr>{mark}</w:rPr></w:pPr>{inner}</w:p>"


def cell(inner: str, settings: str = "") -> str:
    return f"<w:tc><w:tcPr>{settings}</w:tcPr>{inner}</w:tc>"


def row(inner: str, settings: str = "") -> str:
    return f"<w:tr><w:trPr>{settings}</w:trPr>{inner}</w:tr>"


def nested(tables: int, rows: int = 1) -> str:
    """Tables in each other; with two rows each, what stands in the first is read in both."""
    inner = line(run("core"))
    for _ in range(tables):
        first = row(cell(inner, '<w:vMerge w:val="restart"/>'))
        again = row(cell("<w:p/>", "<w:vMerge/>"))
        inner = f"<w:tbl>{first}{again * (rows - 1)}</w:tbl><w:p/>"
    return inner


NOTE = f'<w:footnote w:type="separator">{line(run("-"))}</w:footnote><w:footnote>%s</w:footnote>'
DELETED, BOOKMARK = '<w:del w:id="1" w:author="a"/>', "<w:bookmarkEnd/>"
LEFT = f"<w:del><w:r><w:delText>gone</w:delText></w:r></w:del>{run('left ')}"
READ = {
    "a deleted row": (
        f"<w:tbl>{row(cell(line(run('kept'))))}{row(cell(line(run('gone'))), DELETED)}</w:tbl>",
        "kept",
    ),
    "a deleted cell": (
        f"<w:tbl>{row(cell(line(run('gone')), '<w:cellDel/>') + cell(line(run('kept'))))}</w:tbl>",
        "kept",
    ),
    "hidden words": (
        line(
            run("a")
            + run("gone", "<w:vanish/>")
            + run("b", '<w:vanish w:val="0"/>')
            + run("c", '<w:vanish w:val="false"/>')
        ),
        "abc",
    ),
    "a deleted end of a paragraph": (
        line(LEFT, DELETED) + BOOKMARK + line(run("right")) + line(run("next")),
        "left right\nnext",
    ),
    "a moved end": (line(run("one "), "<w:moveFrom/>") + line(run("line")), "one line"),
    "a hidden end": (line(run("Title. "), "<w:vanish/>") + line(run("Text")), "Title. Text"),
    "a deleted end before a table": (
        line(run("a"), DELETED) + f"<w:tbl>{row(cell(line(run('b'), DELETED)))}</w:tbl>",
        "a\nb",
    ),
    "tables in tables": (nested(9), "core"),
}


@pytest.mark.parametrize("what", READ)
def test_what_a_reader_sees_is_read_and_nothing_else(what: str) -> None:
    body, text = READ[what]
    assert docx.to_text(files.docx_of(body)) == text


def test_the_document_is_the_part_that_the_package_names() -> None:
    for main in ("word/document2.xml", "a/b/c.xml"):
        file = files.docx_of(line(run("Body.")), NOTE % line(run("Note.")), main=main)
        assert docx.to_text(file) == "Body.\nNote."
    at_the_top = files.docx_of(line(run("Body.")), main="document.xml")
    assert docx.to_text(at_the_top) == "Body."
    assert docx.to_text(rewritten(at_the_top, '"document.xml"', '"/document.xml"')) == "Body."


def test_strict_open_xml_is_read_like_any_other() -> None:
    maths = "<m:oMath><m:r><m:t> x=1</m:t></m:r></m:oMath>"
    breaks = '<w:r><w:br w:type="page"/><w:br/></w:r>'
    body = line(run("a") + maths + breaks + run("b")) + nested(1, rows=2)
    file = files.docx_of(body, NOTE % line(run("Note.")), strict=True)
    assert docx.to_text(file) == "a x=1\n\nb\ncore\ncore\n\nNote."
    assert docx.to_text(files.docx_of(body, NOTE % line(run("Note.")))) == docx.to_text(file)


def test_a_part_that_is_not_read_may_be_missing() -> None:
    file = files.docx_of(line(run("Body.")), NOTE % line(run("Note.")))
    pictured = rewritten(rewritten(file, "/footnotes", "/image"), '"footnotes.xml"', '"NULL"')
    assert docx.to_text(pictured) == "Body."


def test_tables_in_tables_are_read_or_refused() -> None:
    assert docx.to_text(files.docx_of(nested(32))) == "core"
    with pytest.raises(Unreadable, match="nested more than 32 deep"):
        docx.to_text(files.docx_of(nested(33)))


def test_cells_that_repeat_what_they_hold_end_with_their_process() -> None:
    file = files.docx_of(nested(32, rows=3))
    with pytest.raises((Unreadable, TooLarge)):
        asyncio.run(worker_client.parse("docx", file, wall_s=30))


@pytest.mark.parametrize("told", ["/officeDocument", "w:document"])
def test_another_kind_of_archive_is_refused_as_one(told: str) -> None:
    with pytest.raises(UnsupportedMedia, match="another kind"):
        docx.to_text(rewritten(files.docx_of("<w:p/>"), told, f"{told}s"))


ROOM = 2 * 1024 * 1024  # of which all that compresses well is refused where it is read


def with_parts(file: bytes, parts: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(file)) as source,
        zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as target,
    ):
        for name in source.namelist():
            if name not in parts:
                target.writestr(name, source.read(name))
        for name, body in parts.items():
            target.writestr(name, body)
    return out.getvalue()


def test_pictures_and_embedded_files_are_never_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    """A white bitmap, and room that an embedded file keeps free, compress as a bomb does."""
    unread = {
        "word/media/image1.bmp": b"BM" + b"\xff" * ROOM,
        "word/embeddings/oleObject1.bin": b"\0" * ROOM,
        "customXml/item1.xml": b" " * ROOM,
    }
    file = files.docx_of(line(run("Body.")), NOTE % line(run("Note.")))
    opened: list[str] = []
    open_part = zipfile.ZipFile.open

    def noted(self: zipfile.ZipFile, name: str, *more: object) -> object:
        opened.append(name if isinstance(name, str) else name.filename)
        return open_part(self, name, *more)

    whole = with_parts(file, unread)
    monkeypatch.setattr(zipfile.ZipFile, "open", noted)
    assert docx.to_text(whole) == "Body.\nNote."
    assert opened and not unread.keys() & set(opened)


@pytest.mark.parametrize(
    "name",
    [
        "[Content_Types].xml",
        "_rels/.rels",
        "word/document.xml",
        "word/_rels/document.xml.rels",
        "word/footnotes.xml",
        "word/afchunk.html",
    ],
)
def test_a_bomb_in_any_part_that_is_read_is_refused(name: str) -> None:
    space = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    chunk = f'<w:altChunk xmlns:r="{space}" r:id="rId9"/>'
    file = files.docx_of(chunk + line(run("Body.")), NOTE % line(run("Note.")))
    linked = (
        "</Relationships>",
        '<Relationship Id="rId9" Type="x/aFChunk" Target="{}"/></Relationships>',
    )
    kind = "</Types>", '<Default Extension="html" ContentType="text/html"/></Types>'
    file = rewritten(file, kind[0], kind[1])
    file = rewritten(file, linked[0], linked[1].format("afchunk.html"))
    file = with_parts(file, {"word/afchunk.html": b"<p>chunk</p>"})
    assert docx.to_text(file) == "chunk\nBody.\nNote."
    with zipfile.ZipFile(io.BytesIO(file)) as archive:
        body = archive.read(name)
    with pytest.raises(Unreadable, match="zip bomb"):
        docx.to_text(with_parts(file, {name: body + b" " * ROOM}))


def test_parts_that_are_read_unpack_to_a_bound_together(monkeypatch: pytest.MonkeyPatch) -> None:
    file = files.docx_of(line(run("Body.")), NOTE % line(run("Note.")))
    parts = zipfile.ZipFile(io.BytesIO(file)).infolist()
    size = sum(info.file_size for info in parts if info.filename != "[Content_Types].xml")
    monkeypatch.setattr(docx_package, "UNCOMPRESSED_BYTES_MAX", size)
    assert docx.to_text(file) == "Body.\nNote."
    monkeypatch.setattr(docx_package, "UNCOMPRESSED_BYTES_MAX", size - 1)
    with pytest.raises(Unreadable, match="zip bomb"):
        docx.to_text(file)


def test_more_parts_than_any_document_has_are_refused() -> None:
    many = {f"word/media/{number}": b"" for number in range(docx.ENTRIES_MAX)}
    with pytest.raises(Unreadable, match="more than 4096 parts"):
        docx.to_text(with_parts(files.docx_of("<w:p/>"), many))


def rewritten(file: bytes, old: str, new: str) -> bytes:
    """The same archive with other words in its parts."""
    with zipfile.ZipFile(io.BytesIO(file)) as source:
        parts = {name: source.read(name).decode() for name in source.namelist()}
    return files.archive(**{name: body.replace(old, new) for name, body in parts.items()})
