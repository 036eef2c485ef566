"""DOCX to text: what a reader sees in Word with every change accepted, and nothing lost."""

from __future__ import annotations

import pytest
from tests.support import hostile_files as hostile
from tests.support import knowledge_files as files

from tenantry.adapters.extraction import docx


def run(text: str) -> str:
    return f'<w:r><w:t xml:space="preserve">{text}</w:t></w:r>'


def line(inner: str) -> str:
    return f"<w:p>{inner}</w:p>"


def held(inner: str) -> str:
    """In a content control, as templates and cover pages have it."""
    return f"<w:sdt><w:sdtPr/><w:sdtContent>{inner}</w:sdtContent></w:sdt>"


def cell(text: str, settings: str = "") -> str:
    return f"<w:tc><w:tcPr>{settings}</w:tcPr>{line(run(text))}</w:tc>"


def row(*cells: str) -> str:
    return f"<w:tr>{''.join(cells)}</w:tr>"


def table(*rows: str) -> str:
    return f"<w:tbl>{''.join(rows)}</w:tbl>"


DELETED = "<w:del><w:r><w:delText>five</w:delText></w:r></w:del>"
BOX = f"<w:txbxContent>{line(run('boxed'))}</w:txbxContent>"
SHOWN_TWICE = (
    f"<w:r><mc:AlternateContent><mc:Choice>{BOX}</mc:Choice><mc:Fallback>{BOX}</mc:Fallback>"
    "</mc:AlternateContent></w:r>"
)
WIDE, TALL, ON = '<w:gridSpan w:val="2"/>', '<w:vMerge w:val="restart"/>', "<w:vMerge/>"
READ = {
    "tracked changes": (
        line(run("Price: ") + DELETED + f"<w:ins>{run('nine')}</w:ins>" + run(" dollars")),
        "Price: nine dollars",
    ),
    "a moved paragraph": (
        line(f"<w:moveFrom>{run('gone')}</w:moveFrom>") + line(f"<w:moveTo>{run('x')}</w:moveTo>"),
        "x",
    ),
    "a content control of paragraphs": (held(line(run("a")) + held(line(run("b")))), "a\nb"),
    "a content control in a line": (line(run("Dear ") + held(run("Ann"))), "Dear Ann"),
    "fields and tags": (
        line(f"<w:smartTag>{run('Berlin ')}</w:smartTag><w:fldSimple>{run('2026')}</w:fldSimple>"),
        "Berlin 2026",
    ),
    "a text box, once": (
        line(run("before") + SHOWN_TWICE) + line(run("after")),
        "before\nboxed\nafter",
    ),
    "signs": (
        line(
            "<w:pPr><w:tabs><w:tab/></w:tabs></w:pPr><w:r><w:t>a</w:t><w:tab/><w:t>b</w:t><w:br/>"
        ).replace(
            "</w:p>", '<w:t>c</w:t><w:noBreakHyphen/><w:br w:type="page"/><w:t>d</w:t></w:r></w:p>'
        ),
        "a\tb\nc-d",
    ),
    "rows and cells in content controls": (
        table(row(cell("a"), held(cell("b"))), held(row(cell("c"), cell("d")))),
        "a | b\nc | d",
    ),
    "merged cells": (
        table(row(cell("wide", WIDE), cell("tall", TALL)), row(cell("x"), cell("y"), cell("", ON))),
        "wide | tall\nx | y | tall",
    ),
    "a merged cell without a beginning": (
        table(row(cell("first", ON))),
        "first",
    ),
}


@pytest.mark.parametrize("what", READ)
def test_nothing_that_a_reader_sees_is_lost(what: str) -> None:
    body, text = READ[what]
    assert docx.to_text(files.docx_of(body)) == text


def test_footnotes_follow_the_body() -> None:
    line_above = line("<w:r><w:separator/></w:r>")
    note = line("<w:r><w:footnoteRef/></w:r>" + run(" Plus tax."))
    notes = (
        f'<w:footnote w:type="separator">{line_above}</w:footnote><w:footnote>{note}</w:footnote>'
    )
    body = line(run("Nine dollars.") + '<w:r><w:footnoteReference w:id="1"/></w:r>')
    assert docx.to_text(files.docx_of(body, notes)) == "Nine dollars.\nPlus tax."


def test_a_column_without_end_is_read_like_any_other() -> None:
    assert docx.to_text(hostile.column_without_end()) == "hi"
