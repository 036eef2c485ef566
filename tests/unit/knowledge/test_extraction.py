"""Files to text: what each type gives, and every refusal with words for its uploader."""

from __future__ import annotations

import asyncio
import contextlib
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support import hostile_files as hostile
from tests.support import knowledge_files as files

from tenantry.adapters.extraction import html, worker_client
from tenantry.adapters.extraction.content_type import DOCX, HTML, MARKDOWN, PDF, SUPPORTED, TEXT
from tenantry.adapters.extraction.extractor import FileExtractor
from tenantry.adapters.extraction.splitter import chunks_of
from tenantry.domain.chunk import CHUNK_BYTES_MAX, CHUNK_CHARS_MAX
from tenantry.domain.errors import (
    BadRequest,
    TenantryError,
    TooLarge,
    Unreadable,
    UnsupportedMedia,
)
from tenantry.domain.upload import UPLOAD_BYTES_MAX
from tenantry.ports.extraction import Extracted


def extract(data: bytes, content_type: str = "", name: str = "") -> Extracted:
    async def run() -> Extracted:
        return await FileExtractor(wall_s=30).extract(data, content_type, name)

    return asyncio.run(run())


def test_html_that_is_nested_for_ever_ends_with_its_process() -> None:
    """Its time grows with the square of its depth: hours, in a thread that nobody can stop."""

    async def run() -> None:
        with pytest.raises(Unreadable, match="takes longer"):
            await FileExtractor(wall_s=0.5).extract(b"<div>" * 300_000 + b"x", HTML, "")

    asyncio.run(run())


@pytest.mark.parametrize("declared", [f"{HTML}; charset=windows-1252", f"{HTML}; charset=\x00\n"])
def test_html_is_read_by_its_declared_charset(declared: str) -> None:
    text = extract(b"<p>caf\xe9" if "1252" in declared else "<p>caf\u00e9".encode(), declared).text
    assert text == "caf\u00e9"


@pytest.mark.parametrize("charset", ["iso-8859-1", "windows-1252", "latin1"])
def test_latin_1_is_read_as_browsers_read_it(charset: str) -> None:
    """Pages say it, and hold the quotes, dashes and euros of windows-1252."""
    text = "\u201c5 \u20ac\u201d \u2013 caf\u00e9"
    page = f'<meta charset="{charset}"><p>{text}'.encode("cp1252")
    assert extract(page, HTML).text == text
    assert extract(text.encode("cp1252"), f"{TEXT}; charset={charset}").text == text


def test_a_page_that_says_utf_16_in_other_letters_is_read_as_utf_8() -> None:
    page = "caf\u00e9"
    assert extract(f'<meta charset="utf-16"><p>{page}'.encode(), HTML).text == page
    assert extract(f'<meta charset="utf-16"><p>{page}'.encode("utf-16"), HTML).text == page


def test_text_keeps_every_character_and_normalises_line_ends() -> None:
    assert extract("a\r\nb\rc\n𝒳é".encode(), TEXT).text == "a\nb\nc\n𝒳é"
    assert extract(b"\xef\xbb\xbfabc", TEXT).text == "abc"
    assert extract("é".encode("utf-16"), TEXT).text == "é"
    assert extract(b"caf\xe9", "text/plain; charset=iso-8859-1").text == "café"


def test_the_type_comes_from_declaration_then_name_then_bytes() -> None:
    assert extract(b"# x", "application/octet-stream", "a.MD").content_type == MARKDOWN
    assert extract(b"x", "", "").content_type == TEXT
    assert extract(files.pdf("hello"), "", "").content_type == PDF
    assert extract(b"<p>x", "application/xhtml+xml").content_type == HTML


