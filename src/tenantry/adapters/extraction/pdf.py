"""PDF to text. Runs in the worker process only."""

from __future__ import annotations

import re
from contextlib import closing

import pypdfium2 as pdfium

from tenantry.adapters.extraction.pdf_annotations import Annotations
from tenantry.adapters.extraction.pdf_page import letters, text_of
from tenantry.adapters.extraction.plain import printable
from tenantry.adapters.extraction.worker_limits import PAGES_MAX, TEXT_CHARS_MAX
from tenantry.domain.errors import TooLarge, Unreadable

# A hyphen at a line's end: as PDFium tells of one, by the call that is asked, without a line end;
# and those that it leaves, between two letters.
_BROKEN = re.compile(
    "[\x02\ufffe](?:\r?\n)?|(?<=[^\\W\\d_])[\u00ad\u2010][ \\t]*\r?\n(?=[^\\W\\d_])"
)
_TOLD_OF = "\x02\ufffe"
_AT_PAGE_S_END = re.compile("(?<=[^\\W\\d_])[-\u00ad\u2010]\\s*\\Z")
_TOKEN_CHARS = 200  # how far around a hyphen is looked at
_SPACE = re.compile(r"\s")
_ABBREVIATION = re.compile(r"^\W?(?:[^\W\d_]\.){2,}")  # e.g. before a word without a space
# An option, an address, a path, a field. One slash may as well stand between two words.
_NAME = re.compile(r"^--?\w|[@\\_=&?]|[.:]\w|^[/~]|/.*/")
_LINE_END = re.compile(f"[\r\n{_TOLD_OF}]")
_WORD_BEFORE, _WORD_AFTER = re.compile(r"\w{2,}\Z"), re.compile(r"\w{2,}")
_SUSPENDED = re.compile(r"(?:und|oder|bzw\.|sowie|and)\s")
_OR = re.compile(r"or\s+(\S*)")
_BEFORE_OR = re.compile(
    r"\w-\s.*\Z|"  # another that is suspended, in the same line
    r"\b(?:over|under|up|down|in|out|on|off|pre|post|inter|intra|sub|super|one|two|three)\Z",
    re.IGNORECASE,
)


def to_text(data: bytes) -> tuple[str, tuple[int, int]]:
    """All pages' text, a blank line between them; how many there are, and how many without text."""
    try:
        document = pdfium.PdfDocument(data)
    except pdfium.PdfiumError as error:
        if "password" in str(error).lower() or "security" in str(error).lower():
            raise Unreadable("The PDF is encrypted: save it without a password.") from None
        raise Unreadable("The PDF is damaged and cannot be opened.") from None
    with document, closing(Annotations(document, data)) as annotations:
        pages = len(document)
        if pages > PAGES_MAX:
            raise TooLarge(f"The PDF has {pages} pages; at most {PAGES_MAX} are taken.")
        texts: list[str] = []
        with_notes: list[str] = []
        chars = looked_at = unknown = damaged = 0
        for number in range(pages):
            try:
                text, notes, seen, unseen = _page(document, number, annotations)
            except pdfium.PdfiumError:
                damaged += 1
                text, notes, seen, unseen = "", "", 0, 0
            looked_at, unknown = looked_at + seen, unknown + unseen
            chars += len(text)
            if chars > TEXT_CHARS_MAX:
                raise TooLarge(f"The PDF holds more than {TEXT_CHARS_MAX:,} characters of text.")
            texts.append(text)
            with_notes.append("\n".join(part for part in (text, notes) if part))
    if 0 < pages == damaged:
        raise Unreadable("None of the PDF's pages can be read: it is damaged.")
    if 2 * unknown > looked_at:
        raise Unreadable(
            "The fonts of the PDF do not say which letters they show. Read it as a scan is read."
        )
    whole = _paged(with_notes)
    without_text = with_notes.count("")
    return whole if len(whole) <= TEXT_CHARS_MAX else _paged(texts), (pages, without_text)


