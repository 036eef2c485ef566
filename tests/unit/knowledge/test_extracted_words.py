"""PDF, HTML and plain text: words neither run together nor fall apart, in whatever charset."""

from __future__ import annotations

import pytest
from tests.support import knowledge_files as files

from tenantry.adapters.extraction import html, pdf, plain
from tenantry.adapters.extraction.content_type import HTML, MARKDOWN, PDF, TEXT, resolve
from tenantry.domain.errors import BadRequest, Unreadable, UnsupportedMedia
from tenantry.domain.upload import upload_from_text

LINES = {
    "inter-\nnational law": "international law",
    "inter\u00ad\nnational law": "international law",
    "inter\u2010\nnational law": "international law",
    "COVID-\n19": "COVID-19",
    "1990-\n2000": "1990-\n2000",
    "1990\u2010\n2000": "1990\u2010\n2000",
    "a dash -\nand more": "a dash -\nand more",
    "well-known\ncase": "well-known\ncase",
    "inter-\nnational. New": "international. New",
    "(inter-\nnational)": "(international)",
    "Leutheusser-\nSchnarrenberger": "Leutheusser-Schnarrenberger",
    "ABC-\nD12": "ABC-D12",
    "WLAN-\nbox": "WLAN-box",
    "to max-\nmuster@example.com now": "to max-muster@example.com now",
    "https://example.com/a-\nb/c": "https://example.com/a-b/c",
    "asyncio.run-\nlater": "asyncio.run-later",
    "my_long-\nname": "my_long-name",
    "with --dry-\nrun": "with --dry-run",
    "Haupt-\nund Nebensatz": "Haupt- und Nebensatz",
    "pre- and post-\nor later": "pre- and post- or later",
    "Wall-\nunder": "Wallunder",
    "edit-\nor of": "editor of",
    "a vect-\nor": "a vector",
    "short-\nor long-term": "short- or long-term",
    "under-\nor overpaid": "under- or overpaid",
    "Ver-\ntrag/Abkommen": "Vertrag/Abkommen",
    "client/ser-\nver": "client/server",
    "CPU/GPU-Leis-\ntung": "CPU/GPU-Leistung",
    "e.g.the-\nory": "e.g.theory",
    "(z.B.die Leis-\ntung)": "(z.B.die Leistung)",
    "INFOR-\nMATION": "INFORMATION",
    "1. ALLGEMEINE INFOR-\nMATIONEN": "1. ALLGEMEINE INFORMATIONEN",
    "the REST-\nAPI of": "the REST-API of",
    "X-\nRAY": "X-RAY",
    "example.com/how-\nto": "example.com/how-to",
    "/srv/my-\nfiles": "/srv/my-files",
    "docs/my-\nfiles/a": "docs/my-files/a",
}