def test_html_reads_as_a_reader_sees_it() -> None:
    source = b"""<html><head><title>no</title><style>p{}</style></head><body>
      <h1>Head</h1><p>some <b>bold</b> text &amp; more<br>next</p><script>no()</script>
      <ul><li>one<li>two</ul><pre>a\n  b</pre><table><tr><td>x<td>y<tr><td>z</table>"""
    assert extract(source, HTML).text == (
        "Head\n\nsome bold text & more\nnext\n\none\ntwo\n\na\n  b\n\nx | y\nz"
    )
    menus = b"<nav>menu</nav><div role=navigation>more</div><div role=main>text</div>"
    assert extract(menus, HTML).text == "text"
    assert extract(b'<meta charset="iso-8859-1"><p>caf\xe9', HTML).text == "café"


def test_html_nesting_is_no_way_to_crash() -> None:
    deep = b"<div>" * 20_000 + b"core" + b"</div>" * 20_000
    assert html.to_text(deep, HTML) == "core"


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=300))
def test_any_markup_is_read_or_refused(source: str) -> None:
    with contextlib.suppress(BadRequest):
        assert isinstance(html.to_text(source.encode(), HTML), str)


def test_pdf_and_docx_are_read() -> None:
    found = extract(files.pdf("First page", "Second (page)"), PDF)
    assert (found.text, found.pages) == ("First page\n\nSecond (page)", 2)
    document = files.docx("One", "Two", table=(("a", "b"), ("c", "d")))
    assert extract(document, DOCX).text == "One\nTwo\na | b\nc | d"


REFUSED = [
    (b"", TEXT, Unreadable, "empty"),
    (b"  \n ", TEXT, Unreadable, "no text"),
    (b"<p> </p>", HTML, Unreadable, "no text"),
    (b"a\0b", TEXT, BadRequest, "NUL"),
    (b"<p>a\0b", HTML, BadRequest, "NUL"),
    (b"\xff\xfe\x00\xd8", TEXT, TenantryError, ""),
    (b"caf\xe9", TEXT, Unreadable, "not valid utf-8"),
    (b"x", "text/plain; charset=klingon", Unreadable, "charset"),
    (b"x", "image/png", UnsupportedMedia, "image/png"),
    (b"plain words", PDF, UnsupportedMedia, "declared as PDF"),
    (b"plain words", DOCX, UnsupportedMedia, "declared as DOCX"),
    (files.pdf("x"), TEXT, UnsupportedMedia, "binary"),
    (files.docx("x"), MARKDOWN, UnsupportedMedia, "binary"),
    (files.docx("x"), PDF, UnsupportedMedia, "declared as PDF"),
    (files.archive(**{"a.txt": "x"}), DOCX, UnsupportedMedia, "another kind"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"x" * 99, DOCX, Unreadable, "encrypted"),
    (files.pdf("secret", encrypted=True), PDF, Unreadable, "encrypted"),
    (b"%PDF-1.7 rubbish", PDF, Unreadable, "damaged"),
    (files.pdf(""), PDF, Unreadable, "scan"),
    (files.docx("x")[:-40], DOCX, Unreadable, "damaged"),
    (files.zip_bomb(), DOCX, Unreadable, "zip bomb"),
    (b"x" * (UPLOAD_BYTES_MAX + 1), TEXT, TooLarge, "25,000,000 bytes"),
    (b"x " * 6_000_000, TEXT, TooLarge, "characters of text"),
]


