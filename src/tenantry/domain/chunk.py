"""A chunk: a stretch of a document's extracted text that is embedded and found as one passage."""

from __future__ import annotations

from dataclasses import dataclass

CHUNK_CHARS_MAX = 1_000  # about 250 tokens: a paragraph or two; the embedder reads up to 256
CHUNKS_PER_DOCUMENT_MAX = 50_000


@dataclass(frozen=True, slots=True)
class Chunk:
    """`text` is exactly `extracted[start:end]`, counted in Unicode code points."""

    start: int
    end: int
    text: str
