"""The smallest images that are images, as base64."""

from __future__ import annotations

import base64
import struct


def png(width: int = 1, height: int = 1) -> str:
    """Signature and header, which is all that anybody here looks at."""
    header = struct.pack(">II", width, height) + b"\x08\x02\x00\x00\x00"
    data = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", len(header)) + b"IHDR" + header
    return base64.b64encode(data).decode()
