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


def raised(text: str) -> str:
    return f"<w:r>{RAISED}<w:t>{text}</w:t></w:r>"


def lowered(text: str) -> str:
    return raised(text).replace("superscript", "subscript")


def symbol(place: str, font: str = "Symbol") -> str:
    return f'<w:r><w:sym w:font="{font}" w:char="{place}"/></w:r>'


def maths(text: str) -> str:
    return f"<m:r><m:t>{text}</m:t></m:r>"


def fraction(above: str, below: str) -> str:
    return f"<m:f><m:fPr/><m:num>{maths(above)}</m:num><m:den>{maths(below)}</m:den></m:f>"


def cells(*texts: str) -> str:
    return "".join(f"<m:e>{maths(text)}</m:e>" for text in texts)


def power(base: str, exponent: str) -> str:
    return f"<m:sSup><m:e>{maths(base)}</m:e><m:sup>{maths(exponent)}</m:sup></m:sSup>"


RAISED = '<w:rPr><w:vertAlign w:val="superscript"/></w:rPr>'
PROOF = '<w:proofErr w:type="spellStart"/>'
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
        "a\tb\nc-\nd",
    ),
    "the end of a page and of a column": (
        line(run("units.") + '<w:r><w:br w:type="page"/></w:r>' + run("Chapter"))
        + line(run("left") + '<w:r><w:br w:type="column"/></w:r>' + run("right")),
        "units.\nChapter\nleft\nright",
    ),
    "exponents": (
        line(run("10") + raised("6") + run(" and 10") + raised("-") + PROOF + raised("6")),
        "10^6 and 10^-6",
    ),
    "an exponent that was changed": (
        line(run("10") + raised("1") + DELETED + f"<w:ins>{raised('2')}</w:ins>" + run(" items")),
        "10^12 items",
    ),
    "exponents around a link and a formula": (
        line(
            raised("6")
            + f"<w:hyperlink>{run('x 10')}</w:hyperlink>"
            + raised("7")
            + f"<m:oMath>{maths('+10')}</m:oMath>"
            + raised("8")
        ),
        "6x 10^7+10^8",
    ),
    "an exponent behind one that is hidden": (
        line(run("10") + raised("z").replace("<w:vert", "<w:vanish/><w:vert") + raised("6")),
        "10^6",
    ),
    "runs in each other": (
        line(run("10") + f"<w:r>{RAISED}" * 100 + "<w:t>6</w:t>" + "</w:r>" * 100),
        "10^6",
    ),
    "squares of units, ends of ordinals and the mark of a note": (
        line(run("5 m") + raised("2") + run(", 1") + raised("st") + run(" rule") + raised("12")),
        "5 m2, 1st rule^12",
    ),
    "what is lowered, and a fraction in a line": (
        line(
            run("H")
            + lowered("2")
            + run("O 3")
            + raised("1")
            + run("/")
            + lowered("2")
            + run(" x")
            + lowered("1")
            + raised("2")
        ),
        "H2O 3 1/2 x1^2",
    ),
    "formulas": (
        line(
            run("3")
            + f"<m:oMath>{fraction('1', '2')}</m:oMath>"
            + run(" and ")
            + f"<m:oMath>{power('x', '2')}{maths('+')}{power('10', '-6')}</m:oMath>"
        ),
        "3 1/2 and x^2+10^-6",
    ),
    "parts of formulas that are more than one": (
        line(
            fraction("a+b", "2c")
            + run(" ")
            + power("x", "n+1")
            + run(" ")
            + f"<m:sSup><m:e><m:d><m:e>{maths('a+b')}</m:e></m:d></m:e>"
            f"<m:sup>{maths('2')}</m:sup></m:sSup>"
            + run(" ")
            + f"<m:rad><m:radPr/><m:deg/><m:e>{maths('x')}</m:e></m:rad>"
            + run(" ")
            + '<m:nary><m:naryPr><m:chr m:val="∑"/></m:naryPr>'
            f"<m:sub>{maths('i=1')}</m:sub><m:sup>{maths('n')}</m:sup><m:e>{maths('i')}</m:e></m:nary>"
            + run(" ")
            + f"<m:d><m:dPr><m:begChr m:val='['/><m:endChr m:val=']'/></m:dPr>"
            f"<m:e>{maths('1')}</m:e><m:e>{maths('2')}</m:e></m:d>"
        ),
        "(a+b)/2c x^(n+1) (a+b)^2 √x ∑i=1^n i [1|2]",
    ),
    "matrices": (
        line(f"<m:m><m:mr>{cells('1', '2')}</m:mr><m:mr>{cells('3', '4')}</m:mr></m:m>"),
        "1 2; 3 4",
    ),
    "formulas in each other": (
        line(
            "<m:f><m:num>" * 120 + maths("1") + f"</m:num><m:den>{maths('2')}</m:den></m:f>" * 120
        ),
        "(" * 119 + "1/2" + ")/2" * 119,
    ),
    "formulas right in each other": (line("<m:f>" * 248 + maths("1") + "</m:f>" * 248), "1"),
    "signs of the font Symbol and of a font of letters": (
        line(
            run("5 ")
            + symbol("F0B1")
            + run(" 1 ")
            + symbol("00A3")
            + symbol("F06D")
            + symbol("00B1", "Arial")
            + symbol("F0FE", "Wingdings")
            + symbol("none")
        ),
        "5 ± 1 ≤μ±",
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
