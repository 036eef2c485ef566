"""Token estimates for what is not text. Nothing is looked at but sizes, and all are bounded."""

from __future__ import annotations

import base64
import binascii
import struct
from typing import Any

# Anthropic's vision guide: about width × height / 750, and images are scaled down to about 1,600.
_PIXELS_PER_TOKEN = 750
_MAX_IMAGE_TOKENS = 1_600
# Fitted to recorded answers about a one-page PDF of 13 KB.
_BYTES_PER_DOCUMENT_TOKEN = 6
_MAX_DOCUMENT_TOKENS = 150_000
_MAX_CLIP_TOKENS = 30_000
_BYTES_PER_CLIP_TOKEN = 64
TEXT_FORMATS = frozenset({"txt", "md", "csv", "html"})


def decode(data: Any) -> bytes:
    """The bytes of a base64 member; empty where it is not base64."""
    try:
        return base64.b64decode(data, validate=True) if isinstance(data, str) else b""
    except (binascii.Error, ValueError):
        return b""


def image_tokens(data: bytes) -> int:
    size = _image_size(data)
    if size is None:
        return _MAX_IMAGE_TOKENS
    return min(_MAX_IMAGE_TOKENS, max(1, size[0] * size[1] // _PIXELS_PER_TOKEN))


def document_tokens(data: bytes) -> int:
    return min(_MAX_DOCUMENT_TOKENS, 1 + len(data) // _BYTES_PER_DOCUMENT_TOKEN)


def clip_tokens(data: bytes) -> int:
    """Audio or video."""
    return min(_MAX_CLIP_TOKENS, 1 + len(data) // _BYTES_PER_CLIP_TOKEN)


def _image_size(data: bytes) -> tuple[int, int] | None:
    if data[:8] == b"\x89PNG\r\n\x1a\n" and len(data) >= 24:
        width, height = struct.unpack(">II", data[16:24])
        return width, height
    if data[:6] in (b"GIF87a", b"GIF89a") and len(data) >= 10:
        width, height = struct.unpack("<HH", data[6:10])
        return width, height
    return _jpeg_size(data) if data[:2] == b"\xff\xd8" else None


def _jpeg_size(data: bytes) -> tuple[int, int] | None:
    at = 2
    while at + 9 <= len(data) and data[at] == 0xFF:
        kind, length = data[at + 1], int.from_bytes(data[at + 2 : at + 4], "big")
        if 0xC0 <= kind <= 0xCF and kind not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack(">HH", data[at + 5 : at + 9])
            return width, height
        at += 2 + max(length, 2)
    return None
