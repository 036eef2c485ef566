"""The parts of a DOCX, found by their relationships: names are conventions, and Word keeps others.

python-docx's own reader knows the transitional names alone, and unpacks every picture.
"""

from __future__ import annotations

import posixpath
import zipfile
from typing import Any

# "Strict Open XML" is the same language with other names for its vocabularies.
_TRANSITIONAL = {
    "{http://purl.oclc.org/ooxml/wordprocessingml/main": (
        "{http://schemas.openxmlformats.org/wordprocessingml/2006/main"
    ),
    "{http://purl.oclc.org/ooxml/officeDocument/math": (
        "{http://schemas.openxmlformats.org/officeDocument/2006/math"
    ),
}


def related(archive: zipfile.ZipFile, source: str) -> dict[str, str]:
    """Names of the parts that one relates to, by kind, such as `footnotes`; the first of a kind.

    An empty source is the package itself.
    """
    folder, name = posixpath.split(source)
    relations = posixpath.join(folder, "_rels", f"{name}.rels")
    found: dict[str, str] = {}
    if relations in archive.namelist():
        for one in part(archive, relations).iter("{*}Relationship"):
            if one.get("TargetMode") != "External":
                target = posixpath.normpath(posixpath.join("/", folder, one.get("Target", "")))
                found.setdefault(one.get("Type", "").rpartition("/")[2], target.lstrip("/"))
    return found


def part(archive: zipfile.ZipFile, name: str) -> Any:
    """Its root element, in the transitional names."""
    # Imported late: half a second, and never in the gateway's own process.
    from docx.oxml import parse_xml

    root: Any = parse_xml(archive.read(name))
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
