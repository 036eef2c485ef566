"""PDF, HTML and plain text: words neither run together nor fall apart, in whatever charset."""

from __future__ import annotations

import pytest
from tests.support import knowledge_files as files

from tenantry.adapters.extraction import html, pdf, plain
from tenantry.adapters.extraction.content_type import HTML, MARKDOWN, PDF, TEXT, resolve
from tenantry.domain.errors import BadRequest, Unreadable, UnsupportedMedia

LINES = {
    "inter-\nnational law": "international law",
    "inter\u00ad\nnational law": "international law",
    "inter\u2010\nnational law": "international law",
    "COVID-\n19": "COVID-19",
    "1990-\n2000": "1990-\n2000",
    "1990\u2010\n2000": "1990\u2010\n2000",
    "a dash -\nand more": "a dash -\nand more",
    "well-known\ncase": "well-known\ncase",
}


@pytest.mark.parametrize("lines", LINES)
def test_a_word_that_a_pdf_breaks_at_a_line_s_end_is_one_word(lines: str) -> None:
    assert pdf.to_text(files.pdf(lines)) == (LINES[lines], 1)


def test_no_control_character_of_a_pdf_reaches_its_text() -> None:
    assert pdf.to_text(files.pdf("a\x07b\x1bc\x02d\te\x0cf"))[0] == "abcd\te\nf"


def test_no_control_character_that_html_names_reaches_its_text() -> None:
    assert html.to_text(b"<p>a&#2;b&#27;c&#11;d\te", HTML) == "abc\nd e"


APART = {
    "<center>a</center><center>b</center>": "a\n\nb",
    "<fieldset><legend>a</legend>b</fieldset>": "a\n\nb",
    "<table><caption>a</caption><caption>b</caption></table>": "a\n\nb",
    "<hgroup>a</hgroup><search>b</search>c": "a\n\nb\n\nc",
    "<menu><li>a</menu><dir><li>b</dir>c": "a\n\nb\n\nc",
    "<select><option>a<option>b<optgroup><option>c</select>d": "a\nb\n\nc\n\nd",
    "a<title>b</title>c": "a\n\nb\n\nc",
    "<my-card>a</my-card><my-card>b</my-card>": "a\nb",
    "<my-card>a</my-card><!-- --><card>b</card><b>c</b>": "a\nb\nc",
}
TOGETHER = {
    "Price <my-sum>5</my-sum>.": "Price 5.",
    "<b>w</b><i>o</i>r<!-- -->d": "word",
    "<math><mi>x</mi><mo>=</mo><mn>1</mn></math>": "x=1",
}


@pytest.mark.parametrize("page", APART | TOGETHER)
def test_words_of_html_stand_apart_where_a_reader_sees_them_so(page: str) -> None:
    assert html.to_text(page.encode(), HTML) == (APART | TOGETHER)[page]


@pytest.mark.parametrize(
    "attribute",
    [
        "hidden",
        "hidden=hidden",
        "style='display:none'",
        "style='color: red; DISPLAY : None !important'",
        "style='display: block; display: none'",
    ],
)
def test_what_html_hides_is_left_out(attribute: str) -> None:
    page = f"<p>a<p {attribute}>gone <b>too</b></p><p>b <span {attribute}>gone</span>c"
    assert html.to_text(page.encode(), HTML) == "a\n\nb c"


@pytest.mark.parametrize(
    "attribute",
    ["hidden=until-found", "style='display: none; display: block'", "style='--my-display: none'"],
)
def test_what_html_shows_in_the_end_is_read(attribute: str) -> None:
    assert html.to_text(f"<p {attribute}>shown".encode(), HTML) == "shown"
    assert html.to_text(b"<body hidden style='display:none'>shown by a script", HTML) == (
        "shown by a script"
    )


