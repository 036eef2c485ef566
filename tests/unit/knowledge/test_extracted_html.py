"""HTML to text: XHTML, and what a reader sees in pictures, in fallbacks and beside words."""

from __future__ import annotations

import asyncio

import pytest

from tenantry.adapters.extraction import html
from tenantry.adapters.extraction.content_type import HTML, XHTML
from tenantry.adapters.extraction.extractor import FileExtractor

PAGE = (
    '<html xmlns="http://www.w3.org/1999/xhtml"><head><title>T</title></head><body>'
    "<p>Alpaca intro</p>%s<p>Cancellation needs ninety days</p></body></html>"
)
READ = "Alpaca intro\n\n%sCancellation needs ninety days"
XML = '<?xml version="1.0"?>'
EMPTY = {
    '<script src="a.js"/>': "",
    "<script src='a>b.js' />": "",
    "<title/>": "",
    '<div hidden="hidden"/>': "",
    '<iframe src="a/b"/>': "",
    "<textarea/><object/><style/><NOSCRIPT/>": "",
    '<hr/><a id="x"/>': "",
    "<p>one<br/>two</p>": "one\ntwo\n\n",
    "<p><![CDATA[5 < 6 & <b>]]></p>": "5 < 6 & <b>\n\n",
    "<script>//<![CDATA[\nif (a < b) say('</script>');\n//]]></script>": "",
    "<!-- <div/> <![CDATA[ -->": "",
    "<?print a > b ?>": "",
    "<svg><path d='M0 0'/></svg>": "",
    "<p>5 &lt; 6</p>": "5 < 6\n\n",
}


@pytest.mark.parametrize("inner", EMPTY)
def test_xhtml_is_read_beyond_what_it_closes_in_one_tag(inner: str) -> None:
    page, text = PAGE % inner, READ % EMPTY[inner]
    assert html.to_text(page.encode(), XHTML) == text
    assert html.to_text((XML + page).encode(), HTML) == text


@pytest.mark.parametrize(
    ("declared", "name"),
    [
        ("application/octet-stream", "a.xhtml"),
        ("", "a.XHT"),
        ("text/html; charset=utf-8", "a.xhtml"),
        ("Application/XHTML+XML; charset=utf-8", ""),
    ],
)
def test_a_page_is_xhtml_by_its_type_or_its_name(declared: str, name: str) -> None:
    page = (PAGE % '<script src="a.js"/>caf\u00e9').encode()
    found = asyncio.run(FileExtractor().extract(page, declared, name))
    assert (found.text, found.content_type) == (READ % "caf\u00e9\n\n", HTML)


def test_html_is_read_as_browsers_read_it() -> None:
    """In HTML a slash at a tag's end says nothing."""
    assert html.to_text(b"<p>a<div hidden />b</div>c", HTML) == "a\n\nc"


WORD = '<?xml:namespace prefix = o ns = "urn:schemas-microsoft-com:office:office" />'
NO_XML = {
    f"{WORD}<p>The zebra valve opens.</p>": "The zebra valve opens.\n\n",
    '<p>1</p><?import namespace="t" implementation="#x"><p>2</p>': "1\n\n2\n\n",
    "<p>1<?php</p><p>2 <br/></p><textarea/>": "1\n\n2\n\n",
    '<script>if(a<b&&c>d){x="<?"}</script><p>rest</p>': "rest\n\n",
    '<script type="a/b">var x="<!--"; </SCRIPT><p>two <br/></p><textarea/><p>three</p>': (
        "two\n\nthree\n\n"
    ),
    "<style>/* <!-- <? */</style ><title/><p>a</p>": "a\n\n",
    "<textarea>a <? <!-- b</textarea><iframe/>": "a <? <!-- b\n\n",
    "<p>a</p><!--><title/><p>b</p>": "a\n\nb\n\n",
    "<script>'<![CDATA['</script><p>a</p><script>//<![CDATA[\n'</script>' //]]></script>": "a\n\n",
}


@pytest.mark.parametrize("inner", NO_XML)
def test_no_text_goes_of_a_page_that_only_begins_as_xml(inner: str) -> None:
    """Only what is told and quoted as XML has it is XML's; else it ends as in HTML."""
    read = html.to_text((XML + PAGE % inner).encode(), HTML)
    assert " ".join(read.split()) == " ".join((READ % NO_XML[inner]).split())


def test_what_begins_with_another_word_than_xml_is_no_xhtml() -> None:
    assert html.to_text(f"{WORD}<p>Pasted from<div/>Word.</p>".encode(), HTML) == (
        "Pasted from\n\nWord."
    )
    assert html.to_text(b"<?xml\n?><p>a</p><title/><p>b</p>", HTML) == "a\n\nb"


