"""An original at rest: the card and the uploaded bytes as one plaintext, sealed as one object.

The card of a large one rests a second time beside it, as an original without bytes, so that a list
need not open the whole.
"""

from __future__ import annotations

import json
import struct

from tenantry.domain.document import Card
from tenantry.domain.errors import Corrupt

_FORMAT = 1
_HEAD = struct.Struct(">HI")  # format, length of the card in bytes


def pack_original(card: Card, data: bytes) -> bytes:
    """Deterministic: the same card and bytes give the same plaintext."""
    encoded = _encoded(card)
    return _HEAD.pack(_FORMAT, len(encoded)) + encoded + data


def card_bytes(card: Card) -> int:
    """What a card weighs in its stored form."""
    return len(_encoded(card))


def _encoded(card: Card) -> bytes:
    described = {
        "title": card.title,
        "content_type": card.content_type,
        "file_name": card.file_name,
        "metadata": dict(card.metadata),
        "access": sorted(card.access),
    }
    text = json.dumps(described, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return text.encode()


def unpack_original(plain: bytes) -> tuple[Card, bytes]:
    """The inverse of `pack_original`. Corrupt for what it did not make."""
    try:
        version, length = _HEAD.unpack_from(plain)
        body = json.loads(plain[_HEAD.size : _HEAD.size + length])
        metadata = {
            key: tuple(value) if isinstance(value, list) else value
            for key, value in body["metadata"].items()
        }
        card = Card(
            body["title"],
            body["content_type"],
            body["file_name"],
            metadata,
            frozenset(body["access"]),
        )
    except (struct.error, ValueError, KeyError, TypeError, AttributeError):
        raise Corrupt("A stored original is damaged.") from None
    if version != _FORMAT:
        raise Corrupt("A stored original has an unknown format.")
    return card, plain[_HEAD.size + length :]
