"""Token estimates for what is not text. Nothing is looked at but sizes, and all are bounded."""

from __future__ import annotations

import base64
import struct
from typing import Any

# Anthropic's vision guide: about width × height / 750, and images are scaled down to about 1,600.
_PIXELS_PER_TOKEN = 750
IMAGE_TOKENS_MAX = 1_600
# Fitted to recorded answers about a one-page PDF of 13 KB.
_BYTES_PER_DOCUMENT_TOKEN = 6
_DOCUMENT_TOKENS_MAX = 150_000
_CLIP_TOKENS_MAX = 30_000
_BYTES_PER_CLIP_TOKEN = 64
# Service model, Message: of an image its bytes and its sides, of a document its bytes.
IMAGE_BYTES_MAX = 3_932_160  # 3.75 MB
IMAGE_SIDE_MAX = 8_000  # px
DOCUMENT_BYTES_MAX = 4_718_592  # 4.5 MB
TEXT_FORMATS = frozenset({"txt", "md", "csv", "html"})


def decode(data: Any) -> bytes | None:
    """The bytes of a base64 member; None where it is not base64."""
    try:
        return base64.b64decode(data, validate=True) if isinstance(data, str) else None
    except ValueError:
        return None


def image_size(data: bytes) -> tuple[int, int] | None:
    """Width and height in px; None where the bytes are no image."""
    size = _header_size(data)
    return None if size is None or 0 in size else size


def image_tokens(size: tuple[int, int]) -> int:
    return min(IMAGE_TOKENS_MAX, max(1, size[0] * size[1] // _PIXELS_PER_TOKEN))


def document_tokens(data: bytes) -> int:
    return min(_DOCUMENT_TOKENS_MAX, 1 + len(data) // _BYTES_PER_DOCUMENT_TOKEN)


def clip_tokens(data: bytes) -> int:
    """Audio or video."""
    return min(_CLIP_TOKENS_MAX, 1 + len(data) // _BYTES_PER_CLIP_TOKEN)


def _header_size(data: bytes) -> tuple[int, int] | None:
    if data[:8] == b"\x89PNG\r\n\x1a\n" and len(data) >= 24:
        width, height = struct.unpack(">II", data[16:24])
        return width, height
    if data[:6] in (b"GIF87a", b"GIF89a") and len(data) >= 10:
        width, height = struct.unpack("<HH", data[6:10])
        return width, height
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP" and len(data) >= 30:
        return _webp_size(data)
    return _jpeg_size(data) if data[:2] == b"\xff\xd8" else None


def _webp_size(data: bytes) -> tuple[int, int] | None:
    """Of its first chunk: extended, lossless or lossy (RFC 9649)."""
    kind = data[12:16]
    if kind == b"VP8X":
        return (
            1 + int.from_bytes(data[24:27], "little"),
            1 + int.from_bytes(data[27:30], "little"),
        )
    if kind == b"VP8L":
        bits = int.from_bytes(data[21:25], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    if kind == b"VP8 ":
        width, height = struct.unpack("<HH", data[26:30])
        return width & 0x3FFF, height & 0x3FFF
    return None


def _jpeg_size(data: bytes) -> tuple[int, int] | None:
    at = 2
    while at + 9 <= len(data) and data[at] == 0xFF:
        kind, length = data[at + 1], int.from_bytes(data[at + 2 : at + 4], "big")
        if kind == 0xFF:  # a fill byte before a marker
            at += 1
            continue
        if 0xC0 <= kind <= 0xCF and kind not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack(">HH", data[at + 5 : at + 9])
            return width, height
        at += 2 + max(length, 2)
    return None
