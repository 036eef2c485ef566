"""A segment's keyword index: which rows hold which word, how often. The plane `KEYWORDS`.

An inverted index in flat arrays over one buffer, so that opening it costs nothing, zeroing it
leaves nothing, and a query is a few slices. Words are kept as 64-bit fingerprints. Immutable.

    header      format (u4), rows (u4), words (u4), postings (u4), little-endian
    words       fingerprints (u8), ascending
    ends        where each word's postings end (u4)
    postings    rows (u2, or u4 over 65,536 rows), ascending within a word
    lengths     words in each row (u2)
    counts      how often the row holds the word (u1, at most 255)
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tenantry.adapters.sealed.memory import zero
from tenantry.domain.errors import Corrupt

KEYWORDS_FORMAT = 1
_HEADER = struct.Struct("<IIII")
_LENGTH_MAX = 65_535
_NARROW_ROWS = 65_536

Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]
Small = npt.NDArray[Any]  # whole numbers of no more bytes than they need
Prints = npt.NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class Matches:
    """What one segment says of a query's words, of permitted rows alone: parallel arrays, one entry
    for each word and row that holds it, words in the query's order. Copied out of the index.
    """

    permitted: int
    length: int  # words in all permitted rows
    words: Small  # which of the query's
    rows: Small
    counts: Small
    lengths: Small


class Keywords:
    """Over memory that it owns and zeroes. The arrays are views of it."""

    __slots__ = ("_buffer", "_counts", "_ends", "_length", "_lengths", "_postings", "_words")

    def __init__(self, memory: bytearray | memoryview, rows: int) -> None:
        """Corrupt where the parts do not fit together, or not to that number of rows."""
        buffer = memoryview(memory)
        try:
            version, held_rows, words, postings = _HEADER.unpack_from(buffer)
            if version != KEYWORDS_FORMAT or held_rows != rows:
                raise Corrupt("A segment's keywords have an unknown format or size.")
            reader = _Reader(buffer)
            self._words = reader.take("<u8", words)
            self._ends = reader.take("<u4", words)
            self._postings = reader.take(_row_type(rows), postings)
            self._lengths = reader.take("<u2", rows)
            self._counts = reader.take("<u1", postings)
        except (ValueError, struct.error) as error:
            raise Corrupt("A segment's keywords do not fit together.") from error
        self._buffer = buffer
        ends = self._ends.astype(np.int64)
        whole = (
            reader.offset == len(buffer)
            and bool(np.all(self._words[1:] > self._words[:-1]))
            and bool(np.all(np.diff(ends, prepend=0) > 0))
            and (int(ends[-1]) if words else 0) == postings
            and (postings == 0 or int(self._postings.max()) < rows)
        )
        if not whole:
            raise Corrupt("A segment's keywords do not fit together.")
        self._length = int(self._lengths.sum(dtype=np.int64))

    @property
    def rows(self) -> int:
        return len(self._lengths)

    @property
    def size_bytes(self) -> int:
        return len(self._buffer)

    def plane(self) -> bytearray:
        """What is sealed, in memory of its own."""
        return bytearray(self._buffer)

    def wipe(self) -> None:
        """Zero it; it finds nothing afterwards."""
        zero(self._buffer)

    def match(self, prints: Prints, permitted: Bools | None) -> Matches:
        """The permitted rows (None: all) that hold words with these fingerprints."""
        at = np.searchsorted(self._words, prints)
        found = np.flatnonzero(at < len(self._words))
        found = found[self._words[at[found]] == prints[found]]
        places = at[found]
        ends = self._ends[places].astype(np.int64)
        starts = np.where(places > 0, self._ends[places - 1], 0).astype(np.int64)
        parts = [slice(*pair) for pair in zip(starts.tolist(), ends.tolist(), strict=True)]
        rows = _joined([self._postings[part] for part in parts])
        counts = _joined([self._counts[part] for part in parts])
        words = np.repeat(found.astype(np.uint16), ends - starts)
        if permitted is None:
            seen, length = self.rows, self._length
        else:
            seen = int(np.count_nonzero(permitted))
            length = int(self._lengths[permitted].sum(dtype=np.int64))
            kept = permitted[rows]
            rows, counts, words = rows[kept], counts[kept], words[kept]
        return Matches(seen, length, words, rows, counts, self._lengths[rows])

    def holding(self, prints: Prints) -> int:
        """How many postings words with these fingerprints have: what `match` would look at."""
        at = np.searchsorted(self._words, prints)
        at = at[at < len(self._words)]
        at = at[np.isin(self._words[at], prints)]
        ends = self._ends[at].astype(np.int64)
        starts = np.where(at > 0, self._ends[at - 1], 0).astype(np.int64)
        return int((ends - starts).sum())

    def sizes(self) -> Ints:
        """How many rows hold each word."""
        return np.diff(self._ends.astype(np.int64), prepend=0).astype(np.int64)

    @property
    def words(self) -> Prints:
        return self._words

    @property
    def postings(self) -> Small:
        return self._postings

    @property
    def counts(self) -> npt.NDArray[np.uint8]:
        return self._counts

    @property
    def lengths(self) -> npt.NDArray[np.uint16]:
        return self._lengths


def packed(words: Prints, sizes: Ints, rows: Small, counts: Small, lengths: Ints) -> Keywords:
    """An index of its parts, each in the order of the plane."""
    buffer = bytearray(_HEADER.pack(KEYWORDS_FORMAT, len(lengths), len(words), len(rows)))
    buffer += words.astype("<u8").tobytes()
    buffer += np.cumsum(sizes).astype("<u4").tobytes()
    buffer += rows.astype(_row_type(len(lengths))).tobytes()
    buffer += np.minimum(lengths, _LENGTH_MAX).astype("<u2").tobytes()
    buffer += counts.astype("<u1").tobytes()
    return Keywords(buffer, len(lengths))


def _joined(parts: Sequence[Small]) -> Small:
    return np.concatenate(parts) if parts else np.zeros(0, dtype=np.uint16)


def _row_type(rows: int) -> str:
    return "<u2" if rows <= _NARROW_ROWS else "<u4"


class _Reader:
    """Takes one array after the other off a buffer. ValueError where it is too short."""

    def __init__(self, buffer: memoryview) -> None:
        self._buffer = buffer
        self.offset = _HEADER.size

    def take(self, kind: str, count: int) -> npt.NDArray[Any]:
        array: npt.NDArray[Any] = np.frombuffer(
            self._buffer, dtype=kind, count=count, offset=self.offset
        )
        self.offset += array.nbytes
        return array