WRITTEN = {
    "iso-8859-2": "Zażółć gęślą jaźń",
    "iso-8859-7": "αβγ",
    "iso-8859-15": "5 €",
    "iso-8859-16": "Ț 5 €",
    "windows-1250": "Příliš žluťoučký",
    "windows-1251": "Привет",
    "windows-1256": "مرحبا",
    "windows-874": "สวัสดี",
    "koi8-r": "Привет",
    "koi8-u": "Київ",
    "macintosh": "café – “x”",
    "shift_jis": "表と①",
    "euc-jp": "日本語",
    "euc-kr": "한국어 똠",
    "gb2312": "漢字 汉字",
    "gbk": "漢字",
    "gb18030": "汉字 𠀀",
    "big5": "漢字",
    "utf-16le": "é",
    "utf-16be": "é",
}
CODECS = {
    "windows-874": "cp874",
    "shift_jis": "cp932",
    "euc-kr": "cp949",
    "gb2312": "gb18030",
    "macintosh": "mac_roman",
}


@pytest.mark.parametrize("charset", WRITTEN)
def test_text_is_read_in_the_charset_that_it_states(charset: str) -> None:
    text = WRITTEN[charset]
    data = text.encode(CODECS.get(charset, charset))
    assert plain.decode(data, f"{TEXT}; charset={charset.upper()}") == text
    if not charset.startswith("utf-16"):
        page = f'<meta charset="{charset}"><p>'.encode() + data
        assert html.to_text(page, HTML) == text


@pytest.mark.parametrize(
    ("stated", "read"),
    [
        ("iso-8859-9", "\u201cş\u201d"),
        ("iso-8859-11", "\u201cก\u201d"),
        ("latin1", "\u201cþ\u201d"),
    ],
)
def test_a_label_means_what_browsers_take_it_for(stated: str, read: str) -> None:
    meant = {"iso-8859-9": "cp1254", "iso-8859-11": "cp874", "latin1": "cp1252"}[stated]
    assert plain.decode(read.encode(meant), f"{TEXT}; charset={stated}") == read


@pytest.mark.parametrize("codec", ["utf-8", "utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
def test_a_byte_order_mark_says_more_than_a_label(codec: str) -> None:
    assert plain.decode("\ufeffné".encode(codec), f"{TEXT}; charset=koi8-r") == "né"


@pytest.mark.parametrize(
    ("data", "charset", "words"),
    [
        (b"\x81\x20", "shift_jis", "not valid shift_jis"),
        (b"\xff\xff", "gb18030", "not valid gb18030"),
        (b"\x98", "windows-1251", "not valid windows-1251"),
        (b"x", "utf-16be", "not valid utf-16be"),
        (b"\xff\xfe\x00\x00\x00\x00\x11\x00", "", "not valid utf-32"),
        (b"x", "utf-32", "charset utf-32 is not supported"),
        (b"x", "utf-7", "charset utf-7 is not supported"),
        (b"x", "iso-2022-jp", "charset iso-2022-jp is not supported"),
        (b"x", "rot13", "charset rot13 is not supported"),
    ],
)
def test_what_is_not_in_its_charset_is_refused_by_name(
    data: bytes, charset: str, words: str
) -> None:
    with pytest.raises(Unreadable, match=words):
        plain.decode(data, f"{TEXT}; charset={charset}" if charset else TEXT)


@pytest.mark.parametrize("kind", [TEXT, MARKDOWN, HTML])
def test_text_that_begins_as_a_file_does_is_text(kind: str) -> None:
    for words in (b"%PDF-1.7 is how a PDF begins.", b"PK\x03\x04 is how an archive begins."):
        assert resolve(words, kind, "") == kind
        assert resolve(words, "", "notes.txt") == TEXT


@pytest.mark.parametrize("file", [files.pdf("x"), files.docx("x"), b"%PDF-1.7\n\x00"])
def test_a_file_that_is_declared_as_text_is_refused(file: bytes) -> None:
    with pytest.raises(UnsupportedMedia, match="binary"):
        resolve(file, TEXT, "")
    assert resolve(files.pdf("x"), "", "") == PDF


def test_a_nul_is_refused_in_every_charset() -> None:
    with pytest.raises(BadRequest, match="NUL"):
        plain.decode("a\0b".encode("utf-16-le"), f"{TEXT}; charset=utf-16le")
