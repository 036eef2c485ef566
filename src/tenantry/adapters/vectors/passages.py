"""A passage as an engine holds it: its card, text and place sealed, bound to tenant and row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
import numpy.typing as npt

from tenantry.adapters.vectors.engine import RowId
from tenantry.domain.chunk import Chunk
from tenantry.domain.document import Card, Home
from tenantry.domain.errors import Corrupt
from tenantry.domain.ids import DocumentId
from tenantry.ports.keys import Sealer

KIND = "engine-passage"  # in the associated data: no other sealed blob opens as a passage
FORMAT = 1


class _Sealed(msgspec.Struct, frozen=True, array_like=True):
    format: int
    document_id: str
    start: int
    end: int
    text: str
    title: str
    content_type: str
    file_name: str
    metadata: dict[str, str | int | float | bool | list[str]]
    access: list[str]


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(_Sealed)


@dataclass(frozen=True, slots=True)
class Opened:
    document_id: DocumentId
    card: Card
    chunk: Chunk


async def seal_passage(sealer: Sealer, home: Home, row_id: RowId, passage: Opened) -> bytes:
    card, chunk = passage.card, passage.chunk
    metadata = {
        key: list(value) if isinstance(value, tuple) else value
        for key, value in card.metadata.items()
    }
    plain = _Sealed(
        FORMAT,
        passage.document_id,
        chunk.start,
        chunk.end,
        chunk.text,
        card.title,
        card.content_type,
        card.file_name,
        metadata,
        sorted(card.access),
    )
    return await sealer.seal(home, KIND, str(row_id), _encoder.encode(plain))


async def open_passage(sealer: Sealer, home: Home, row_id: RowId, sealed: bytes) -> Opened:
    """Corrupt for what was not sealed for this tenant and row."""
    plain = await sealer.open(home, KIND, str(row_id), sealed)
    try:
        held = _decoder.decode(plain)
    except msgspec.MsgspecError as error:
        raise Corrupt("A sealed passage cannot be read.") from error
    if held.format != FORMAT:
        raise Corrupt("A sealed passage has an unknown format.")
    metadata = {
        key: tuple(value) if isinstance(value, list) else value
        for key, value in held.metadata.items()
    }
    card = Card(held.title, held.content_type, held.file_name, metadata, frozenset(held.access))
    return Opened(DocumentId(held.document_id), card, Chunk(held.start, held.end, held.text))


def unit_rows(vectors: Sequence[Sequence[float]]) -> npt.NDArray[np.float32]:
    """Rows of length 1. ValueError for none, unequal lengths, zeros or what is not finite."""
    rows = np.asarray(vectors, dtype=np.float64)
    if rows.ndim != 2 or rows.size == 0:
        raise ValueError("vectors must be rows of one length")
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    if not np.isfinite(lengths).all() or not (lengths > 0.0).all():
        raise ValueError("a vector is zero or not finite")
    unit: npt.NDArray[np.float32] = (rows / lengths).astype(np.float32)
    return unit
