"""Bytes to text, in the charset that they state: as browsers read it, but strictly."""

from __future__ import annotations

import codecs
from functools import cache

from tenantry.adapters.extraction.charset_labels import CODECS
from tenantry.domain.errors import Unreadable

# UTF-32 stands first: its mark in little endian begins as that of UTF-16 does.
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_OF_MARKED = {"utf-8": "utf-8-sig"}  # the others take their mark off anyway
_OF_MANY_BYTES = frozenset({"utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"}) | {
    *("ascii", "cp932", "euc_jp", "cp949", "gb18030", "big5hkscs")
}
# Where Python's tables are older or narrower than those of WHATWG Encoding.
_OTHERWISE = {"cp1255": {0xCA: "\u05ba"}, "koi8_u": {0xAE: "\u045e", 0xBE: "\u040e"}}
_UNDEFINED = "\ufffe"  # as `codecs.charmap_decode` knows it
_CONTROLS = range(0x80, 0xA0)  # a byte of these that means nothing else is its control character
_EURO = "tenantry.euro"
_EURO_BYTE = 0x80  # in GB18030 and GBK, where no other character begins so
_EUROS_MAX = 1_000_000  # each costs a call of Python


def decoded(data: bytes, stated: str) -> str:
    """By byte order mark, else as stated. Else Unreadable, also for bytes that mean nothing."""
    name, codec = _charset_of(data, stated)
    try:
        return _decoded(data, codec)
    except UnicodeDecodeError:
        raise Unreadable(
            f"The text is not valid {name}; state its charset or send UTF-8."
        ) from None


def _charset_of(data: bytes, stated: str) -> tuple[str, str]:
    """Its name and Python's codec."""
    for mark, name in _MARKS:
        if data.startswith(mark):
            return name, _OF_MARKED.get(name, name)
    if stated not in CODECS:
        raise Unreadable(f"The charset {stated[:40]} is not supported: send UTF-8.")
    return stated, CODECS[stated]


def _decoded(data: bytes, codec: str) -> str:
    if codec not in _OF_MANY_BYTES:
        return codecs.charmap_decode(data, "strict", _table(codec))[0]
    if codec != "gb18030" or data.count(_EURO_BYTE) > _EUROS_MAX:
        return data.decode(codec)
    codecs.register_error(_EURO, _euro)
    return data.decode(codec, _EURO)


@cache
def _table(codec: str) -> str:
    """What each of its 256 bytes means."""
    otherwise = _OTHERWISE.get(codec, {})
    return "".join(otherwise.get(byte) or _meaning(byte, codec) for byte in range(256))


def _meaning(byte: int, codec: str) -> str:
    try:
        return bytes([byte]).decode(codec)
    except UnicodeDecodeError:
        return chr(byte) if byte in _CONTROLS else _UNDEFINED


def _euro(error: UnicodeError) -> tuple[str, int]:
    if isinstance(error, UnicodeDecodeError) and error.object[error.start] == _EURO_BYTE:
        return "€", error.start + 1
    raise error