@pytest.mark.parametrize("lines", LINES)
def test_a_word_that_a_pdf_breaks_at_a_line_s_end_is_one_word(lines: str) -> None:
    assert pdf.to_text(files.pdf(lines)) == (LINES[lines], (1, 0))


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
    "Donau&shy;dampf&shy;schiff": "Donaudampfschiff",
    "10<sup>6</sup> or 10<sup> <i>-6</i></sup>": "10^6 or 10^-6",
    "10<sup>\u22126</sup>, 2<sup>n</sup>, (a+b)<sup>2</sup>": "10^\u22126, 2^n, (a+b)^2",
    "m s<sup>-1</sup>, 5 m<sup>2</sup>, 8 km<sup>3</sup>": "m s^-1, 5 m2, 8 km3",
    "W/m<sup>2</sup>, m/s<sup>2</sup>, 5 in<sup>2</sup>, 5<i>ft</i><sup>3</sup>": (
        "W/m2, m/s2, 5 in2, 5ft3"
    ),
    "it<sup>2</sup> is, Nr<sup>3</sup>, x<sup>2</sup>": "it^2 is, Nr^3, x^2",
    "set in<sup>2</sup> a firm's<sup>3</sup> item<sup>2</sup>": "set in^2 a firm's^3 item^2",
    "m<sup>4</sup>, cm<sup>2</sup>": "m^4, cm2",
    "the 1<sup>st</sup>, le 2<sup>e</sup>, no. 3<sup>rd</sup>": "the 1st, le 2e, no. 3rd",
    "2<sup>nd</sup>, 1<sup>er</sup>, 4<sup>th</sup>, n<sup>o</sup> 3<sup>a</sup>": (
        "2nd, 1er, 4th, no 3a"
    ),
    "a rule<sup>1</sup> of 2019<sup><a href=#n>2</a></sup>.<sup>3</sup>": "a rule^1 of 2019^2.^3",
    "do it<a href=#n><sup>2</sup></a> now<sup>[4]</sup>": "do it^2 now[4]",
    "3<sup>1</sup>/<sub>2</sub> H<sub>2</sub>O": "3 1/2 H2O",
    "<p>5<p><sup>1</sup> A note": "5\n\n1 A note",
    "<math><mn>10</mn><msup><mn>10</mn> <mrow><mo>-</mo><mn>6</mn></mrow></msup></math>": "1010^-6",
    "<math><mn>3</mn><mfrac><mn>1</mn><!-- --><mn>2</mn></mfrac></math>": "3 1/2",
    "<math><msubsup><mi>x</mi><mn>1</mn><mn>2</mn></msubsup></math>": "x1^2",
    "Price <my-sum>5</my-sum>.": "Price 5.",
    "<b>w</b><i>o</i>r<!-- -->d": "word",
    "<math><mi>x</mi><mo>=</mo><mn>1</mn></math>": "x=1",
}


@pytest.mark.parametrize("page", APART | TOGETHER)
def test_words_of_html_stand_apart_where_a_reader_sees_them_so(page: str) -> None:
    assert html.to_text(page.encode(), HTML) == (APART | TOGETHER)[page]


KATEX = (
    "<span class=katex><span class=katex-mathml><math><semantics><msup><mi>x</mi><mn>2</mn></msup>"
    "<annotation encoding='application/x-tex'>x^{2}</annotation></semantics></math></span>"
    "<span class=katex-html aria-hidden=true><span>x</span><span>2</span></span></span>"
)
UNSEEN = {
    "<p>a<dialog><p>Accept?</dialog>b": "a\n\nb",
    "<p>a<dialog open>shown</dialog>b": "a\n\nshown\n\nb",
    "a<datalist><option value=x>x</datalist>b": "ab",
    "a<audio>no audio</audio> <video>no video</video><canvas>no canvas</canvas>b": "a b",
    "a<noframes>no frames</noframes>b": "ab",
    "<math><semantics><mi>E</mi><annotation-xml><ci>E</ci></annotation-xml></semantics></math>": (
        "E"
    ),
    f"is {KATEX}.": "is x^2.",
    "<mjx-math aria-hidden=true>x</mjx-math><span><math><mi>x</mi></math></span>": "x",
    "<b class=MathJax><nobr aria-hidden=true>x</nobr>\n<i> <math><mi>x</mi></math> </i></b>": "x",
    "<b aria-hidden=true>icon</b> text": "icon text",
    "<math><mi>x</mi></math><span aria-hidden=true> is a word</span>": "x is a word",
    "<li><math><mi>x</mi></math><li aria-hidden=true>item": "x\nitem",
    "<p class=MathJax><math><mi>x</mi></math><p class=katex aria-hidden=true>5 %": "x\n\n5 %",
    "<b class=katex aria-hidden=true>a</b><i><math><mi>x</mi></math> b</i>": "ax b",
}


@pytest.mark.parametrize("page", UNSEEN)
def test_what_no_reader_of_html_sees_is_left_out(page: str) -> None:
    assert html.to_text(page.encode(), HTML) == UNSEEN[page]


