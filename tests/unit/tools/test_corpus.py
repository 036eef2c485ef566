"""The demo's documents are made from HTML of three houses in five forms."""

import io

import docx
import pypdfium2
import pytest
from tools.corpus.binary import to_docx, to_pdf
from tools.corpus.blocks import Block, blocks_of
from tools.corpus.render import to_html, to_markdown, to_text

PAGE = """<html><head><title>A title</title></head><body>
<div class="navheader">Prev Next</div><div class="nosearch">menu</div>
<div class="body"><h1>30.1. First<a class="headerlink" href="#x">¶</a></h1>
loose <b>text</b>&nbsp;here<script>x()</script>
<p>One   <code>two</code>
three</p><ul><li>item</li><li><p>long item</p></li></ul>
<h2>30.1.1. Second</h2><pre>a
  b</pre><table><tr><th>n</th><th>v</th></tr><tr><td>1</td><td>&lt;2&gt;</td></tr></table>
</div></body></html>"""

BLOCKS = [
    Block("h1", "First"),
    Block("p", "loose text here"),
    Block("p", "One two three"),
    Block("li", "item"),
    Block("p", "long item"),
    Block("h2", "Second"),
    Block("pre", "a\n  b"),
    Block("row", "n | v"),
    Block("row", "1 | <2>"),
]


def test_a_page_is_its_blocks_without_the_chrome():
    assert blocks_of(PAGE, "div.body", titled=False) == BLOCKS


def test_a_page_can_be_named_by_its_title():
    blocks = blocks_of(PAGE, "div.body", titled=True)
    assert blocks[0] == Block("h1", "A title")
    assert Block("h2", "First") in blocks


def test_markdown():
    assert to_markdown(BLOCKS[:1] + BLOCKS[3:4] * 2 + BLOCKS[5:]) == (
        "# First\n\n- item\n- item\n\n## Second\n\n```\na\n  b\n```\n\n| n | v |\n| 1 | <2> |\n"
    )


def test_text():
    assert (
        to_text(BLOCKS[:2] + BLOCKS[6:7]) == "First\n=====\n\nloose text here\n\n    a\n      b\n"
    )


def test_html_reads_back_as_the_same_blocks():
    page = to_html(BLOCKS)
    assert "<title>First</title>" in page
    assert "&lt;2&gt;" in page
    assert page.count("<table>") == page.count("</table>") == 1
    assert blocks_of(page, "body", titled=False) == BLOCKS


@pytest.mark.parametrize("paragraphs", [1, 200])
def test_a_pdf_holds_the_text_on_as_many_pages_as_it_takes(paragraphs):
    blocks = [*BLOCKS[:1], *(Block("p", f"Line {n} of it.") for n in range(paragraphs))]
    with pypdfium2.PdfDocument(to_pdf(blocks)) as pdf:
        text = "".join(page.get_textpage().get_text_range() for page in pdf)
        assert (len(pdf) > 1) == (paragraphs > 1)
    assert "First" in text
    assert all(f"Line {n} of it." in text for n in range(paragraphs))


def test_a_docx_holds_headings_and_text():
    document = docx.Document(io.BytesIO(to_docx(BLOCKS)))
    found = [(p.style.name, p.text) for p in document.paragraphs]
    assert found[0] == ("Heading 1", "First")
    assert ("List Bullet", "item") in found
    assert [text for _, text in found] == [block.text for block in BLOCKS]
