"""The offer of an HTTP/1.1 client to go on in HTTP/2, which is passed over."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

_OF_AN_OFFER: Final = frozenset({"connection", "upgrade", "http2-settings"})


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
