"""What charset a page says that it is in: HTML standard, "prescan a byte stream"."""

from __future__ import annotations

import re
from collections.abc import Mapping

_WITHIN_BYTES = 1_024
_TAG = re.compile(rb"</?([a-zA-Z][^\s/>]*+)")
_ATTRIBUTE = re.compile(
    rb"""[\s/]*+([^\s/>][^\s/>=]*+)(?:\s*+=\s*+("[^"]*+"?|'[^']*+'?|[^\s>]*+))?""", re.S
)
_CHARSET = re.compile(rb"""charset\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s;"']+))""", re.I)


def charset_of_page(data: bytes) -> str:
    """In lower case; empty where it says none."""
    stated = _stated(data[:_WITHIN_BYTES]).strip().decode("latin-1").lower()
    # One that could be read for it is not in UTF-16.
    return "utf-8" if stated.startswith("utf-16") else stated


def _stated(head: bytes) -> bytes:
    at = 0
    while (at := head.find(b"<", at)) >= 0:
        tag = _TAG.match(head, at)
        if tag is not None:
            attributes, at = _attributes(head, tag.end())
            if head[tag.start() + 1] != ord("/") and tag[1].lower() == b"meta":
                stated = _of_meta(attributes)
                if stated:
                    return stated
        elif head.startswith(b"<!--", at):
            at = _after(head, b"-->", at + 2)  # two of its dashes may end it
        elif head.startswith((b"<!", b"</", b"<?"), at):
            at = _after(head, b">", at)
        else:
            at += 1
    return b""


def _after(head: bytes, end: bytes, at: int) -> int:
    found = head.find(end, at)
    return len(head) if found < 0 else found + len(end)


def _attributes(head: bytes, at: int) -> tuple[Mapping[bytes, bytes], int]:
    """A tag's, the first of each name, and where they end."""
    attributes: dict[bytes, bytes] = {}
    while (found := _ATTRIBUTE.match(head, at)) is not None:
        attributes.setdefault(found[1].lower(), (found[2] or b"").strip(b"\"'"))
        at = found.end()
    return attributes, at


def _of_meta(attributes: Mapping[bytes, bytes]) -> bytes:
    if b"charset" in attributes:
        return attributes[b"charset"]
    if attributes.get(b"http-equiv", b"").lower() != b"content-type":
        return b""
    found = _CHARSET.search(attributes.get(b"content", b""))
    return b"" if found is None else found[1] or found[2] or found[3] or b""
