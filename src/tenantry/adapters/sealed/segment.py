"""A segment as a whole, in memory: before it is sealed, and while segments are merged."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from tenantry.adapters.sealed.catalogue import (
    Catalogue,
    joined_cards,
    little_bytes,
    to_encoded,
    unpack_catalogue,
)
from tenantry.adapters.sealed.kernel import Planes, biased, split, unbiased
from tenantry.adapters.sealed.keyword_building import built, merged_rows
from tenantry.adapters.sealed.keywords import Keywords
from tenantry.adapters.sealed.layout import nearby_order
from tenantry.adapters.sealed.memory import zero
from tenantry.domain.document import Card
from tenantry.domain.envelope import Plane
from tenantry.domain.errors import Corrupt
from tenantry.domain.ids import DocumentId
from tenantry.ports.vectors import Embedded

_RECORD = struct.Struct("<II")  # a passage's start and end in the extracted text
_OWN = frozenset({Plane.CATALOGUE, Plane.VECTORS_HIGH, Plane.VECTORS_LOW, Plane.PASSAGES})


@dataclass(slots=True)
class Segment:
    """Rows of passages in clear. `wipe` zeroes them; the segment is useless then."""

    catalogue: Catalogue
    vectors: Planes
    passages: bytearray  # a record of each row: start, end, UTF-8 text
    more: dict[int, bytearray] = field(default_factory=dict)  # further planes, by number

    @property
    def rows(self) -> int:
        return self.catalogue.rows

    @property
    def dimensions(self) -> int:
        return self.catalogue.dimensions

    @property
    def ids(self) -> tuple[DocumentId, ...]:
        return self.catalogue.ids

    @property
    def cards(self) -> tuple[Card, ...]:
        return tuple(self.catalogue.card(number) for number in range(len(self.ids)))

    def text(self, row: int) -> str:
        return from_record(self.record(row))[2]

    def record(self, row: int) -> bytes:
        start, end = self.catalogue.record(row)
        return bytes(self.passages[start:end])

    def wipe(self) -> None:
        for memory in (self.passages, *self.more.values()):
            zero(memoryview(memory))
        for plane in (self.vectors.high, self.vectors.low, self.catalogue.cards):
            if plane.flags.writeable:
                plane[:] = 0


def to_record(start: int, end: int, text: str) -> bytes:
    return _RECORD.pack(start, end) + text.encode()


def from_record(record: bytes | memoryview) -> tuple[int, int, str]:
    """Start, end and text. Corrupt for what is no record."""
    try:
        start, end = _RECORD.unpack_from(record)
        return start, end, bytes(record[_RECORD.size :]).decode()
    except (struct.error, UnicodeDecodeError) as error:
        raise Corrupt("A passage cannot be read.") from error


def from_document(document: Embedded) -> Segment:
    """The segment of one freshly embedded document. ValueError for unusable vectors."""
    vectors = split(document.vectors)
    if vectors.rows != len(document.chunks):
        raise ValueError("there must be one vector a chunk")
    records = [to_record(chunk.start, chunk.end, chunk.text) for chunk in document.chunks]
    return _segment(
        [document.document_id],
        [to_encoded(document.card)],
        np.zeros(len(records), dtype="<u4"),
        vectors,
        records,
        built(chunk.text for chunk in document.chunks),
    )


def merged(sources: Sequence[tuple[Segment, frozenset[DocumentId]]], seed: int) -> Segment:
    """One segment of the live rows of several, neighbours together. One row must be live.

    Stored values are moved, never computed anew: a merge changes no score.
    """
    ids: list[DocumentId] = []
    cards: list[bytes] = []
    documents: list[npt.NDArray[np.uint32]] = []
    kept_rows: list[npt.NDArray[np.intp]] = []
    for segment, live in sources:
        kept = [number for number, name in enumerate(segment.ids) if name in live]
        renumbered = np.zeros(len(segment.ids), dtype="<u4")
        renumbered[kept] = np.arange(len(ids), len(ids) + len(kept), dtype="<u4")
        rows = np.flatnonzero(np.isin(segment.catalogue.documents, kept))
        ids += [segment.ids[number] for number in kept]
        cards += [segment.catalogue.encoded_card(number) for number in kept]
        documents.append(renumbered[segment.catalogue.documents[rows]])
        kept_rows.append(rows)
    pairs = [(segment, rows) for (segment, _), rows in zip(sources, kept_rows, strict=True)]
    vectors = Planes(
        np.concatenate([segment.vectors.high[rows] for segment, rows in pairs]),
        np.concatenate([segment.vectors.low[rows] for segment, rows in pairs]),
        np.concatenate([segment.vectors.scale[rows] for segment, rows in pairs]),
        np.concatenate([segment.vectors.residual[rows] for segment, rows in pairs]),
    )
    records = [segment.record(int(row)) for segment, rows in pairs for row in rows]
    order = nearby_order(vectors.high, vectors.scale, seed)
    words = merged_rows([(_keywords(segment), rows) for segment, rows in pairs], order)
    return _segment(
        ids,
        cards,
        np.concatenate(documents)[order],
        Planes(
            vectors.high[order],
            vectors.low[order],
            vectors.scale[order],
            vectors.residual[order],
        ),
        [records[row] for row in order],
        words,
    )


def _keywords(segment: Segment) -> Keywords:
    """The segment's own index, or one made now for a segment that has none."""
    held = segment.more.get(Plane.KEYWORDS)
    if held is not None:
        return Keywords(held, segment.rows)
    return built(segment.text(row) for row in range(segment.rows))


