"""An invoice's sheet as PDF/A-2u, off the event loop, a few at a time.

PDF/A refuses a character that no font can draw. Which those are is asked of the compiler itself,
one by one and once a process, and only where a sheet was refused; they are printed as `[U+4E2D]`.
"""

from __future__ import annotations

import asyncio
import functools
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
_INSIDE: Final = frozenset({_SERIF, _MONO, "New Computer Modern", "New Computer Modern Math"})
_EPOCH: Final = datetime(2000, 1, 1, tzinfo=UTC)
_PROBE: Final = b"""#set document(title: "probe")
#set text(font: json(bytes(sys.inputs.at("fonts"))))
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
            pdf = self._compiled(self._template, sheet, created)
        except typst.TypstError as error:
            if "could not be displayed" not in error.message:
                raise
            asked = sorted({c for c in _characters(sheet) if not c.isascii()})
            drawn = frozenset(filter(self._drawn, asked[:PROBES_MAX]))
            pdf = self._compiled(self._template, _drawable(sheet, drawn), created)
        if len(pdf) > PDF_BYTES_MAX:
            raise BadRequest("This invoice cannot be printed: its file would be too large.")
        return pdf

    @functools.cached_property
    def _template(self) -> bytes:
        return files("tenantry.data").joinpath("invoice/invoice.typ").read_bytes()

    @functools.cached_property
    def _fonts(self) -> tuple[Any, str]:
        """The fonts, and the order in which they are asked: serif, the folder's own, mono."""
        import typst

        fonts = typst.Fonts(include_system_fonts=False, font_paths=self._folders)
        own = sorted(name for name in fonts.families() if name not in _INSIDE)
        return fonts, orjson.dumps([_SERIF, *own, _MONO]).decode()

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


def _characters(value: Any) -> Iterator[str]:
    """All characters of a sheet's texts."""
    if isinstance(value, str):
        yield from value
    elif isinstance(value, Mapping):
        for part in value.values():
            yield from _characters(part)
    elif isinstance(value, (list, tuple)):
        for part in value:
            yield from _characters(part)


def _drawable(value: Any, drawn: frozenset[str]) -> Any:
    """A sheet with every character spelt out that is neither ASCII nor `drawn`."""
    if isinstance(value, str):
        return "".join(c if c.isascii() or c in drawn else spelt(c) for c in value)
    if isinstance(value, Mapping):
        return {name: _drawable(part, drawn) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_drawable(part, drawn) for part in value]
    return value
