"""The parts of a DOCX, found by their relationships: names are conventions, and Word keeps others.

What is not read is never unpacked: a picture or an embedded file may be of any size.
python-docx's own reader knows the transitional names alone, and unpacks every picture.
"""

from __future__ import annotations

import posixpath
import zipfile
from collections.abc import Iterator
from typing import Any

from tenantry.domain.errors import Unreadable

# "Strict Open XML" is the same language with other names for its vocabularies.
_TRANSITIONAL = {
    "{http://purl.oclc.org/ooxml/wordprocessingml/main": (
        "{http://schemas.openxmlformats.org/wordprocessingml/2006/main"
    ),
    "{http://purl.oclc.org/ooxml/officeDocument/math": (
        "{http://schemas.openxmlformats.org/officeDocument/2006/math"
    ),
    "{http://purl.oclc.org/ooxml/officeDocument/relationships": (
        "{http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    ),
    "{http://purl.oclc.org/ooxml/drawingml/main": (
        "{http://schemas.openxmlformats.org/drawingml/2006/main"
    ),
}


UNCOMPRESSED_BYTES_MAX = 200 * 1024 * 1024  # of all parts that are read
RATIO_MAX = 200  # XML compresses 10 to 30 times; a bomb a thousand times
RATIO_FROM_BYTES = 1024 * 1024  # below this a high ratio harms nobody


class Package:
    """An archive's parts as they are read."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive
        self._bytes: dict[str, int] = {}  # of each part that was read

    def __contains__(self, name: object) -> bool:
        return name in self._archive.NameToInfo

    def read(self, name: str) -> bytes:
        """A part's bytes. KeyError for none; Unreadable, by the archive's own directory and before
        it is unpacked, for a bomb.
        """
        entry = self._archive.getinfo(name)
        self._bytes[name] = entry.file_size
        bound = RATIO_MAX * max(entry.compress_size, 1)
        if (entry.file_size > RATIO_FROM_BYTES and entry.file_size > bound) or (
            sum(self._bytes.values()) > UNCOMPRESSED_BYTES_MAX
        ):
            raise Unreadable("The DOCX unpacks to far more than it holds: refused as a zip bomb.")
        return self._archive.read(entry)


def related(package: Package, source: str) -> dict[str, str]:
    """Names of the parts that one relates to, by kind, such as `footnotes`; the first of a kind.

    An empty source is the package itself.
    """
    found: dict[str, str] = {}
    for kind, _, target in relations(package, source):
        found.setdefault(kind, target)
    return found


def relations(package: Package, source: str) -> Iterator[tuple[str, str, str]]:
    """Kind, id and name of each part that one relates to; none that stands elsewhere."""
    folder, name = posixpath.split(source)
    path = posixpath.join(folder, "_rels", f"{name}.rels")
    if path in package:
        for one in part(package, path).iter("{*}Relationship"):
            if one.get("TargetMode") != "External":
                target = posixpath.normpath(posixpath.join("/", folder, one.get("Target", "")))
                kind = one.get("Type", "").rpartition("/")[2]
                yield kind, one.get("Id", ""), target.lstrip("/")


def content_type(package: Package, name: str) -> str:
    """A part's, as the package states it, without parameters; empty where it does not."""
    stated = ""
    for one in part(package, "[Content_Types].xml").iterchildren("{*}Default", "{*}Override"):
        if one.get("PartName", "").lstrip("/").lower() == name.lower():
            stated = one.get("ContentType", "")
            break
        if name.lower().endswith(f".{one.get('Extension', '/').lower()}"):
            stated = one.get("ContentType", "")
    return str(stated).partition(";")[0].strip().lower()


def part(package: Package, name: str) -> Any:
    """Its root element, in the transitional names."""
    # Imported late: half a second, and never in the gateway's own process.
    from docx.oxml import parse_xml

    root: Any = parse_xml(package.read(name))
    if root.getroottree().docinfo.doctype:
        raise Unreadable("The DOCX holds a DOCTYPE, which none may: it is refused.")
    if root.tag.partition("}")[0] in _TRANSITIONAL:
        for element in root.iter("*"):
            element.tag = _transitional(element.tag)
            for key, value in element.attrib.items():
                if _transitional(key) != key:
                    del element.attrib[key]
                    element.set(_transitional(key), value)
    return root


def _transitional(name: str) -> str:
    space, brace, local = name.partition("}")
    return _TRANSITIONAL.get(space, space) + brace + local