PNG, JPEG, GIF = b"\x89PNG\r\n\x1a\n" + b"\0" * 64, b"\xff\xd8\xff\xe0" + b"\0" * 64, b"GIF89a,,,"
SHEET = files.archive(**{"[Content_Types].xml": "<Types/>", "xl/workbook.xml": "<workbook/>"})
SLIDES = files.archive(**{"[Content_Types].xml": "<Types/>", "ppt/presentation.xml": "<p/>"})
BOOK = files.archive(**{"mimetype": "application/epub+zip", "a.html": "<p>x"})
OPEN_TEXT = files.archive(**{"mimetype": "application/vnd.oasis.opendocument.text"})
STRANGE = files.archive(**{"mimetype": "x\r\n" * 99})
OFFICE = "application/vnd.openxmlformats-officedocument"
FOREIGN = [
    (b"a,b", "table.CSV", "text/csv"),
    (b'{"a": 1}', "a.json", "application/json"),
    (b"From: a", "mail.eml", "message/rfc822"),
    (b"<a/>", "a.xml", "application/xml"),
    (b"words", "a.rtf", "application/rtf"),
    (b"words", "a.png", "image/png"),
    (SHEET, "a.xlsx", f"{OFFICE}.spreadsheetml.sheet"),
    (SLIDES, "a.pptx", f"{OFFICE}.presentationml.presentation"),
    (BOOK, "a.epub", "application/epub+zip"),
    (SHEET, "", f"{OFFICE}.spreadsheetml.sheet"),
    (SLIDES, "", f"{OFFICE}.presentationml.presentation"),
    (BOOK, "book", "application/epub+zip"),
    (OPEN_TEXT, "a.unknown", "application/vnd.oasis.opendocument.text"),
    (STRANGE, "", "application/zip"),
    (files.archive(a="b"), "", "application/zip"),
    (PNG, "", "image/png"),
    (JPEG, "photo", "image/jpeg"),
    (GIF, "", "image/gif"),
    (b"GIF87a,,,", "a.unknown", "image/gif"),
]


@pytest.mark.parametrize("number", range(len(FOREIGN)))
@pytest.mark.parametrize("declared", ["", "application/octet-stream"])
def test_what_nobody_declared_is_refused_by_the_name_of_what_it_is(
    number: int, declared: str
) -> None:
    data, name, kind = FOREIGN[number]
    with pytest.raises(UnsupportedMedia) as caught:
        extract(data, declared, name)
    assert f"The content type {kind} is not supported" in caught.value.message
    with pytest.raises(UnsupportedMedia, match="is not supported"):
        extract(data, kind, name)


@pytest.mark.parametrize("name", ["", "README", "a.log", "a.rst", ".json"])
def test_what_is_known_by_nothing_is_text(name: str) -> None:
    assert extract(b"a,b", "application/octet-stream", name).content_type == TEXT


def test_text_may_begin_as_a_picture_does() -> None:
    for declared, name in ((TEXT, ""), ("", "a.txt"), (TEXT, "a.gif")):
        assert extract(GIF, declared, name).text == "GIF89a,,,"
    for data in (PNG, JPEG):
        with pytest.raises(UnsupportedMedia, match="bytes are a binary file"):
            extract(data, TEXT)


@pytest.mark.parametrize(
    ("data", "name", "said"),
    [
        (b"words", "a.pdf", "named as PDF, but it is none"),
        (b"words", "a.docx", "named as DOCX, but it is none"),
        (SHEET, "a.docx", "no DOCX, but another kind of archive"),
        (PNG, "a.txt", "named as text/plain, but its bytes are a binary file"),
    ],
)
def test_nothing_is_said_to_be_declared_that_nobody_declared(
    data: bytes, name: str, said: str
) -> None:
    with pytest.raises(UnsupportedMedia, match=said):
        extract(data, "application/octet-stream", name)


@pytest.mark.parametrize("number", range(len(REFUSED)))
def test_what_cannot_be_taken_is_refused_in_words(number: int) -> None:
    data, content_type, error, words = REFUSED[number]
    with pytest.raises(error) as caught:
        extract(data, content_type)
    assert words in caught.value.message


def test_a_parse_that_takes_too_long_is_ended() -> None:
    async def parse() -> None:
        await worker_client.parse("pdf", files.pdf("x"), wall_s=0.001)

    with pytest.raises(Unreadable, match="longer than"):
        asyncio.run(parse())
    assert _parsing_children() == []


@pytest.mark.parametrize("name", hostile.QUICK)
def test_a_hostile_file_is_refused_in_bounded_time_and_memory(name: str) -> None:
    data = hostile.QUICK[name]()
    with pytest.raises(Unreadable):
        extract(data, PDF if data.startswith(b"%PDF") else DOCX)
    assert _parsing_children() == []


