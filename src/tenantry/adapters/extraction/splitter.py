"""Text to chunks at semantic boundaries, by `semantic-text-splitter`."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator, Sequence

from semantic_text_splitter import MarkdownSplitter, TextSplitter

from tenantry.adapters.extraction.content_type import MARKDOWN
from tenantry.domain.chunk import (
    CHUNK_BYTES_MAX,
    CHUNK_CHARS_MAX,
    CHUNKS_PER_DOCUMENT_MAX,
    Chunk,
)
from tenantry.domain.errors import TooLarge

# The splitter's time grows with the length of what it is given at once: 2.2 s for a megabyte whole,
# .05 s for the same in pieces of this size (measured, one core).
WINDOW_CHARS = 16_384
_BYTES_PER_CHAR_MAX = 4  # UTF-8
_PARAGRAPH_END = re.compile(r"\n[ \t]*\n")


class SemanticSplitter:
    """`ports.extraction.Splitter`. Offsets count code points of the text that was given."""

    async def split(self, text: str, content_type: str) -> Sequence[Chunk]:
        return await asyncio.to_thread(chunks_of, text, content_type)


def chunks_of(text: str, content_type: str) -> list[Chunk]:
    kind = MarkdownSplitter if content_type == MARKDOWN else TextSplitter
    whole, shorter = kind(CHUNK_CHARS_MAX), kind(CHUNK_BYTES_MAX // _BYTES_PER_CHAR_MAX)
    chunks: list[Chunk] = []
    for base, window in _windows(text):
        for offset, piece in whole.chunk_indices(window):
            fits = len(piece.encode()) <= CHUNK_BYTES_MAX  # but for emoji and some rarer scripts
            for inner, part in [(0, piece)] if fits else shorter.chunk_indices(piece):
                if part.strip():
                    start = base + offset + inner
                    chunks.append(Chunk(start, start + len(part), part))
        if len(chunks) > CHUNKS_PER_DOCUMENT_MAX:
            raise TooLarge(f"The document splits into over {CHUNKS_PER_DOCUMENT_MAX:,} passages.")
    return chunks


def _windows(text: str) -> Iterator[tuple[int, str]]:
    """Stretches of bounded length that end at a paragraph, else a line, else a word, else hard."""
    start = 0
    while start < len(text):
        end = min(start + WINDOW_CHARS, len(text))
        if end < len(text):
            end = _boundary(text, start + WINDOW_CHARS // 2, end)
        yield start, text[start:end]
        start = end


def _boundary(text: str, earliest: int, latest: int) -> int:
    paragraphs = [found.end() for found in _PARAGRAPH_END.finditer(text, earliest, latest)]
    if paragraphs:
        return paragraphs[-1]
    for mark in ("\n", " "):
        found = text.rfind(mark, earliest, latest)
        if found > 0:
            return found + 1
    return latest
