"""An offer to upgrade to HTTP/2, which is passed over."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

_OF_AN_OFFER: Final = frozenset({"connection", "upgrade", "http2-settings"})


def head_without_offer(
    method: bytes, target: bytes, version: str, items: Iterable[tuple[str, str]]
) -> bytes:
    """The head of a request as if it had not offered to upgrade (`h2c`, RFC 7540 §3.2)."""
    lines = [b"%b %b HTTP/%b" % (method, target, version.encode("ascii"))]
    for name, value in items:
        if name not in _OF_AN_OFFER:
            lines.append(f"{name}: {value}".encode("latin-1"))
        elif name == "connection" and "close" in value.lower().replace(" ", "").split(","):
            lines.append(b"connection: close")
    return b"\r\n".join((*lines, b"", b""))
