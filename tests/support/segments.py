"""Segments made of given vectors, sealed in memory, and opened as a reader meets them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tenantry.adapters.sealed.frames import (
    Binding,
    SealedPlanes,
    frame_bytes_of,
    read_header,
    seal_planes,
)
from tenantry.adapters.sealed.open_segment import OpenSegment, opened
from tenantry.adapters.sealed.segment import Segment, from_document, merged, to_planes
from tenantry.domain.chunk import Chunk
from tenantry.domain.document import Card
from tenantry.domain.ids import DocumentId, SegmentId, TenantId
from tenantry.ports.objects import Range
from tenantry.ports.vectors import Embedded

BINDING = Binding(TenantId("tnt_a"), SegmentId("seg_1"), 7)
CIPHER = AESGCM(bytes(32))


def segment_of(vectors: npt.ArrayLike, documents: Sequence[str]) -> Segment:
    """Rows of these documents, each with its id as title and its row's number in its text."""
    rows = np.asarray(vectors)
    parts = []
    for name in dict.fromkeys(documents):
        mine = [row for row, of in enumerate(documents) if of == name]
        chunks = [Chunk(row, row + 1, f"passage {row} of {name}") for row in mine]
        card = Card(name, "text/plain")
        parts.append(from_document(Embedded(DocumentId(name), card, "m", chunks, rows[mine])))
    return merged([(part, frozenset(part.ids)) for part in parts], seed=1)


def opened_of(segment: Segment) -> OpenSegment:
    def frame_bytes(plane: int) -> int:
        return frame_bytes_of(plane, segment.dimensions)

    return opened(
        at_rest(seal_planes(CIPHER, BINDING, 1, to_planes(segment), frame_bytes)),
    )


def at_rest(
    sealed: bytes,
    *,
    cipher: AESGCM = CIPHER,
    binding: Binding = BINDING,
    size_bytes: int | None = None,
) -> SealedPlanes:
    """A sealed segment as a reader meets it; the manifest says that it has `size_bytes`."""

    def read(ranges: Sequence[Range]) -> list[bytes]:
        return [sealed[start : start + length] for start, length in ranges]

    header = read_header(read, len(sealed) if size_bytes is None else size_bytes)
    return SealedPlanes(cipher, binding, header, read)
