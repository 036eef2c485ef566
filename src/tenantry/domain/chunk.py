"""Stretches of a document's extracted text: embedded as chunks, found again as passages."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from tenantry.domain.document import Metadata
from tenantry.domain.ids import DocumentId

CHUNK_CHARS_MAX = 1_000  # about 250 tokens: a paragraph or two
CHUNK_BYTES_MAX = 3 * CHUNK_CHARS_MAX  # in UTF-8: what a passage of an answer is reserved at
CHUNKS_PER_DOCUMENT_MAX = 50_000
# A word, and the space before it, that tokenisers read in pieces of two letters or more on average.
_PLAIN_WORD = re.compile(r" ?\b[A-Za-z]{2,12}\b")


@dataclass(frozen=True, slots=True)
class ChunkLimit:
    """The most that a chunk may be, so that the model that embeds it takes it whole.

    `tokens_max`: of one text. No tokeniser makes more tokens than bytes; where `reads_words`, plain
    words count for half of their letters, and what is none for its bytes.
    """

    tokens_max: int = CHUNK_BYTES_MAX
    reads_words: bool = False

    def chars_of(self, text: str) -> int:
        """How long a chunk of such text may be: all of it where it fits, else less, at least 1."""
        size, most = len(text.encode()), CHUNK_BYTES_MAX
        if size <= most:
            size = size - _spared(text) if self.reads_words and size > self.tokens_max else size
            most = self.tokens_max
        whole = min(len(text), CHUNK_CHARS_MAX)
        return whole if size <= most else max(1, min(whole, len(text) * most // size))


def _spared(text: str) -> int:
    """Bytes that are no token of their own."""
    words = _PLAIN_WORD.findall(text)
    return sum(len(word) - (len(word.lstrip()) + 1) // 2 for word in words)


@dataclass(frozen=True, slots=True)
class Chunk:
    """`text` is exactly `extracted[start:end]`, counted in Unicode code points."""

    start: int
    end: int
    text: str


@dataclass(frozen=True, slots=True)
class Passage:
    """A chunk that answers a query, and where it stands."""

    document_id: DocumentId
    title: str
    text: str
    score: float  # cosine of query and passage, -1 to 1; what orders passages may count more
    start: int
    end: int
    metadata: Metadata = field(default_factory=dict)  # of its document
