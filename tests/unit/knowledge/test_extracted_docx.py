"""DOCX to text: which part is read, and what of it stands there no longer or is not shown."""

from __future__ import annotations

import asyncio
import io
import zipfile

import pytest
from tests.support import knowledge_files as files

from tenantry.adapters.extraction import docx, worker_client
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


def rewritten(file: bytes, old: str, new: str) -> bytes:
    """The same archive with other words in its parts."""
    with zipfile.ZipFile(io.BytesIO(file)) as source:
        parts = {name: source.read(name).decode() for name in source.namelist()}
    return files.archive(**{name: body.replace(old, new) for name, body in parts.items()})
