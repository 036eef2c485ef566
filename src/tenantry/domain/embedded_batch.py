"""A batch of vectors at rest, until the document that they belong to is published.

It carries a digest of its texts: it is used for those texts alone, whatever names it.
"""

from __future__ import annotations

import hashlib
import struct
from array import array
from collections.abc import Sequence

from tenantry.domain.errors import Corrupt

_FORMAT = 1
_HEAD = struct.Struct(">HII32s")  # format, vectors, numbers in each, SHA-256 of the texts


def compact(vector: Sequence[float]) -> array[float]:
    """A vector in 32 bits a number: what a model returns, in an eighth of a list's memory.

    ValueError for what is no vector.
    """
    try:
        return array("f", vector)
    except (TypeError, OverflowError):
        raise ValueError("a vector is a list of numbers") from None


def pack_batch(vectors: Sequence[array[float]], texts: Sequence[str]) -> bytes:
    """One vector a text, all of one length."""
    assert len(vectors) == len(texts) > 0, "one vector a text"
    width = len(vectors[0])
    assert all(len(vector) == width for vector in vectors), "vectors of one length"
    head = _HEAD.pack(_FORMAT, len(vectors), width, _digest(texts))
    return head + b"".join(struct.pack(f"<{width}f", *vector) for vector in vectors)


def unpack_batch(plain: bytes, texts: Sequence[str], dimensions: int) -> list[array[float]]:
    """The vectors of exactly these texts. Corrupt where they are of others or of another length."""
    try:
        version, count, width, digest = _HEAD.unpack_from(plain)
    except struct.error:
        raise Corrupt("A stored batch of vectors is damaged.") from None
    body = memoryview(plain)[_HEAD.size :]
    if (version, count, width) != (_FORMAT, len(texts), dimensions) or digest != _digest(texts):
        raise Corrupt("A stored batch holds the vectors of other texts.")
    if len(body) != count * width * 4:
        raise Corrupt("A stored batch of vectors is damaged.")
    return [array("f", numbers) for numbers in struct.iter_unpack(f"<{width}f", body)]


def _digest(texts: Sequence[str]) -> bytes:
    digest = hashlib.sha256()
    for text in texts:
        encoded = text.encode()
        digest.update(len(encoded).to_bytes(4, "big") + encoded)
    return digest.digest()
