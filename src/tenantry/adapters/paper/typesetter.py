"""An invoice's sheet as PDF/A-2u, off the event loop, a few at a time.

PDF/A refuses what no font can draw. What that is is asked of the compiler itself, once a process,
and only where a sheet was refused; it is printed as `[U+4E2D]`.
"""

from __future__ import annotations

import asyncio
import functools
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from tenantry.adapters.paper.directions import apart, is_from_right
from tenantry.adapters.paper.font_folder import FontFolderError
from tenantry.adapters.paper.press import NotDrawn, Press
from tenantry.adapters.paper.tongues import tongue_of
from tenantry.domain.errors import BadRequest, Unavailable
from tenantry.domain.invoice_sheet import TEXT_CHARS_MAX, SheetError, sheet_of
from tenantry.domain.printable import printable, spelt

AT_ONCE_MAX: Final = 2  # compilations of one process: each takes a core
WAITING_MAX: Final = 32  # more than that is refused
PDF_BYTES_MAX: Final = 20_000_000
KNOWN_MAX: Final = 20_000  # characters and words whose drawing is remembered
PROBES_MAX: Final = 2_000  # of either, asked for one sheet, at 2 ms each; the rest is spelt out


class Typesetter:
    """`font_folder`: further fonts, for scripts that those inside do not cover.

    The compiler is loaded with the first invoice: a worker that prints none does without it.
    """

    def __init__(self, font_folder: Path | None = None) -> None:
        if font_folder is not None and not font_folder.is_dir():
            raise NotADirectoryError(f"there is no folder of fonts {font_folder}")
        self._press = Press(font_folder)
        self._drawn = functools.lru_cache(maxsize=KNOWN_MAX)(self._press.can_draw)
        self._slots = asyncio.Semaphore(AT_ONCE_MAX)
        self._waiting = 0

    async def invoice_pdf(self, invoice: Mapping[str, Any]) -> bytes:
        """The invoice of a canonical JSON, on paper. Raises `BadRequest`, `Unavailable`."""
        if self._waiting >= WAITING_MAX:
            raise Unavailable("Too many invoices are being printed; try again.")
        self._waiting += 1
        try:
            async with self._slots:
                return await asyncio.to_thread(self.render, invoice)
        finally:
            self._waiting -= 1

    def render(self, invoice: Mapping[str, Any]) -> bytes:
        """As `invoice_pdf`, in the calling thread. The same JSON and fonts give the same bytes."""
        try:
            sheet = sheet_of(invoice)
        except SheetError as error:
            raise BadRequest(f"This invoice cannot be printed: {error}.") from None
        created = datetime.fromisoformat(sheet["created"]).astimezone(UTC).replace(microsecond=0)
        sheet["date"] = [str(part) for part in created.timetuple()[:6]]
        try:
            pdf = self._printed(sheet, str(invoice["zone"]), created)
        except (FontFolderError, OSError) as wrong:
            raise Unavailable("The folder of fonts for invoices cannot be used.") from wrong
        if len(pdf) > PDF_BYTES_MAX:
            raise BadRequest("This invoice cannot be printed: its file would be too large.")
        return pdf

    def unwritten(self, texts: Iterable[str]) -> list[str]:
        """Those of names and lines of addresses of which something would be spelt out.

        Raises `FontFolderError`, `OSError`.
        """
        shown = {text: printable(text, TEXT_CHARS_MAX) for text in texts if not text.isascii()}
        if not shown or self._press.can_draw("\n".join(shown.values())):
            return []
        return [text for text, on_paper in shown.items() if not self._drawn(on_paper)]

    def _printed(self, sheet: Mapping[str, Any], zone: str, created: datetime) -> bytes:
        for way in self._ways(_texts(sheet)):
            try:
                return self._press.sheet_pdf(_with_directions(_each(sheet, way), zone), created)
            except NotDrawn:
                continue
        raise AssertionError("the fonts inside draw ASCII")

    def _ways(self, texts: Iterable[str]) -> Iterator[Callable[[str], str]]:
        """How to write texts, each for where the one before it was refused: as they are; without
        characters that no font draws; without words that none does, as where one has the letter
        and another its accent; and ASCII alone."""
        yield _as_it_is
        found = tuple(texts)
        asked = sorted({c for text in found for c in text if not c.isascii()})
        drawn = frozenset(filter(self._drawn, asked[:PROBES_MAX]))
        yield (by_character := functools.partial(_spelling, drawn=drawn))
        words = sorted({w for t in found for w in by_character(t).split(" ") if not w.isascii()})
        shown = {word: self._word(word) for word in words[:PROBES_MAX]}
        yield lambda text: _word_by_word(by_character(text), shown)
        yield _as_ascii

    def _word(self, word: str) -> str:
        """With its marks spelt out where it cannot be drawn, or all that is not ASCII."""
        if self._drawn(word):
            return word
        bare = "".join(spelt(c) if unicodedata.category(c)[0] == "M" else c for c in word)
        return bare if self._drawn(bare) else _as_ascii(word)


def _as_it_is(text: str) -> str:
    return text


def _as_ascii(text: str) -> str:
    return _spelling(text, drawn=frozenset())


def _spelling(text: str, drawn: frozenset[str]) -> str:
    """With every character spelt out that is neither ASCII nor `drawn`."""
    return "".join(c if c.isascii() or c in drawn else spelt(c) for c in text)


def _word_by_word(text: str, shown: Mapping[str, str]) -> str:
    return " ".join(
        word if word.isascii() else shown.get(word) or _as_ascii(word) for word in text.split(" ")
    )


def _with_directions(written: Mapping[str, Any], zone: str) -> Mapping[str, Any]:
    """With words from the right set apart in sentences of ours, and with tables of texts: `rtl` has
    those that run from right to left, `tongues` those in which Chinese characters have the shapes
    of one language, which in an address is that of the whole."""
    ours = {name: _each(written[name], apart) for name in ("groups", "sums", "notes")}
    sheet = {**written, **ours}
    tongues = {text: tongue_of(text, zone) for text in _texts(sheet)}
    for party in (sheet["issuer"], sheet["customer"]):
        texts = tuple(_texts(party))
        whole = tongue_of(" ".join(texts), zone)
        tongues |= {text: whole for text in texts if tongues[text] is not None}
    return {
        **sheet,
        "rtl": {text: True for text in _texts(sheet) if is_from_right(text)},
        "tongues": {text: tongue for text, tongue in tongues.items() if tongue is not None},
    }


def _texts(value: Any) -> Iterator[str]:
    """All texts of a sheet."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for part in value.values():
            yield from _texts(part)
    elif isinstance(value, (list, tuple)):
        for part in value:
            yield from _texts(part)


def _each(value: Any, way: Callable[[str], str]) -> Any:
    """A sheet with each text written in that way."""
    if isinstance(value, str):
        return way(value)
    if isinstance(value, Mapping):
        return {name: _each(part, way) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_each(part, way) for part in value]
    return value
