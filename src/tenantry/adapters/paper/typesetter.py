"""An invoice's sheet as PDF/A-2u, off the event loop, a few at a time.

PDF/A refuses a character that no font can draw. Which those are is asked of the compiler itself,
one by one and once a process, and only where a sheet was refused; they are printed as `[U+4E2D]`.
"""

from __future__ import annotations

import asyncio
import functools
import unicodedata
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import orjson

from tenantry.domain.errors import BadRequest, Unavailable
from tenantry.domain.invoice_sheet import SheetError, sheet_of
from tenantry.domain.printable import spelt

STANDARD: Final = "a-2u"  # archival, with text that can be searched and copied
AT_ONCE_MAX: Final = 2  # compilations of one process: each takes a core
WAITING_MAX: Final = 32  # more than that is refused
PDF_BYTES_MAX: Final = 20_000_000
CHARACTERS_KNOWN_MAX: Final = 20_000  # whose drawing is remembered
PROBES_MAX: Final = 2_000  # characters asked for one sheet, at 2 ms each; the rest is spelt out
_SERIF, _MONO = "Libertinus Serif", "DejaVu Sans Mono"  # inside the compiler
_MORE: Final = ("New Computer Modern", "New Computer Modern Math")  # inside too, for symbols
# What those inside are asked for. They have letters of further scripts, such as Arabic and
# Devanagari, but set them apart that have to be joined: such are spelt out rather than set badly.
_COVERED: Final = (
    r"[\p{Latin}\p{Greek}\p{Cyrillic}\p{Hebrew}\p{Common}"
    r"[\p{Inherited}&&[^\u{600}-\u{1C7F}\u{1CD0}-\u{1CFF}]]]"
)
_EPOCH: Final = datetime(2000, 1, 1, tzinfo=UTC)
_PROBE: Final = b"""#set document(title: "probe")
#set text(fallback: false, font: json(bytes(sys.inputs.at("fonts"))).map(it => {
  if type(it) == str { it } else { (name: it.name, covers: regex(it.covers)) }
}))
#text(json(bytes(sys.inputs.at("sheet"))))
"""


class Typesetter:
    """`font_folder`: further fonts, for scripts that those inside do not cover.

    The compiler is loaded with the first invoice: a worker that prints none does without it.
    """

    def __init__(self, font_folder: Path | None = None) -> None:
        if font_folder is not None and not font_folder.is_dir():
            raise NotADirectoryError(f"there is no folder of fonts {font_folder}")
        self._folders = [] if font_folder is None else [font_folder]
        self._drawn = functools.lru_cache(maxsize=CHARACTERS_KNOWN_MAX)(self._can_draw)
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
        import typst

        try:
            sheet = sheet_of(invoice)
        except SheetError as error:
            raise BadRequest(f"This invoice cannot be printed: {error}.") from None
        created = datetime.fromisoformat(sheet["created"]).astimezone(UTC).replace(microsecond=0)
        sheet["date"] = [str(part) for part in created.timetuple()[:6]]
        try:
            pdf = self._printed(sheet, created)
        except typst.TypstError as error:
            if "could not be displayed" not in error.message:
                raise
            asked = sorted({c for text in _texts(sheet) for c in text if not c.isascii()})
            drawn = frozenset(filter(self._drawn, asked[:PROBES_MAX]))
            pdf = self._printed(_drawable(sheet, drawn), created)
        if len(pdf) > PDF_BYTES_MAX:
            raise BadRequest("This invoice cannot be printed: its file would be too large.")
        return pdf

    @functools.cached_property
    def _template(self) -> bytes:
        return files("tenantry.data").joinpath("invoice/invoice.typ").read_bytes()

    @functools.cached_property
    def _fonts(self) -> tuple[Any, str]:
        """The fonts, and the order in which they are asked: serif, the folder's own, the rest.

        What none covers comes to the last, without letters of it: the compiler would leave it out
        in silence where no font was asked.
        """
        import typst

        fonts = typst.Fonts(include_system_fonts=False, font_paths=self._folders)
        inside = (_SERIF, _MONO, *_MORE)
        own = sorted(name for name in fonts.families() if name not in inside)
        serif, *rest = ({"name": name, "covers": _COVERED} for name in inside)
        return fonts, orjson.dumps([serif, *own, *rest, _SERIF]).decode()

    def _printed(self, sheet: Mapping[str, Any], created: datetime) -> bytes:
        """With `rtl`: the sheet's texts that run from right to left, as the keys of a table."""
        rtl = {text: True for text in _texts(sheet) if _is_from_right(text)}
        return self._compiled(self._template, {**sheet, "rtl": rtl}, created)

    def _compiled(self, source: bytes, sheet: Any, created: datetime) -> bytes:
        import typst

        fonts, families = self._fonts
        pdf = typst.Compiler(source, font_paths=fonts).compile(
            format="pdf",
            sys_inputs={"sheet": orjson.dumps(sheet).decode(), "fonts": families},
            pdf_standards=[STANDARD],
            timestamp=created,
        )
        assert isinstance(pdf, bytes), "a PDF is one file"
        return pdf

    def _can_draw(self, character: str) -> bool:
        import typst

        try:
            self._compiled(_PROBE, character, _EPOCH)
        except typst.TypstError:
            return False
        return True


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


def _is_from_right(text: str) -> bool:
    """By its first character that has a direction: UAX #9, P2 and P3; isolates are spelt out."""
    for character in text:
        direction = unicodedata.bidirectional(character)
        if direction in ("L", "R", "AL"):
            return direction != "L"
    return False


def _drawable(value: Any, drawn: frozenset[str]) -> Any:
    """A sheet with every character spelt out that is neither ASCII nor `drawn`."""
    if isinstance(value, str):
        return "".join(c if c.isascii() or c in drawn else spelt(c) for c in value)
    if isinstance(value, Mapping):
        return {name: _drawable(part, drawn) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_drawable(part, drawn) for part in value]
    return value
