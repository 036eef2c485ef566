"""DOCX to text: what its styles hide, the numbers of its lists, and files within it."""

from __future__ import annotations

import io
import zipfile

import pytest
from tests.support import knowledge_files as files

from tenantry.adapters.extraction import docx
from tenantry.adapters.extraction.content_type import DOCX
from tenantry.domain.errors import Unreadable

OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
SPACES = (
    'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main" '
    'xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006"'
)
HIDDEN = "<w:rPr><w:vanish/></w:rPr>"


def run(text: str, settings: str = "") -> str:
    return f'<w:r><w:rPr>{settings}</w:rPr><w:t xml:space="preserve">{text}</w:t></w:r>'


def line(text: str, settings: str = "", mark: str = "") -> str:
    """A paragraph; `text` may be runs."""
    inner = text if text.startswith("<") or not text else run(text)
    return f"<w:p><w:pPr>{settings}<w:rPr>{mark}</w:rPr></w:pPr>{inner}</w:p>"


def styled(name: str) -> str:
    return f'<w:pStyle w:val="{name}"/>'


def listed(number: int, level: int = 0) -> str:
    return f'<w:numPr><w:ilvl w:val="{level}"/><w:numId w:val="{number}"/></w:numPr>'


def style(name: str, inner: str, kind: str = "paragraph", on: str = "", default: str = "") -> str:
    based = f'<w:basedOn w:val="{on}"/>' if on else ""
    return f'<w:style w:type="{kind}" w:styleId="{name}" {default}>{based}{inner}</w:style>'


def level(place: int, format: str, text: str, more: str = "") -> str:
    return (
        f'<w:lvl w:ilvl="{place}"><w:start w:val="1"/><w:numFmt w:val="{format}"/>{more}'
        f'<w:lvlText w:val="{text}"/></w:lvl>'
    )


def kinds(*inner: str) -> str:
    """One kind of list each, and a list of each; both are numbered from 1."""
    numbers = range(1, len(inner) + 1)
    return "".join(
        f'<w:abstractNum w:abstractNumId="{number}">{one}</w:abstractNum>'
        for number, one in zip(numbers, inner, strict=True)
    ) + "".join(
        f'<w:num w:numId="{number}"><w:abstractNumId w:val="{number}"/></w:num>'
        for number in numbers
    )


def file_of(
    body: str,
    *,
    styles: str = "",
    numbering: str = "",
    chunk: tuple[str, bytes] | None = None,
    comment: str = "",
) -> bytes:
    """A DOCX of a body, with styles, kinds of lists, and a file of a type within it; `comment`
    stands before its type."""
    with zipfile.ZipFile(io.BytesIO(files.docx_of(body))) as source:
        parts = {name: source.read(name) for name in source.namelist()}
    relations = ""
    for name, inner in (("styles", styles), ("numbering", numbering)):
        if inner:
            parts[f"word/{name}.xml"] = f"<w:{name} {SPACES}>{inner}</w:{name}>".encode()
            relations += f'<Relationship Id="{name}" Type="{OFFICE}/{name}" Target="{name}.xml"/>'
    if chunk is not None:
        parts["word/chunk.dat"] = chunk[1]
        relations += (
            f'<Relationship Id="chunk" Type="{OFFICE}/aFChunk" Target="chunk.dat"/>'
            f'<Relationship Id="out" Type="{OFFICE}/aFChunk" Target="file:///etc/passwd" '
            'TargetMode="External"/>'
        )
        types = parts["[Content_Types].xml"].decode()
        told = f'{comment}<Default Extension="DAT" ContentType="{chunk[0]}"/></Types>'
        parts["[Content_Types].xml"] = types.replace("</Types>", told).encode()
    package = "http://schemas.openxmlformats.org/package/2006/relationships"
    parts["word/_rels/document.xml.rels"] = (
        f'<Relationships xmlns="{package}">{relations}</Relationships>'.encode()
    )
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in parts.items():
            archive.writestr(name, data)
    return out.getvalue()


