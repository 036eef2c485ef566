"""Stretches of a document's extracted text: embedded as chunks, found again as passages."""

from __future__ import annotations

from dataclasses import dataclass, field

from tenantry.domain.document import Metadata
from tenantry.domain.ids import DocumentId

CHUNK_CHARS_MAX = 1_000  # about 250 tokens: a paragraph or two; see also `embeddable.py`
CHUNK_BYTES_MAX = 3 * CHUNK_CHARS_MAX  # in UTF-8: what a passage of an answer is reserved at
CHUNKS_PER_DOCUMENT_MAX = 50_000


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