def _paged(texts: list[str]) -> str:
    """A blank line between pages, but where a word goes on from one to the next."""
    parts: list[str] = []
    for text in filter(None, texts):
        broken = _AT_PAGE_S_END.search(parts[-1]) if parts else None
        if broken and text[0].islower() and _divides(parts[-1][: broken.start()], text):
            parts[-1] = parts[-1][: broken.start()]
        elif parts:
            parts.append("\n\n")
        parts.append(text)
    return "".join(parts)


def _divides(before: str, after: str) -> bool:
    """Whether a hyphen between them divides a word, and is not its own."""
    around = before[-_TOKEN_CHARS:] + _TOLD_OF[0] + after[:_TOKEN_CHARS]
    found = _BROKEN.search(around, min(len(before), _TOKEN_CHARS))
    return found is not None and _at_line_s_end(found) == ""


def _page(
    document: pdfium.PdfDocument, number: int, annotations: Annotations
) -> tuple[str, str, int, int]:
    """Its own text; what is filled in and typed on it; characters that were looked at, and those
    without a letter. Where these are most, the page has no text: what comes of it is no words.
    PdfiumError for a page that is damaged, or is none.
    """
    page = document[number]
    textpage = page.get_textpage()
    looked_at, unknown = letters(textpage)
    text = text_of(textpage) if 2 * unknown <= looked_at else ""
    notes = "\n".join(annotations.on(page))
    page.close()
    return _clean(_kept_at_the_end(_joined(text))), _clean(notes), looked_at, unknown


def _kept_at_the_end(text: str) -> str:
    """A soft hyphen is seen there, and the next page may show that it divides a word."""
    return _AT_PAGE_S_END.sub("-", text) if text.rstrip().endswith("\u00ad") else text


def _clean(text: str) -> str:
    return printable(text.encode("utf-8", "ignore").decode()).strip()


def _joined(text: str) -> str:
    """Words that were broken at a line's end as one. A hyphen that was written stays."""
    return _BROKEN.sub(_at_line_s_end, text)


def _at_line_s_end(found: re.Match[str]) -> str:
    text, start, end = found.string, found.start(), found.end()
    before = _SPACE.split(text[max(0, start - _TOKEN_CHARS) : start])[-1]
    after = _SPACE.split(text[end : end + _TOKEN_CHARS], maxsplit=1)[0]
    if not _is_written(before, after):
        return "- " if before and _is_suspended(text, start, end) else ""
    if _is_in_capitals(text, start, end):
        return ""
    return "-" if found[0][0] in _TOLD_OF else found[0]


def _is_written(before: str, after: str) -> bool:
    """Whether the hyphen belongs there: in COVID-19, WLAN-fähig, X-ray, Müller-Schmidt, a@b-c.de.

    None divides a word after a digit or a capital, or before one, but where all are capitals.
    """
    if not before or not after:
        return False
    beside = before[-1] + after[0]
    if beside != beside.lower() or not beside.isalpha():
        return True
    return bool(_NAME.search(_ABBREVIATION.sub("", before + after)))


def _is_suspended(text: str, start: int, end: int) -> bool:
    """Whether what follows is a word of its own, as in `pre- or post-war`: many end in "or"."""
    if _SUSPENDED.match(text, end):
        return True
    word = _OR.match(text, end)
    return word is not None and (
        "-" in word[1] or _BEFORE_OR.search(_line_before(text, start)) is not None
    )


def _is_in_capitals(text: str, start: int, end: int) -> bool:
    """Whether it divides a word of a heading in capitals: REST-API in a sentence is two."""
    line = _line_before(text, start)
    rest = _LINE_END.split(text[end : end + _TOKEN_CHARS], maxsplit=1)[0]
    before, after = _WORD_BEFORE.search(line), _WORD_AFTER.match(rest)
    if before is None or after is None or not (before[0] + after[0]).isalpha():
        return False
    return (line + rest).isupper() and _NAME.search(before[0] + after[0]) is None


def _line_before(text: str, start: int) -> str:
    return _LINE_END.split(text[max(0, start - _TOKEN_CHARS) : start])[-1]
