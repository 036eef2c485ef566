"""Text to chunks at semantic boundaries, by `semantic-text-splitter`."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator, Sequence
from typing import TypeAlias

from semantic_text_splitter import MarkdownSplitter, TextSplitter

from tenantry.adapters.extraction.content_type import MARKDOWN
from tenantry.domain.chunk import CHUNK_CHARS_MAX, CHUNKS_PER_DOCUMENT_MAX, Chunk, ChunkLimit
from tenantry.domain.errors import TooLarge

# The splitter's time grows with the length of what it is given at once: 2.2 s for a megabyte whole,
# .05 s for the same in pieces of this size (measured, one core).
WINDOW_CHARS = 16_384
_PARAGRAPH_END = re.compile(r"\n[ \t]*\n")
_WHOLE = ChunkLimit()
Kind: TypeAlias = "type[MarkdownSplitter] | type[TextSplitter]"


class SemanticSplitter:
    """`ports.extraction.Splitter`. Offsets count code points of the text that was given."""

    async def split(self, text: str, content_type: str, limit: ChunkLimit) -> Sequence[Chunk]:
        return await asyncio.to_thread(chunks_of, text, content_type, limit)


def chunks_of(text: str, content_type: str, limit: ChunkLimit = _WHOLE) -> list[Chunk]:
    kind: Kind = MarkdownSplitter if content_type == MARKDOWN else TextSplitter
    whole = kind(CHUNK_CHARS_MAX)
    chunks: list[Chunk] = []
    for base, window in _windows(text):
        for offset, piece in whole.chunk_indices(window):
            for start, part in _fitting(kind, base + offset, piece, limit):
                if part.strip():
                    chunks.append(Chunk(start, start + len(part), part))
        if len(chunks) > CHUNKS_PER_DOCUMENT_MAX:
            raise TooLarge(f"The document splits into over {CHUNKS_PER_DOCUMENT_MAX:,} passages.")
    return chunks


def _fitting(kind: Kind, start: int, piece: str, limit: ChunkLimit) -> Iterator[tuple[int, str]]:
    """The piece and where it stands, or parts of it that fit. A part may hold more of what takes
    room than its share: it is split again, always into shorter ones.
    """
    chars = limit.chars_of(piece)
    if chars == len(piece):
        yield start, piece
        return
    for offset, part in kind(chars).chunk_indices(piece):
        yield from _fitting(kind, start + offset, part, limit)


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