@pytest.mark.parametrize(
    "attribute",
    [
        "hidden",
        "hidden=hidden",
        "style='display:none'",
        "style='color: red; DISPLAY : None !important'",
        "style='display: block; display: none'",
        "style='display: none !important; display: block'",
        "style=\"background: url('a;b'); display: none\"",
        "style='/* ; */ display /* : */ : none /* why */'",
        "style='display: none; display: (none'",
        "style='display:none;display:foo bar'",
        "style='display: none; display: block none'",
        "style='display: none; display: inline block'",
        "style='display: none; display: list-item flex'",
    ],
)
def test_what_html_hides_is_left_out(attribute: str) -> None:
    page = f"<p>a<p {attribute}>gone <b>too</b></p><p>b <span {attribute}>gone</span>c"
    assert html.to_text(page.encode(), HTML) == "a\n\nb c"


@pytest.mark.parametrize(
    "attribute",
    [
        "hidden=until-found",
        "style='display: none; display: block'",
        "style='display: none; display: inline flow-root'",
        "style='display: none; display: flow block list-item'",
        "style='display: none; display: -webkit-box'",
        "style='display: none; display: -ms-flexbox'",
        "style='display: none; display: revert-layer'",
        "style='--my-display: none'",
        "style=\"background:url('a;display:none')\"",
        "style='background: URL(a;display:none)'",
        'style=\'content: "\\";display:none"\'',
        "style='/*;display:none*/ color: red'",
        "style='color: red; /* display: none'",
        "style='--x: {a; display: none; b}'",
        "style='display: block !important; display: none'",
        "style='display:'",
    ],
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
    ("head", "read"),
    [
        ("<!-- <meta charset=koi8-r> --><meta charset=windows-1251>", "О"),
        ("<!--><meta charset=koi8-r><!-- -->", "н"),
        ("<!-- <meta charset=koi8-r>", None),
        ("<?php <meta charset=koi8-r> ?>", None),
        ("<meta name=description content='charset=koi8-r'>", None),
        ("<a title='<meta charset=koi8-r>'>", None),
        ("</meta charset=koi8-r>", None),
        ("<metadata charset=koi8-r>", None),
        ("<META/data-x='>' CharSet = 'KOI8-R'>", "н"),
        ("<meta content='text/html; charset=koi8-r' http-equiv=Content-Type>", "н"),
        ("<meta http-equiv=content-type content=text/html><meta charset=koi8-r>", "н"),
        ("<meta charset=koi8-r/>", "н"),
        ("<meta charset=' koi8-r; '>", "н"),
        ("<meta http-equiv=Content-Type content=text/html;charset=koi8-r/>", "н"),
        ("<meta http-equiv=content-type content=\"text/html; charset='koi8-r'\">", "н"),
        ("<meta http-equiv=content-type content='text/html; charset=\"koi8-r\"'>", "н"),
        ("<meta http-equiv=content-type content='charset=\"koi8-r'>", None),
        ("<meta charset=\"'koi8-r'\">", None),
        ("<meta charset=klingon>", None),
        ("<meta charset=klingon><meta charset=koi8-r>", "н"),
        ("<meta charset><meta charset=koi8-r>", "н"),
        ("<?xml version='1.0' encoding='KOI8-R'?>", "н"),
        ('<?xml version="1.0" encoding = "koi8-r" standalone="yes"?><!DOCTYPE html>', "н"),
        ("<?xml encoding='windows-1251'?><meta charset=koi8-r>", "н"),
        ("<?xml version='1.0'?><!-- encoding='koi8-r' -->", None),
        ("<?xml encoding=koi8-r?>", None),
        ("<?xml encoding='koi8-r", None),
        ("<?xml encoding='klingon'?>", None),
        (" <?xml encoding='koi8-r'?>", None),
    ],
)
def test_a_page_s_charset_is_what_browsers_read_there(head: str, read: str | None) -> None:
    page = f"{head}<!-- --><p>".encode() + b"\xce"
    if read is None:
        with pytest.raises(Unreadable, match="not valid utf-8"):
            html.to_text(page, HTML)
    else:
        assert html.to_text(page, HTML) == read


