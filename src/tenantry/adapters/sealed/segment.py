"""A segment in memory: its content before sealing, and open after decryption."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
import numpy.typing as npt

from tenantry.adapters.sealed.kernel import F16, unit_f16
from tenantry.domain.document import Card
from tenantry.domain.envelope import Plane
from tenantry.domain.errors import Corrupt
from tenantry.domain.ids import DocumentId
from tenantry.ports.vectors import Embedded

CATALOGUE_FORMAT = 1
_CARD_BYTES = 1_024  # what a decoded card is taken to weigh in memory, generously


class _CardEntry(msgspec.Struct, frozen=True, array_like=True):
    document_id: str
    title: str
    content_type: str
    file_name: str
    metadata: dict[str, str | int | float | bool | list[str]]
    access: list[str]


class _Catalogue(msgspec.Struct, frozen=True):
    """Row arrays are little-endian: document number, start and end (u4), text end (u8)."""

    format: int
    dimensions: int
    cards: list[_CardEntry]
    documents: bytes
    starts: bytes
    ends: bytes
    text_ends: bytes


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(_Catalogue)


@dataclass(slots=True)
class Segment:
    """Rows of passages in clear. `wipe` zeroes vectors and texts; the segment is useless then."""

    ids: tuple[DocumentId, ...]
    cards: tuple[Card, ...]
    row_documents: npt.NDArray[np.uint32]  # index into ids and cards
    starts: npt.NDArray[np.uint32]
    ends: npt.NDArray[np.uint32]
    text_ends: npt.NDArray[np.uint64]
    vectors: F16
    texts: bytearray

    @property
    def rows(self) -> int:
        return len(self.row_documents)

    @property
    def dimensions(self) -> int:
        return int(self.vectors.shape[1])

    @property
    def size_bytes(self) -> int:
        rows = self.row_documents.nbytes + self.starts.nbytes + self.ends.nbytes
        cards = _CARD_BYTES * len(self.cards)
        return self.vectors.nbytes + len(self.texts) + rows + self.text_ends.nbytes + cards

    def text(self, row: int) -> str:
        begin = int(self.text_ends[row - 1]) if row else 0
        return self.texts[begin : int(self.text_ends[row])].decode()

    def wipe(self) -> None:
        self.vectors.view(np.uint16)[:] = 0
        self.texts[:] = bytes(len(self.texts))
        self.cards = ()


def from_document(document: Embedded) -> Segment:
    """The segment of one freshly embedded document. ValueError for unusable vectors."""
    encoded = [chunk.text.encode() for chunk in document.chunks]
    vectors = unit_f16(document.vectors)
    if len(vectors) != len(encoded):
        raise ValueError("there must be one vector a chunk")
    return Segment(
        ids=(document.document_id,),
        cards=(document.card,),
        row_documents=np.zeros(len(encoded), dtype="<u4"),
        starts=np.array([chunk.start for chunk in document.chunks], dtype="<u4"),
        ends=np.array([chunk.end for chunk in document.chunks], dtype="<u4"),
        text_ends=np.cumsum([len(text) for text in encoded], dtype="<u8"),
        vectors=vectors,
        texts=bytearray(b"".join(encoded)),
    )


def merged(sources: Sequence[tuple[Segment, frozenset[DocumentId]]]) -> Segment:
    """One segment of the live rows of several, in their order. At least one row must be live."""
    ids: list[DocumentId] = []
    cards: list[Card] = []
    parts: list[Segment] = []
    for segment, live in sources:
        kept = [number for number, name in enumerate(segment.ids) if name in live]
        renumbered = np.zeros(len(segment.ids), dtype="<u4")
        renumbered[kept] = np.arange(len(ids), len(ids) + len(kept), dtype="<u4")
        rows = np.flatnonzero(np.isin(segment.row_documents, kept))
        ids += [segment.ids[number] for number in kept]
        cards += [segment.cards[number] for number in kept]
        parts.append(_selected(segment, rows, renumbered))
    joined = bytearray().join(part.texts for part in parts)
    lengths = np.concatenate([np.diff(part.text_ends, prepend=0) for part in parts])
    return Segment(
        ids=tuple(ids),
        cards=tuple(cards),
        row_documents=np.concatenate([part.row_documents for part in parts]),
        starts=np.concatenate([part.starts for part in parts]),
        ends=np.concatenate([part.ends for part in parts]),
        text_ends=np.cumsum(lengths, dtype="<u8"),
        vectors=np.concatenate([part.vectors for part in parts]),
        texts=joined,
    )


def _selected(
    segment: Segment, rows: npt.NDArray[np.intp], renumbered: npt.NDArray[np.uint32]
) -> Segment:
    ends = segment.text_ends
    texts = [segment.texts[int(ends[row - 1]) if row else 0 : int(ends[row])] for row in rows]
    return Segment(
        ids=segment.ids,
        cards=segment.cards,
        row_documents=renumbered[segment.row_documents[rows]],
        starts=segment.starts[rows],
        ends=segment.ends[rows],
        text_ends=np.cumsum([len(text) for text in texts], dtype="<u8"),
        vectors=segment.vectors[rows],
        texts=bytearray().join(texts),
    )


def to_planes(segment: Segment) -> dict[int, bytes]:
    """What is sealed: the inverse of `from_planes`."""
    catalogue = _Catalogue(
        format=CATALOGUE_FORMAT,
        dimensions=segment.dimensions,
        cards=[_entry(name, card) for name, card in zip(segment.ids, segment.cards, strict=True)],
        documents=segment.row_documents.tobytes(),
        starts=segment.starts.tobytes(),
        ends=segment.ends.tobytes(),
        text_ends=segment.text_ends.tobytes(),
    )
    return {
        Plane.CATALOGUE: _encoder.encode(catalogue),
        Plane.VECTORS_F16: segment.vectors.tobytes(),
        Plane.TEXTS: bytes(segment.texts),
    }


def from_planes(planes: dict[int, bytearray]) -> Segment:
    """An open segment over the planes' own memory. Corrupt where their parts do not fit."""
    try:
        catalogue = _decoder.decode(planes[Plane.CATALOGUE])
        if catalogue.format != CATALOGUE_FORMAT:
            raise Corrupt("A segment's catalogue has an unknown format.")
        vectors = np.frombuffer(planes[Plane.VECTORS_F16], dtype="<f2")
        segment = Segment(
            ids=tuple(DocumentId(entry.document_id) for entry in catalogue.cards),
            cards=tuple(_card(entry) for entry in catalogue.cards),
            row_documents=np.frombuffer(catalogue.documents, dtype="<u4"),
            starts=np.frombuffer(catalogue.starts, dtype="<u4"),
            ends=np.frombuffer(catalogue.ends, dtype="<u4"),
            text_ends=np.frombuffer(catalogue.text_ends, dtype="<u8"),
            vectors=vectors.reshape(-1, catalogue.dimensions),
            texts=planes[Plane.TEXTS],
        )
    except (KeyError, ValueError, msgspec.MsgspecError) as error:
        raise Corrupt("A segment's planes do not fit together.") from error
    _check(segment)
    return segment


def _check(segment: Segment) -> None:
    rows = segment.rows
    ends = segment.text_ends.astype(np.int64)
    right = (
        rows > 0
        and all(len(array) == rows for array in _row_arrays(segment))
        and int(segment.row_documents.max()) < len(segment.ids)
        and bool(np.all(np.diff(ends, prepend=0) >= 0))
        and int(ends[-1]) == len(segment.texts)
    )
    if not right:
        raise Corrupt("A segment's planes do not fit together.")


def _row_arrays(segment: Segment) -> Iterable[npt.NDArray[np.generic]]:
    return segment.row_documents, segment.starts, segment.ends, segment.text_ends, segment.vectors


def _entry(document_id: DocumentId, card: Card) -> _CardEntry:
    metadata = {
        key: list(value) if isinstance(value, tuple) else value
        for key, value in card.metadata.items()
    }
    return _CardEntry(
        document_id, card.title, card.content_type, card.file_name, metadata, sorted(card.access)
    )


def _card(entry: _CardEntry) -> Card:
    metadata = {
        key: tuple(value) if isinstance(value, list) else value
        for key, value in entry.metadata.items()
    }
    return Card(entry.title, entry.content_type, entry.file_name, metadata, frozenset(entry.access))