STYLES = (
    style("Secret", HIDDEN, "character")
    + style("Deeper", "", "character", on="Secret")
    + style("Shown", '<w:rPr><w:vanish w:val="0"/></w:rPr>', "character", on="Deeper")
    + style("Gone", HIDDEN)
    + style("GoneToo", "", on="Gone")
    + style("A", "", on="B")
    + style("B", "", on="A")
)
IN_STYLES = {
    "a style of characters": (line(run("a") + run("x", '<w:rStyle w:val="Secret"/>')), "a"),
    "a style on another": (line(run("a") + run("x", '<w:rStyle w:val="Deeper"/>')), "a"),
    "a style that shows again": (line(run("a") + run("b", '<w:rStyle w:val="Shown"/>')), "ab"),
    "text that is shown itself": (
        line(run("a") + run("b", '<w:rStyle w:val="Secret"/><w:vanish w:val="0"/>')),
        "ab",
    ),
    "a style of paragraphs": (line("a") + line("x", styled("Gone")) + line("b"), "a\nb"),
    "one on another": (line("a") + line("x", styled("GoneToo")) + line("b"), "a\nb"),
    "one of both, of which two show": (
        line(run("a", '<w:rStyle w:val="Secret"/>') + run("x"), styled("Gone")),
        "a",
    ),
    "styles on each other": (line("a", styled("A")), "a"),
    "a style that is not there": (line("a", styled("None")), "a"),
}


@pytest.mark.parametrize("what", IN_STYLES)
def test_what_a_style_hides_is_left_out(what: str) -> None:
    body, text = IN_STYLES[what]
    assert docx.to_text(file_of(body, styles=STYLES)) == text


def test_what_all_text_is_by_default_holds_for_all() -> None:
    defaults = f"<w:docDefaults><w:rPrDefault>{HIDDEN}</w:rPrDefault></w:docDefaults>"
    body = line(run("x") + run("a", '<w:vanish w:val="0"/>'))
    assert docx.to_text(file_of(body, styles=defaults)) == "a"
    normal = style("Normal", HIDDEN, default='w:default="1"')
    assert docx.to_text(file_of(body, styles=normal)) == "a"


CLAUSES = (
    level(0, "decimal", "%1.") + level(1, "lowerLetter", "(%2)") + level(2, "decimal", "%1.%3")
)
LISTS = kinds(
    CLAUSES,
    level(0, "bullet", "\uf0b7"),
    level(0, "upperRoman", "Article %1", '<w:pStyle w:val="Article"/>')
    + level(1, "decimal", "%1.%2", '<w:pStyle w:val="Section"/><w:isLgl/>'),
    level(0, "ordinal", "%1") + level(1, "decimalZero", "%2)") + level(2, "upperLetter", "%3"),
) + (
    '<w:num w:numId="5"><w:abstractNumId w:val="1"/><w:lvlOverride w:ilvl="0"><w:startOverride '
    'w:val="7"/></w:lvlOverride></w:num><w:num w:numId="6"><w:abstractNumId w:val="1"/></w:num>'
)
NUMBERED = {
    "a list": (line("First", listed(1)) + line("Second", listed(1)), "1. First\n2. Second"),
    "a list in a list": (
        line("a", listed(1))
        + line("b", listed(1, 1))
        + line("c", listed(1, 1))
        + line("d", listed(1, 2))
        + line("e", listed(1))
        + line("f", listed(1, 1)),
        "1. a\n(a) b\n(b) c\n1.1 d\n2. e\n(a) f",
    ),
    "text between": (
        line("a", listed(1)) + line("text") + line("b", listed(6)),
        "1. a\ntext\n2. b",
    ),
    "a list that starts anew": (
        line("a", listed(1)) + line("b", listed(5)) + line("c", listed(5)),
        "1. a\n7. b\n8. c",
    ),
    "bullets and none": (
        line("a", listed(2))
        + line("b", listed(0))
        + line("c", listed(99))
        + line("d", listed(1, 9)),
        "a\nb\nc\nd",
    ),
    "headings": (
        line("Term", styled("Article"))
        + line("Notice", styled("Section"))
        + line("Pay", styled("Deep")),
        "Article I Term\n1.1 Notice\nArticle II Pay",
    ),
    "a heading without its number": (line("a", styled("Article") + listed(0)), "a"),
    "other numbers": (
        line("a", listed(4)) + line("b", listed(4, 1)) + line("c", listed(4, 2)),
        "1st a\n01) b\nA c",
    ),
    "a deleted item": (
        line("a", listed(1))
        + line("", listed(1), '<w:del w:id="1" w:author="a"/>')
        + line("b", listed(1)),
        "1. a\n2. b",
    ),
    "a hidden end": (
        line("Title.", listed(1), "<w:vanish/>") + line(" Text") + line("b", listed(1)),
        "1. Title. Text\n2. b",
    ),
    "a hidden item": (
        line("a", listed(1))
        + line(run("x", "<w:vanish/>"), listed(1), "<w:vanish/>")
        + line("b", listed(1)),
        "1. a\n2. b",
    ),
}


