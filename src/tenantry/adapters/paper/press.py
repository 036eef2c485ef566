"""The compiler with its fonts: a sheet becomes a PDF, or what cannot be drawn is told."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import orjson

from tenantry.adapters.paper.font_folder import FontFolderError, fonts_with
from tenantry.adapters.paper.tongues import TONGUES, ranked

STANDARD: Final = "a-2u"  # archival, with text that can be searched and copied
_SERIF, _MONO = "Libertinus Serif", "DejaVu Sans Mono"  # inside the compiler
_MORE: Final = ("New Computer Modern", "New Computer Modern Math")  # inside too, for symbols
_INSIDE: Final = (_SERIF, _MONO, *_MORE)
# What those inside are asked for. They have letters of further scripts, such as Arabic and
# Devanagari, but set them apart that have to be joined: such are spelt out rather than set badly.
_COVERED: Final = (
    r"[\p{Latin}\p{Greek}\p{Cyrillic}\p{Hebrew}\p{Common}"
    r"[\p{Inherited}&&[^\u{600}-\u{1C7F}\u{1CD0}-\u{1CFF}]]]"
)
_NOT_DRAWN: Final = "could not be displayed"
_EPOCH: Final = datetime(2000, 1, 1, tzinfo=UTC)
_PROBE: Final = b"""#set document(title: "probe")
#set text(fallback: false, font: json(bytes(sys.inputs.at("fonts"))).any.map(it => {
  if type(it) == str { it } else { (name: it.name, covers: regex(it.covers)) }
}))
#text(json(bytes(sys.inputs.at("sheet"))))
"""


class NotDrawn(Exception):
    """No font draws some of it."""


class Press:
    """`folder`: further fonts. What is raised: `NotDrawn`; `FontFolderError`, `OSError` where the
    folder is not in order."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    def sheet_pdf(self, sheet: Mapping[str, Any], created: datetime) -> bytes:
        """`created`: the instant that the file says it was made at."""
        return self._compiled(self._template, sheet, created)

    def can_draw(self, text: str) -> bool:
        try:
            self._compiled(_PROBE, text, _EPOCH)
        except NotDrawn:
            return False
        return True

    @functools.cached_property
    def _template(self) -> bytes:
        return files("tenantry.data").joinpath("invoice/invoice.typ").read_bytes()

    @functools.cached_property
    def _fonts(self) -> tuple[Any, str]:
        """The fonts, and the order in which they are asked: serif, the folder's own, the rest; with
        an order for each East Asian language.

        What none covers comes to the last, without letters of it: the compiler would leave it out
        in silence where no font was asked.
        """
        import typst

        if self._folder is None:
            fonts = typst.Fonts(include_system_fonts=False)
        else:
            fonts = fonts_with(self._folder)
        own = [name for name in fonts.families() if name not in _INSIDE]
        serif, *rest = ({"name": name, "covers": _COVERED} for name in _INSIDE)
        orders = {
            tongue or "any": [serif, *ranked(own, tongue), *rest, _SERIF]
            for tongue in (None, *TONGUES)
        }
        return fonts, orjson.dumps(orders).decode()

    def _compiled(self, source: bytes, sheet: Any, created: datetime) -> bytes:
        import typst

        fonts, families = self._fonts
        try:
            pdf = typst.Compiler(source, font_paths=fonts).compile(
                format="pdf",
                sys_inputs={"sheet": orjson.dumps(sheet).decode(), "fonts": families},
                pdf_standards=[STANDARD],
                timestamp=created,
            )
        except typst.TypstError as error:
            if _NOT_DRAWN in error.message:
                raise NotDrawn from None
            if self._folder is not None and "font" in error.message:
                raise FontFolderError(f"{self._folder}: {error.message}") from None
            raise
        except BaseException as failure:
            # A panic of the compiler is no `Exception`: nothing above would catch it.
            if type(failure).__name__ != "PanicException":
                raise
            if self._folder is not None:
                raise FontFolderError(f"{self._folder}: a font breaks the compiler") from None
            raise RuntimeError("the compiler gave up") from failure
        assert isinstance(pdf, bytes), "a PDF is one file"
        return pdf
