"""Text of any supported file: plain types in a thread, PDF and DOCX in a process of their own."""

from __future__ import annotations

import asyncio

from tenantry.adapters.extraction import content_type as types
from tenantry.adapters.extraction import html, plain, worker_client
from tenantry.adapters.extraction.worker_limits import (
    TEXT_CHARS_MAX,
    WALL_S_MAX,
    WORKERS_AT_ONCE,
)
from tenantry.domain.errors import TooLarge, Unreadable
from tenantry.domain.upload import check_size
from tenantry.ports.extraction import Extracted


class FileExtractor:
    """`ports.extraction.Extractor`."""

    def __init__(
        self, *, workers_at_once: int = WORKERS_AT_ONCE, wall_s: float = WALL_S_MAX
    ) -> None:
        self._workers = asyncio.Semaphore(workers_at_once)
        self._wall_s = wall_s

    async def extract(self, data: bytes, content_type: str, file_name: str) -> Extracted:
        check_size(len(data))
        kind = types.resolve(data, content_type, file_name)
        pages = None
        if kind in (types.PDF, types.DOCX):
            async with self._workers:
                name = "pdf" if kind == types.PDF else "docx"
                text, pages = await worker_client.parse(name, data, wall_s=self._wall_s)
        elif kind == types.HTML:
            text = await asyncio.to_thread(html.to_text, data, content_type)
        else:
            text = await asyncio.to_thread(plain.decode, data, content_type)
        if len(text) > TEXT_CHARS_MAX:
            raise TooLarge(f"The document holds more than {TEXT_CHARS_MAX:,} characters of text.")
        if not text.strip():
            scan = " Is it a scan?" if kind == types.PDF else ""
            raise Unreadable(f"The document holds no text.{scan}")
        return Extracted(text, kind, pages)