@pytest.mark.parametrize("what", NUMBERED)
def test_numbers_that_word_writes_are_read(what: str) -> None:
    body, text = NUMBERED[what]
    styles = (
        style("Article", f"<w:pPr>{listed(3)}</w:pPr>")
        + style("Section", "<w:pPr><w:numPr><w:numId w:val='3'/></w:numPr></w:pPr>")
        + style("Deep", "", on="Article")
    )
    assert docx.to_text(file_of(body, styles=styles, numbering=LISTS)) == text


def test_numbers_without_end_are_bounded() -> None:
    far = '<w:lvlOverride w:ilvl="0"><w:startOverride w:val="2000000000"/></w:lvlOverride>'
    lists = kinds(level(0, "lowerLetter", "%1" * 5_000)).replace("</w:num>", f"{far}</w:num>")
    text = docx.to_text(file_of(line("a", listed(1)), numbering=lists))
    assert text == f"{'2000000000' * 50} a"


def test_a_list_by_the_style_of_another() -> None:
    lists = kinds(CLAUSES, '<w:numStyleLink w:val="Clauses"/>')
    styles = style("Clauses", f"<w:pPr>{listed(1)}</w:pPr>", "numbering")
    body = line("a", listed(2)) + line("b", listed(2, 1))
    assert docx.to_text(file_of(body, styles=styles, numbering=lists)) == "1. a\n(a) b"


@pytest.mark.parametrize("wrong", ["one", "1.0", "", "9" * 5_000, "9" * 4_300])
def test_a_number_that_cannot_be_read_counts_as_absent(wrong: str) -> None:
    """It was the whole file that could not be read."""
    of = f'w:val="{wrong}"'
    override = f"<w:startOverride {of}/></w:lvlOverride>"
    overrides = "".join(f'<w:lvlOverride w:ilvl="{at}">{override}' for at in (wrong, "0"))
    lists = kinds(
        f'<w:lvl w:ilvl="{wrong}"><w:start {of}/><w:lvlRestart {of}/><w:lvlText w:val="%1."/>'
        "</w:lvl>"
    ).replace("</w:num>", f"{overrides}</w:num>", 1)
    own = f"<w:numPr><w:ilvl {of}/><w:numId w:val='1'/></w:numPr>"
    styles = style("Listed", f"<w:pPr>{own}</w:pPr>")
    body = line("a", own) + line("b", styled("Listed")) + line("c", listed(1))
    table = f"<w:tbl><w:tr><w:trPr><w:gridBefore {of}/></w:trPr><w:tc><w:tcPr><w:gridSpan {of}/>"
    table += f"</w:tcPr>{line('d')}</w:tc></w:tr></w:tbl>"
    read = docx.to_text(file_of(body + table, styles=styles, numbering=lists))
    assert read == "0. a\n1. b\n2. c\nd"


CHUNK = f'<w:altChunk r:id="chunk" xmlns:r="{OFFICE}"/>'


