"""The fonts of a folder that the operator gives: which files they are, and whether each is whole.

The compiler leaves out in silence what it cannot read, and reads a folder in whatever order the
disk has. So every file is looked at first, and they are taken in the order of their names.
"""

from __future__ import annotations

import os
import struct
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any, Final

FILES_MAX: Final = 1_000
FONTS_MAX: Final = 256  # of one collection
TABLES_MAX: Final = 256
_ENDINGS: Final = frozenset({".ttf", ".otf", ".ttc", ".otc"})
_COLLECTION: Final = b"ttcf"
_KINDS: Final = frozenset({b"\0\1\0\0", b"OTTO", b"true"})  # of the first four bytes of a font
_NEEDED: Final = (b"cmap", b"head", b"hhea", b"hmtx", b"maxp", b"name")
_PICTURES: Final = frozenset({b"glyf", b"CFF ", b"CFF2", b"CBDT", b"sbix", b"SVG "})


class FontFolderError(ValueError):
    """A folder of fonts that cannot be used; the message names the file and says why."""


def font_files(folder: Path) -> Sequence[Path]:
    """All font files in it and below, by name, each whole. Raises `FontFolderError`, `OSError`."""
    next(folder.iterdir(), None)  # a walk is silent about a folder that is not there
    files: list[Path] = []
    seen: set[str] = set()  # a link may lead back
    for at, folders, names in os.walk(folder, onerror=_refuse, followlinks=True):
        if (real := os.path.realpath(at)) in seen:
            folders.clear()
            continue
        seen.add(real)
        folders.sort()
        files += (Path(at, name) for name in names if Path(name).suffix.lower() in _ENDINGS)
        if len(files) > FILES_MAX or len(seen) > FILES_MAX:
            raise FontFolderError(f"{folder}: more than {FILES_MAX} font files or folders")
    files.sort()
    for file in files:
        _check(file)
    return files


def fonts_with(folder: Path) -> Any:
    """A `typst.Fonts` of those inside and of the folder. Raises as `font_files`."""
    import typst

    files = font_files(folder)
    # The compiler takes folders alone: each file has one of its own while they are looked at.
    with tempfile.TemporaryDirectory(prefix="tenantry-fonts-") as stage:
        folders = [Path(stage, str(number)) for number in range(len(files))]
        for place, file in zip(folders, files, strict=True):
            place.mkdir()
            (place / f"font{file.suffix}").symlink_to(file.resolve())
        fonts = typst.Fonts(include_system_fonts=False, font_paths=folders)
    read = {Path(font.path).resolve() for font in fonts.fonts() if font.path is not None}
    for file in files:
        if file.resolve() not in read:
            raise FontFolderError(f"{file}: cannot be read as a font")
    return fonts


def _refuse(problem: OSError) -> None:
    raise problem


def _check(file: Path) -> None:
    if not file.is_file():  # nor is a pipe, which would be waited for
        raise FontFolderError(f"{file}: no file")
    try:
        with file.open("rb") as opened:
            size = os.fstat(opened.fileno()).st_size
            for start in _starts(opened):
                _check_font(opened, start, size)
    except OSError as wrong:
        raise FontFolderError(f"{file}: {wrong.strerror}") from None
    except FontFolderError as wrong:
        raise FontFolderError(f"{file}: {wrong}") from None


def _starts(opened: IO[bytes]) -> Iterator[int]:
    """Where the fonts of a file begin: one, or those of a collection."""
    head = _read(opened, 0, 12)
    if head[:4] != _COLLECTION:
        yield 0
        return
    (count,) = struct.unpack(">I", head[8:])
    if not 0 < count <= FONTS_MAX:
        raise FontFolderError(f"a collection of {count} fonts, of {FONTS_MAX} at most")
    yield from struct.unpack(f">{count}I", _read(opened, 12, 4 * count))


def _check_font(opened: IO[bytes], start: int, size: int) -> None:
    """It has the tables that any font has, and each lies within the file."""
    head = _read(opened, start, 12)
    (count,) = struct.unpack(">H", head[4:6])
    if head[:4] not in _KINDS or not 0 < count <= TABLES_MAX:
        raise FontFolderError("not a TrueType or OpenType font")
    tags = set()
    for tag, _, at, length in struct.iter_unpack(">4sIII", _read(opened, start + 12, 16 * count)):
        if at + length > size:
            raise FontFolderError("cut short")
        tags.add(tag)
    missing = [tag.decode() for tag in _NEEDED if tag not in tags]
    if missing or not tags & _PICTURES:
        raise FontFolderError(f"no whole font: it lacks {missing[0] if missing else 'pictures'}")


def _read(opened: IO[bytes], at: int, length: int) -> bytes:
    opened.seek(at)
    found = opened.read(length)
    if len(found) < length:
        raise FontFolderError("cut short")
    return found
