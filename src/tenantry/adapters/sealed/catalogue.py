"""A segment's catalogue: the documents' cards, and what a scan needs to know of each row.

Little-endian arrays over one piece of memory, which is zeroed when the segment is dropped. Cards
stay encoded: a card is decoded when a search asks for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from tenantry.adapters.sealed.kernel import F32
from tenantry.domain.document import Card
from tenantry.domain.errors import Corrupt
from tenantry.domain.ids import DocumentId

CATALOGUE_FORMAT = 2

U32 = npt.NDArray[np.uint32]


class _CardEntry(msgspec.Struct, frozen=True, array_like=True):
    title: str
    content_type: str
    file_name: str
    metadata: dict[str, str | int | float | bool | list[str]]
    access: list[str]


class _Written(msgspec.Struct, frozen=True, array_like=True):
    format: int
    dimensions: int
    ids: list[str]
    cards: memoryview
    card_ends: memoryview
    documents: memoryview
    record_ends: memoryview
    scale: memoryview
    residual: memoryview


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(_Written)
_card_decoder = msgspec.msgpack.Decoder(_CardEntry)


@dataclass(frozen=True, slots=True)
class Catalogue:
    dimensions: int
    ids: tuple[DocumentId, ...]
    cards: npt.NDArray[np.uint8]  # encoded, one after the other
    card_ends: U32
    documents: U32  # of each row: index into ids
    record_ends: U32  # of each row, in the plane of passages
    scale: F32
    residual: F32

    @property
    def rows(self) -> int:
        return len(self.documents)

    def card(self, number: int) -> Card:
        return from_encoded(self._encoded(number))

    def encoded_card(self, number: int) -> bytes:
        return bytes(self._encoded(number))

    def _encoded(self, number: int) -> memoryview:
        start = self.card_ends.item(number - 1) if number else 0
        return self.cards.data[start : self.card_ends.item(number)]

    def record(self, row: int) -> tuple[int, int]:
        """Where a row's passage begins and ends in its plane."""
        return self.record_ends.item(row - 1) if row else 0, self.record_ends.item(row)

    def pack(self) -> bytes:
        return _encoder.encode(
            _Written(
                CATALOGUE_FORMAT,
                self.dimensions,
                list(self.ids),
                *(little_bytes(array) for array in self._arrays()),
            )
        )

    def _arrays(self) -> Sequence[npt.NDArray[Any]]:
        places = self.card_ends, self.documents, self.record_ends
        return [self.cards, *places, self.scale, self.residual]


def joined_cards(encoded: Sequence[bytes]) -> tuple[npt.NDArray[np.uint8], U32]:
    """Encoded cards as a catalogue holds them: their bytes, and where each ends."""
    ends: U32 = np.cumsum([len(card) for card in encoded], dtype="<u4")
    return np.frombuffer(b"".join(encoded), np.uint8), ends


def unpack_catalogue(memory: memoryview) -> Catalogue:
    """A catalogue over this memory, without a copy. Corrupt where its parts do not fit."""
    try:
        found = _decoder.decode(memory)
        if found.format != CATALOGUE_FORMAT:
            raise Corrupt("A segment's catalogue has an unknown format.")
        catalogue = Catalogue(
            found.dimensions,
            tuple(DocumentId(name) for name in found.ids),
            np.frombuffer(found.cards, np.uint8),
            np.frombuffer(found.card_ends, "<u4"),
            np.frombuffer(found.documents, "<u4"),
            np.frombuffer(found.record_ends, "<u4"),
            np.frombuffer(found.scale, "<f4"),
            np.frombuffer(found.residual, "<f4"),
        )
    except (ValueError, msgspec.MsgspecError) as error:
        raise Corrupt("A segment's catalogue cannot be read.") from error
    _check(catalogue)
    return catalogue


def _check(found: Catalogue) -> None:
    rows = len(found.documents)
    right = (
        rows > 0
        and found.dimensions > 0
        and len(found.record_ends) == len(found.scale) == len(found.residual) == rows
        and len(found.card_ends) == len(found.ids)
        and int(found.documents.max()) < len(found.ids)
        and int(found.card_ends[-1]) == len(found.cards)
        and bool(np.all(found.card_ends[1:] >= found.card_ends[:-1]))
        and bool(np.all(found.record_ends[1:] >= found.record_ends[:-1]))
    )
    if not right:
        raise Corrupt("A segment's catalogue does not fit together.")


def little_bytes(array: npt.NDArray[Any]) -> memoryview:
    """An array's bytes, little-endian, row after row; a copy only where they lie otherwise."""
    little: Any = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
    return memoryview(little).cast("B")


def to_encoded(card: Card) -> bytes:
    metadata = {
        key: list(value) if isinstance(value, tuple) else value
        for key, value in card.metadata.items()
    }
    return _encoder.encode(
        _CardEntry(card.title, card.content_type, card.file_name, metadata, sorted(card.access))
    )


def from_encoded(encoded: bytes | memoryview) -> Card:
    """Corrupt for bytes that are no card."""
    try:
        entry = _card_decoder.decode(encoded)
    except msgspec.MsgspecError as error:
        raise Corrupt("A document's card cannot be read.") from error
    metadata = {
        key: tuple(value) if isinstance(value, list) else value
        for key, value in entry.metadata.items()
    }
    return Card(entry.title, entry.content_type, entry.file_name, metadata, frozenset(entry.access))