@pytest.mark.parametrize("charset", ["iso-2022-jp", "hz-gb-2312", "x-user-defined"])
def test_a_page_in_a_charset_that_browsers_know_and_that_is_not_taken_is_refused(
    charset: str,
) -> None:
    with pytest.raises(Unreadable, match=f"charset {charset} is not supported"):
        html.to_text(f"<meta charset={charset}><meta charset=utf-8><p>a".encode(), HTML)


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


@pytest.mark.parametrize(
    ("data", "stated", "read"),
    [
        (b"\x93a\x81\x8d\x94", "windows-1252", "\u201ca\x81\x8d\u201d"),
        (b"\x98", "windows-1251", "\x98"),
        (b"\xca\x81", "windows-1255", "\u05ba\x81"),
        (b"\xae\xbe\xb4", "koi8-u", "ўЎЄ"),
        (b"5 \x80, \xba\xba \x81\x80", "gbk", "5 €, 汉 亐"),
        (b"5 \x80", "gb18030", "5 €"),
        (b"\xe1", "iso-ir-101", "á"),
        (b"\xe1", "ISO_8859-7:1987", "α"),
        (b"\xe9", "cp819", "é"),
        (b"\x8e", "csMacintosh", "é"),
        (b"\xba\xba", "csGB2312", "汉"),
        (b"a\0", "unicodeFEFF", "a"),
    ],
)
def test_bytes_mean_what_browsers_take_them_for(data: bytes, stated: str, read: str) -> None:
    assert plain.decode(data, f"{TEXT}; charset={stated}") == read


@pytest.mark.parametrize("codec", ["utf-8", "utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
def test_a_byte_order_mark_says_more_than_a_label(codec: str) -> None:
    assert plain.decode("\ufeffné".encode(codec), f"{TEXT}; charset=koi8-r") == "né"


@pytest.mark.parametrize(
    ("data", "charset", "words"),
    [
        (b"\x81\x20", "shift_jis", "not valid shift_jis"),
        (b"\xff\xff", "gb18030", "not valid gb18030"),
        (b"\xaa", "windows-1253", "not valid windows-1253"),
        (b"a\x80\xff", "gbk", "not valid gbk"),
        (b"\x80", "euc-kr", "not valid euc-kr"),
        (b"x", "utf-16be", "not valid utf-16be"),
        (b"\xff\xfe\x00\x00\x00\x00\x11\x00", "", "not valid utf-32"),
        (b"x", "utf-32", "charset utf-32 is not supported"),
        (b"x", "utf-7", "charset utf-7 is not supported"),
        (b"x", "iso-2022-jp", "charset iso-2022-jp is not supported"),
        (b"x", "hz-gb-2312", "charset hz-gb-2312 is not supported"),
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


@pytest.mark.parametrize("declared", ["", "application/octet-stream", "application/rtf"])
def test_rtf_is_refused_by_its_first_bytes(declared: str) -> None:
    rtf = rb"{\rtf1\ansi Notice is ninety days.}"
    with pytest.raises(UnsupportedMedia, match="application/rtf is not supported"):
        resolve(rtf, declared, "a.rtf" if declared else "")
    assert resolve(rtf, TEXT, "") == TEXT


def test_a_string_of_json_is_text_whatever_it_says() -> None:
    text = "%PDF-1.4 is how a PDF starts. startxref 12 %%EOF ends it"
    upload = upload_from_text({"title": "j", "text": text})
    assert resolve(upload.data, upload.card.content_type, upload.card.file_name) == TEXT
    with pytest.raises(UnsupportedMedia, match="binary"):
        resolve(upload.data, upload.card.content_type, "a.txt")


def test_a_nul_is_refused_in_every_charset() -> None:
    with pytest.raises(BadRequest, match="NUL"):
        plain.decode("a\0b".encode("utf-16-le"), f"{TEXT}; charset=utf-16le")