@pytest.mark.parametrize(
    ("kind", "data", "read"),
    [
        ("text/html", b"<p>in <b>HTML</b>", "in HTML"),
        ("application/xhtml+xml", b"<p>in</p><script/><p>XHTML</p>", "in\n\nXHTML"),
        ("text/plain", b"in text", "in text"),
        (DOCX, files.docx("in", "a DOCX"), "in\na DOCX"),
    ],
)
def test_files_within_a_docx_are_read(kind: str, data: bytes, read: str) -> None:
    file = file_of(line("before") + CHUNK + line("after"), chunk=(kind, data))
    assert docx.to_text(file) == f"before\n{read}\nafter"
    told = file_of(CHUNK, chunk=(kind, data), comment="<!-- types --><?a b?>")
    assert docx.to_text(told) == read
    outside = file_of(line("a") + CHUNK.replace('"chunk"', '"out"'), chunk=(kind, data))
    assert docx.to_text(outside) == "a"


def test_files_within_a_docx_that_are_not_read_are_told_of() -> None:
    with pytest.raises(Unreadable, match="type application/rtf that Word has not taken in"):
        docx.to_text(file_of(line("a") + CHUNK, chunk=("application/rtf", b"{\\rtf1 a}")))
    innermost = file_of(CHUNK, chunk=("text/plain", b"a"))
    inner = file_of(CHUNK, chunk=(DOCX, innermost))
    assert docx.to_text(inner) == "a"
    with pytest.raises(Unreadable, match="has not taken in"):
        docx.to_text(file_of(CHUNK, chunk=(DOCX, inner)))


DRAWN = 'xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main"'
DROP_DOWN = (
    '<w:r><w:fldChar w:fldCharType="begin"><w:ffData><w:ddList>%s<w:listEntry w:val="thirty"/>'
    '<w:listEntry w:val="ninety"/></w:ddList></w:ffData></w:fldChar></w:r>'
)
SEEN = {
    "emoji": (
        "<w:r><mc:AlternateContent><mc:Choice Requires='w16se'><x:symEx xmlns:x='urn:x' "
        "x:char='1F60A'/></mc:Choice><mc:Fallback><w:t>\U0001f60a</w:t></mc:Fallback>"
        "</mc:AlternateContent></w:r>",
        "\U0001f60a",
    ),
    "one of several choices": (
        f"<mc:AlternateContent><mc:Choice>{run('a')}</mc:Choice><mc:Choice>{run('x')}</mc:Choice>"
        f"<mc:Fallback>{run('y')}</mc:Fallback></mc:AlternateContent>",
        "a",
    ),
    "a choice of a list": (DROP_DOWN % '<w:result w:val="1"/>', "ninety"),
    "a choice by default": (DROP_DOWN % '<w:default w:val="1"/>', "ninety"),
    "the first choice": (DROP_DOWN % "", "thirty"),
    "no choice of the list": (run("a") + DROP_DOWN % '<w:result w:val="9"/>', "a"),
    "what is drawn": (
        f"<w:r><w:drawing><a:txBody {DRAWN}><a:bodyPr/><a:p><a:r><a:t>drawn</a:t></a:r><a:br/>"
        "<a:r><a:t>twice</a:t></a:r></a:p><a:p><a:r><a:t>more</a:t></a:r></a:p></a:txBody>"
        "</w:drawing></w:r>",
        "\ndrawn\ntwice\nmore",
    ),
}


@pytest.mark.parametrize("what", SEEN)
def test_what_a_reader_of_a_docx_sees_is_read(what: str) -> None:
    inner, text = SEEN[what]
    assert docx.to_text(file_of(f"<w:p>{inner}</w:p>")) == text.strip()


@pytest.mark.parametrize("name", ["styles", "numbering"])
def test_a_doctype_in_any_part_is_refused(name: str) -> None:
    file = file_of(line("a"), styles=STYLES, numbering=LISTS)
    with zipfile.ZipFile(io.BytesIO(file)) as source:
        parts = {one: source.read(one).decode() for one in source.namelist()}
    parts[f"word/{name}.xml"] = f"<!DOCTYPE x>{parts[f'word/{name}.xml']}"
    with pytest.raises(Unreadable, match="holds a DOCTYPE"):
        docx.to_text(files.archive(**parts))
