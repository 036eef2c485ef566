"""OpenAI's `metadata` as Bedrock's `requestMetadata`, which takes less of it. Pure.

It annotates a call and decides nothing, so that what Bedrock cannot take is escaped, cut or left
out. Only the keys that attribute a call are refused, as on every API.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from tenantry.application.upstream import CLIENT_METADATA_MAX, OWN_METADATA
from tenantry.entrypoints.http.openai.refusing import refused

PAIRS_MAX: Final = 16  # OpenAI's own bounds (API reference, chat completions, 2026-11)
KEY_CHARS_MAX: Final = 64
VALUE_CHARS_MAX: Final = 512
_BEDROCK_CHARS_MAX: Final = 256  # of a key and of a value (service model)
_TAKEN: Final = re.compile(r"[a-zA-Z0-9\s:_@$#=/+,\-.]", re.ASCII)
_LIKE_OURS: Final = re.compile("=[0-9a-fA-F]{2}")


def to_request_metadata(metadata: Mapping[str, str] | None) -> dict[str, str]:
    """The first pairs, as many as Bedrock has room for. Raises `BadRequest` beyond OpenAI's own
    bounds, and for keys of ours."""
    pairs = metadata or {}
    ours = sorted(OWN_METADATA & pairs.keys())
    if ours:
        raise refused("metadata", f"must not hold the reserved key `{ours[0]}`.")
    if len(pairs) > PAIRS_MAX:
        raise refused("metadata", f"takes at most {PAIRS_MAX} pairs.")
    kept: dict[str, str] = {}
    for key, value in pairs.items():
        if len(key) > KEY_CHARS_MAX:
            raise refused("metadata", f"takes keys of at most {KEY_CHARS_MAX} characters.")
        if len(value) > VALUE_CHARS_MAX:
            raise refused("metadata", f"takes values of at most {VALUE_CHARS_MAX} characters.")
        name = _escaped(key)
        if name and name not in kept and len(kept) < CLIENT_METADATA_MAX:
            kept[name] = _escaped(value)
    return kept


def _escaped(text: str) -> str:
    """Each other character as `=` and the hexadecimal of its bytes in UTF-8, and so a `=` that two
    such digits follow: texts that differ stay so. Cut where it is too long, never within one."""
    pieces: list[str] = []
    room = _BEDROCK_CHARS_MAX
    for at, character in enumerate(text):
        piece = character
        if not _TAKEN.fullmatch(character) or _LIKE_OURS.match(text, at):
            piece = "".join(f"={byte:02X}" for byte in character.encode())
        if len(piece) > room:
            break
        pieces.append(piece)
        room -= len(piece)
    return "".join(pieces)
