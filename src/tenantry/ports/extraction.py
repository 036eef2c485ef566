"""From an uploaded file to text, and from text to chunks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from tenantry.domain.chunk import Chunk, ChunkLimit


@dataclass(frozen=True, slots=True)
class Extracted:
    """The text that passages are ranges of, and what the file turned out to be."""

    text: str
    content_type: str  # one of the supported types, without parameters
    pages: int | None = None  # of a PDF
    pages_without_text: int | None = None  # scanned, damaged, blank, or in fonts without letters


class Extractor(Protocol):
    async def extract(
        self, data: bytes, content_type: str, file_name: str, owner: str = ""
    ) -> Extracted:
        """The text of a file; the same file always gives the same text.

        Files of different owners take turns: nobody's hold up another's for longer than one parse.

        Errors, all with words for the uploader: UnsupportedMedia (type unknown or not what the
        bytes are), TooLarge (bytes, pages, text), Unreadable (empty, encrypted, damaged, a bomb, or
        past the time and memory of a parse). ConcurrencyLimited where too many of the owner wait.
        """
        ...


class Splitter(Protocol):
    async def split(self, text: str, content_type: str, limit: ChunkLimit) -> Sequence[Chunk]:
        """Chunks in order, none empty, none larger than the limit: together they are the text, but
        for white space between them. TooLarge for more than `CHUNKS_PER_DOCUMENT_MAX`.
        """
        ...
