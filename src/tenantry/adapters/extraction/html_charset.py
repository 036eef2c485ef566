"""What charset a page says that it is in: HTML standard, "prescan a byte stream"."""

from __future__ import annotations

import re
from collections.abc import Mapping

from tenantry.adapters.extraction.charset_labels import CODECS, NOT_TAKEN

_WITHIN_BYTES = 1_024
_TAG = re.compile(rb"</?([a-zA-Z][^\s/>]*+)")
_ATTRIBUTE = re.compile(
    rb"""[\s/]*+([^\s/>][^\s/>=]*+)(?:\s*+=\s*+(?:"([^"]*+)"?|'([^']*+)'?|([^\s>]*+)))?""",
    re.S,
)
_CHARSET = re.compile(rb"""charset\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s;"'][^\s;]*))""", re.I)

_XML = re.compile(
    rb"""<\?xml[^>]*?encoding[\0-\x20]*+=[\0-\x20]*+"""  # the first; of a kilobyte
    rb"""(?:"([^"\0-\x20]*)"|'([^'\0-\x20]*)')"""
)


def charset_of_page(data: bytes) -> str:
    """In lower case; empty where it says none that browsers know."""
    head = data[:_WITHIN_BYTES]
    stated = _stated(head) or _of_xml(head)
    # One that could be read for it is not in UTF-16.
    return "utf-8" if stated.startswith("utf-16") else stated


def _stated(head: bytes) -> str:
    at = 0
    while (at := head.find(b"<", at)) >= 0:
        tag = _TAG.match(head, at)
        if tag is not None:
            attributes, at = _attributes(head, tag.end())
            if head[tag.start() + 1] != ord("/") and tag[1].lower() == b"meta":
                stated = _of_meta(attributes).strip().rstrip(b"/;")  # as in `<meta charset=utf-8/>`
                if label := _known(stated):
                    return label
        elif head.startswith(b"<!--", at):
            at = _after(head, b"-->", at + 2)  # two of its dashes may end it
        elif head.startswith((b"<!", b"</", b"<?"), at):
            at = _after(head, b">", at)
        else:
            at += 1
    return ""


def _of_xml(head: bytes) -> str:
    """What XHTML states in its first line, where no `meta` states anything."""
    found = _XML.match(head)
    return "" if found is None else _known(found[1] or found[2])


def _known(stated: bytes) -> str:
    label = stated.strip().decode("latin-1").lower()
    return label if label in CODECS or label in NOT_TAKEN else ""


def _after(head: bytes, end: bytes, at: int) -> int:
    found = head.find(end, at)
    return len(head) if found < 0 else found + len(end)


def _attributes(head: bytes, at: int) -> tuple[Mapping[bytes, bytes], int]:
    """A tag's, the first of each name, and where they end."""
    attributes: dict[bytes, bytes] = {}
    while (found := _ATTRIBUTE.match(head, at)) is not None:
        attributes.setdefault(found[1].lower(), found[2] or found[3] or found[4] or b"")
        at = found.end()
    return attributes, at


def _of_meta(attributes: Mapping[bytes, bytes]) -> bytes:
    if b"charset" in attributes:
        return attributes[b"charset"]
    if attributes.get(b"http-equiv", b"").lower() != b"content-type":
        return b""
    found = _CHARSET.search(attributes.get(b"content", b""))
    return b"" if found is None else found[1] or found[2] or found[3] or b""
