"""What stays in memory of a segment that is searched: the high plane and the catalogue.

The keywords stay as well. The low plane and the passages rest sealed, and are opened by frames.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from sys import getsizeof

import numpy as np
import numpy.typing as npt

from tenantry.adapters.sealed.catalogue import Catalogue, unpack_catalogue
from tenantry.adapters.sealed.frames import SealedPlanes
from tenantry.adapters.sealed.kernel import (
    F32,
    F64,
    I8,
    I32,
    U8,
    Rows,
    exact,
    offsets,
    unbiased,
)
from tenantry.adapters.sealed.keywords import Keywords
from tenantry.adapters.sealed.memory import room, zero
from tenantry.adapters.sealed.segment import from_record
from tenantry.domain.access import Permission, in_one_form
from tenantry.domain.document import Card
from tenantry.domain.envelope import Plane
from tenantry.domain.errors import Corrupt
from tenantry.domain.ids import DocumentId
from tenantry.ports.vectors import Permitted

ID_BYTES = 104  # what a document's id and the number of its tags weigh in memory
SELF_BYTES = 4_096  # objects, arrays and the cipher
_SET_BYTES = 8  # a set's place among the others

Bools = npt.NDArray[np.bool_]


class OpenSegment:
    """`scores` and `passages` read what is sealed, which waits for the disk outside of memory."""

    __slots__ = ("_alive", "_memory", "_tags", "catalogue", "high", "keywords", "offsets", "sealed")

    def __init__(
        self,
        sealed: SealedPlanes,
        catalogue: memoryview,
        high: memoryview,
        keywords: memoryview | None = None,
    ) -> None:
        self.sealed = sealed
        self.catalogue: Catalogue = unpack_catalogue(catalogue)
        self._memory = (catalogue, high) if keywords is None else (catalogue, high, keywords)
        self._alive: tuple[frozenset[DocumentId], Bools | None] | None = None
        self._tags: tuple[Sequence[frozenset[str]], Rows, int] | None = None
        shape = (self.catalogue.rows, self.catalogue.dimensions)
        low, passages = sealed.entry(Plane.VECTORS_LOW), sealed.entry(Plane.PASSAGES)
        right = (
            len(high) == low.plain_bytes == shape[0] * shape[1]
            and low.frame_bytes % shape[1] == 0
            and passages.plain_bytes == int(self.catalogue.record_ends[-1])
        )
        if not right:
            raise Corrupt("A segment's planes do not fit together.")
        self.high: U8 = np.frombuffer(high, np.uint8).reshape(shape)  # biased
        self.offsets: I32 = offsets(self.high)
        self.keywords = None if keywords is None else Keywords(keywords, shape[0])

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
    def size_bytes(self) -> int:
        """Grows once, when `tags` are asked for."""
        held = sum(len(memory) for memory in self._memory) + self.offsets.nbytes
        tags_bytes = 0 if self._tags is None else self._tags[2]
        return held + ID_BYTES * len(self.ids) + SELF_BYTES + tags_bytes

    def has(self, plane: int) -> bool:
        return any(entry.plane == plane for entry in self.sealed.header.planes)

    def card(self, number: int) -> Card:
        return self.catalogue.card(number)

    def tags(self) -> tuple[Sequence[frozenset[str]], Rows]:
        """The different sets of access tags, `in_one_form`, and which each document has. Kept."""
        known = self._tags
        if known is None:
            numbers: dict[frozenset[str], int] = {}
            texts: dict[str, str] = {}  # a tag is kept once, in however many sets it is
            which = np.empty(len(self.ids), dtype=np.intp)
            for number in range(len(self.ids)):
                access = in_one_form(self.card(number).access)
                if access not in numbers:
                    own = frozenset(texts.setdefault(tag, tag) for tag in access)
                    numbers[own] = len(numbers)
                which[number] = numbers[access]
            held = sum(map(getsizeof, numbers)) + sum(map(getsizeof, texts))
            held += which.nbytes + _SET_BYTES * len(numbers)
            known = self._tags = (tuple(numbers), which, held)
        return known[:2]

    @property
    def tags_known(self) -> bool:
        """Whether `tags` need not decode the card of each document first."""
        return self._tags is not None

    def permitted_documents(self, permitted: Permitted) -> Bools:
        """Which documents a search may find, live or not."""
        if isinstance(permitted, Permission) and permitted.where is None:
            # A partition has few different sets of tags: each is asked once, not each document.
            sets, which = self.tags()
            seen = np.fromiter((permitted.sees(tags) for tags in sets), bool, len(sets))
            return seen[which]
        count = len(self.ids)
        return np.fromiter((permitted(self.card(number)) for number in range(count)), bool, count)

    def alive(self, live: frozenset[DocumentId]) -> Bools | None:
        """Which rows are of these documents; None where all are. Kept for the same set."""
        known = self._alive
        if known is None or known[0] is not live:
            known = self._alive = (live, self._mask(live))
        return known[1]

    def _mask(self, live: frozenset[DocumentId]) -> Bools | None:
        documents = np.fromiter((name in live for name in self.ids), bool, len(self.ids))
        return None if documents.all() else documents[self.catalogue.documents]

    def scores(self, rows: Rows, query: F32) -> F64:
        """The exact scores of some rows over the stored 16-bit values."""
        low = self._low(rows)
        return exact(query, unbiased(self.high[rows]), low, self.catalogue.scale[rows])

    def vectors(self, rows: Rows) -> list[array[float]]:
        """The stored 16-bit values of some rows: vectors, but for their length."""
        whole = unbiased(self.high[rows]).astype(np.int32) * 256 + self._low(rows)
        return [array("f", row.tobytes()) for row in whole.astype(np.float32)]

    def _low(self, rows: Rows) -> I8:
        rows_a_frame = self.sealed.entry(Plane.VECTORS_LOW).frame_bytes // self.dimensions
        places = [divmod(row, rows_a_frame) for row in rows.tolist()]
        opened = self.sealed.some(Plane.VECTORS_LOW, [frame for frame, _ in places])
        matrix = np.frombuffer(opened.memory, np.int8).reshape(-1, self.dimensions)
        low: I8 = matrix[[opened.places[frame] * rows_a_frame + row for frame, row in places]]
        zero(opened.memory)
        return low

    def passages(self, rows: Sequence[int]) -> list[tuple[int, int, str]]:
        """Of each row where it stands in the extracted text, and its text."""
        frame_bytes = self.sealed.entry(Plane.PASSAGES).frame_bytes
        places = [self.catalogue.record(row) for row in rows]
        frames = {
            number
            for start, end in places
            for number in range(start // frame_bytes, -(-end // frame_bytes))
        }
        opened = self.sealed.some(Plane.PASSAGES, frames)
        found = [from_record(opened.at(start, end)) for start, end in places]
        zero(opened.memory)
        return found

    def wipe(self) -> None:
        for memory in self._memory:
            zero(memory)
        self._alive = None
        self._tags = None


def opened(sealed: SealedPlanes) -> OpenSegment:
    """Open what a search needs of a segment. Blocking; Corrupt where anything does not fit."""
    catalogue = sealed.whole(Plane.CATALOGUE, room)
    high = sealed.whole(Plane.VECTORS_HIGH, room)
    planes = {entry.plane for entry in sealed.header.planes}
    words = sealed.whole(Plane.KEYWORDS, room) if Plane.KEYWORDS in planes else None
    return OpenSegment(sealed, catalogue, high, words)