@pytest.mark.slow
@pytest.mark.parametrize("name", hostile.LONG)
def test_a_hostile_file_that_takes_long_is_ended(name: str) -> None:
    data = hostile.LONG[name]()
    with pytest.raises(Unreadable):
        extract(data, PDF if data.startswith(b"%PDF") else DOCX)
    assert _parsing_children() == []


def test_a_false_count_of_pages_is_not_believed() -> None:
    pages = b"<< /Type /Pages /Kids [3 0 R] /Count 2000000000 >>"
    one = files.pdf("hi").replace(b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>", pages)
    found = extract(one, PDF)
    assert (found.text, found.pages) == ("hi", 1)


def test_no_file_of_the_machine_comes_in_by_an_entity(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("canary")
    with pytest.raises(Unreadable, match="holds a DOCTYPE"):
        extract(hostile.foreign_entity(str(secret)), DOCX)


def test_one_tenant_s_slow_files_do_not_hold_up_another_s() -> None:
    """Every place but one is taken by files that never end; another tenant's is read meanwhile."""

    async def run() -> None:
        extractor = FileExtractor(workers_at_once=2, wall_s=20)
        endless = b"<div>" * 300_000 + b"x"
        slow = [asyncio.create_task(extractor.extract(endless, HTML, "", "a")) for _ in range(4)]
        await asyncio.sleep(0)
        found = await extractor.extract(b"<p>quick", HTML, "", "b")
        assert found.text == "quick"
        assert not any(task.done() for task in slow)
        for task in slow:
            task.cancel()
        await asyncio.gather(*slow, return_exceptions=True)

    asyncio.run(run())
    assert _parsing_children() == []


def _parsing_children() -> list[str]:
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            parent = (process / "stat").read_text().rpartition(")")[2].split()[1]
            command = (process / "cmdline").read_bytes().decode("utf-8", "replace")
            if int(parent) == os.getpid() and "extraction.worker" in command:
                found.append(command)
    return found


def test_the_worker_reads_no_environment_and_no_secret_reaches_it(monkeypatch) -> None:
    monkeypatch.setenv("PYTHONSTARTUP", "/nonexistent")
    monkeypatch.setenv("TENANTRY_SECRET", "canary")
    assert extract(files.pdf("fine"), PDF).text == "fine"


text = st.text(
    st.one_of(st.sampled_from("ab .,\n\t#*-é𝒳👩‍👩‍👧"), st.characters(exclude_categories=["Cs"])),
    max_size=6_000,
)


@given(text, st.sampled_from(SUPPORTED))
def test_chunks_are_ranges_of_the_text_and_miss_no_word(source: str, content_type: str) -> None:
    chunks = chunks_of(source, content_type)
    end = 0
    for chunk in chunks:
        assert source[chunk.start : chunk.end] == chunk.text
        assert 0 < len(chunk.text) <= CHUNK_CHARS_MAX
        assert len(chunk.text.encode()) <= CHUNK_BYTES_MAX
        assert not source[end : chunk.start].strip()
        end = chunk.end
    assert not source[end:].strip()


@pytest.mark.parametrize("content_type", [TEXT, MARKDOWN])
def test_chunks_of_wide_characters_are_ranges_too(content_type: str) -> None:
    source = "caf\u00e9 \U0001f680\U0001f680 " * 3 + "\U0001f680" * 2_500 + " end"
    chunks = chunks_of(source, content_type)
    assert all(source[one.start : one.end] == one.text for one in chunks)
    assert all(len(one.text.encode()) <= CHUNK_BYTES_MAX for one in chunks)
    assert "".join("".join(one.text for one in chunks).split()) == "".join(source.split())


def test_long_texts_are_split_at_paragraphs_across_windows() -> None:
    paragraph = "A sentence that says something. " * 20
    source = "\n\n".join(f"{number}. {paragraph}" for number in range(200))
    chunks = chunks_of(source, TEXT)
    assert all(source[chunk.start : chunk.end] == chunk.text for chunk in chunks)
    assert sum(chunk.text[0].isdigit() for chunk in chunks) >= 195
