"""What is said to clients that would rather speak HTTP/2."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

_OF_AN_OFFER: Final = frozenset({"connection", "upgrade", "http2-settings"})
_SETTINGS: Final = 0x4
_GOAWAY: Final = 0x7
_HTTP_1_1_REQUIRED: Final = 0xD  # RFC 9113 §7


def head_without_offer(
    method: bytes, target: bytes, version: str, headers: Mapping[str, str]
) -> bytes:
    """The head of a request as if it had not offered to upgrade (`h2c`, RFC 7540 §3.2)."""
    kept = {name: value for name, value in headers.items() if name not in _OF_AN_OFFER}
    if "close" in headers.get("connection", "").lower().replace(" ", "").split(","):
        kept["connection"] = "close"
    lines = [b"%b %b HTTP/%b" % (method, target, version.encode("ascii"))]
    lines += [f"{name}: {value}".encode("latin-1") for name, value in kept.items()]
    return b"\r\n".join((*lines, b"", b""))


def _frame(kind: int, payload: bytes) -> bytes:
    """RFC 9113 §4.1, without flags, of the whole connection."""
    return b"%b%c\x00\x00\x00\x00\x00%b" % (len(payload).to_bytes(3, "big"), kind, payload)


# To a client that begins with HTTP/2's preface: no stream was looked at, and why.
HTTP_1_1_REQUIRED: Final = _frame(_SETTINGS, b"") + _frame(
    _GOAWAY, b"\x00\x00\x00\x00%b" % _HTTP_1_1_REQUIRED.to_bytes(4, "big") + b"HTTP/1.1 is required"
)