def _segment(
    ids: Sequence[DocumentId],
    cards: Sequence[bytes],
    documents: npt.NDArray[np.uint32],
    vectors: Planes,
    records: Sequence[bytes],
    words: Keywords,
) -> Segment:
    encoded, card_ends = joined_cards(cards)
    ends = np.cumsum([len(record) for record in records], dtype=np.uint64)
    if len(ends) and int(ends[-1]) >= 2**32:
        raise ValueError("a segment's passages are larger than 4 GiB")
    catalogue = Catalogue(
        dimensions=int(vectors.high.shape[1]),
        ids=tuple(ids),
        cards=encoded,
        card_ends=card_ends,
        documents=documents,
        record_ends=ends.astype("<u4"),
        scale=vectors.scale,
        residual=vectors.residual,
    )
    more = {int(Plane.KEYWORDS): words.plane()}
    return Segment(catalogue, vectors, bytearray().join(records), more)


def to_planes(segment: Segment) -> dict[int, Any]:
    """What is sealed: the inverse of `from_planes`. First what is read when a segment is opened."""
    return {
        Plane.CATALOGUE: segment.catalogue.pack(),
        Plane.VECTORS_HIGH: little_bytes(biased(segment.vectors.high)),
        Plane.VECTORS_LOW: little_bytes(segment.vectors.low),
        Plane.PASSAGES: segment.passages,
        **segment.more,
    }


def from_planes(planes: Mapping[int, memoryview]) -> Segment:
    """A whole segment over the planes' own memory. Corrupt where their parts do not fit."""
    catalogue = unpack_catalogue(planes[Plane.CATALOGUE])
    shape = (catalogue.rows, catalogue.dimensions)
    try:
        vectors = Planes(
            unbiased(np.frombuffer(planes[Plane.VECTORS_HIGH], np.uint8).reshape(shape)),
            np.frombuffer(planes[Plane.VECTORS_LOW], np.int8).reshape(shape),
            catalogue.scale,
            catalogue.residual,
        )
    except ValueError as error:
        raise Corrupt("A segment's planes do not fit together.") from error
    passages = planes[Plane.PASSAGES]
    if int(catalogue.record_ends[-1]) != len(passages):
        raise Corrupt("A segment's planes do not fit together.")
    more = {plane: _owned(data) for plane, data in planes.items() if plane not in _OWN}
    return Segment(catalogue, vectors, _owned(passages), more)


def _owned(memory: memoryview) -> bytearray:
    return memory.obj if isinstance(memory.obj, bytearray) else bytearray(memory)