@pytest.mark.parametrize("part", ["<script>", "<script><![CDATA[", "<title></title ", "<?a", "<?>"])
def test_xhtml_that_ends_nothing_is_read_in_one_pass(part: str) -> None:
    html.to_text(f"<p>seen</p>{part * 200_000}".encode(), XHTML)


@pytest.mark.parametrize("part", ["<!--", "<![CDATA[", "<?", '<a "', "<a '", "<a /", "<a ", "<"])
def test_xhtml_that_is_no_xml_is_read_in_one_pass(part: str) -> None:
    page = f"<p>seen</p>{part * 200_000}"
    assert html.to_text(page.encode(), XHTML).startswith("seen")


SEEN = {
    "a <svg><title>icon</title><path d='M0'/></svg>b": "a b",
    "<p>a</p><svg><title>x</title><desc>x</desc><g><text>Q1 <tspan>up</tspan></text></g>"
    "<text x=1>Q2</text><defs><text>x</text></defs><metadata>x</metadata><style>x</style></svg>b": (
        "a\n\nQ1 up\nQ2\nb"
    ),
    "<svg><text><tspan x=1>one</tspan><tspan x=1 dy=9>two</tspan></text></svg>": "one\ntwo",
    "<svg><text>y<tspan>1</tspan></text></svg>": "y1",
    "<svg><foreignObject><div>in a <b>box</b></div></foreignObject></svg>": "in a box",
    "<svg><g hidden><text>x</text></g><g display=none><text>x</text></g></svg>a": "a",
    "<svg><switch><foreignObject>label</foreignObject><text>label</text></switch></svg>": "label",
    "<object>instead</object>": "instead",
    "a <object data=a.pdf><p>x</object>b": "a b",
    "a<noscript>x</noscript>b": "ab",
    "<my-box><template shadowrootmode=open><p>inner<i hidden>x</i></p></template>light</my-box>": (
        "inner\n\nlight"
    ),
    "<b><template shadowrootmode=closed><i><template shadowrootmode=open>deep</template></i>"
    "</template></b>": "deep",
    "a<template><p>x</template>b": "ab",
    "<ruby>\u6f22<rp>(</rp><rt>\u304b</rt><rp>)</rp>\u5b57<rt>\u3058</ruby>\u3067\u3059": (
        "\u6f22\u5b57\u3067\u3059"
    ),
    "<ruby><rb>\u6f22<rb>\u5b57<rtc><rt>\u304b\u3093<rt>\u3058</rtc></ruby>": "\u6f22\u5b57",
}


@pytest.mark.parametrize("page", SEEN)
def test_what_a_reader_sees_is_read_and_no_more(page: str) -> None:
    assert html.to_text(page.encode(), HTML) == SEEN[page]


LISTS = {
    "<ol><li>a<li>b</ol>c": "1. a\n2. b\n\nc",
    "<ol><li><p>a</p><p>b</p></li><li> <h2>c</h2></ol>": "1. a\n\nb\n\n2. c",
    "<ol start=5><li>a<li value=9>b<li>c</ol>": "5. a\n9. b\n10. c",
    "<ol reversed><li>a<li hidden>x<li>b</ol>": "2. a\n1. b",
    "<ol type=a start=26><li>a<li type=I>b<li>c</ol>": "z. a\nXXVII. b\nab. c",
    "<ol><li>a<ol type=i><li>b<li>c</ol><li>d</ol>": "1. a\n\ni. b\nii. c\n\n2. d",
    "<ol><li>a<ul><li>b</ul><li></li><li>c</ol>": "1. a\n\nb\n\n2.\n3. c",
    "<ol start=x><li value=''>a</ol><menu><li>b</menu><li>c": "1. a\n\nb\n\nc",
    "<ol style='list-style: none'><li>a</ol><ol style='list-style-type:disc'><li>b</ol>": "a\n\nb",
    "<ol start=999999999999><li>a</ol><ol type=a start=-1><li>b</ol>": "1. a\n\n-1. b",
    "<ol><li><pre>a\n b</pre></ol>": "1. a\n b",
    "<ol><li><sup>1</sup> a</ol>": "1. 1 a",
}


@pytest.mark.parametrize("page", LISTS)
def test_numbers_that_browsers_write_are_read(page: str) -> None:
    assert html.to_text(page.encode(), HTML) == LISTS[page]


def test_components_in_each_other_are_read_within_their_bound(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    part = "<b><template shadowrootmode=open>"
    page = "".join(f"{part}{place} " for place in range(50)) + "</template></b>" * 50
    assert html.to_text(page.encode(), HTML) == " ".join(map(str, range(50)))
    monkeypatch.setattr(html, "SHADOW_CHARS_MAX", 1)
    assert html.to_text(page.encode(), HTML) == "0"
