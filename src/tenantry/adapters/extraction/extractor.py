"""Text of any supported file: plain text in a thread, all that is parsed in a process of its own.

HTML too: its tree builder is quadratic in nesting, so that one page of a megabyte takes minutes.
"""

from __future__ import annotations

import asyncio

from tenantry.adapters.extraction import content_type as types
from tenantry.adapters.extraction import plain, worker_client
from tenantry.adapters.extraction.fair_slots import FairSlots
from tenantry.adapters.extraction.worker_limits import (
    TEXT_CHARS_MAX,
    WALL_S_MAX,
    WORKERS_AT_ONCE,
)
from tenantry.domain.errors import TooLarge, Unreadable
from tenantry.domain.upload import check_size
from tenantry.ports.extraction import Extracted

_PARSED = {types.PDF: "pdf", types.DOCX: "docx", types.HTML: "html"}


class FileExtractor:
    """`ports.extraction.Extractor`."""

    def __init__(
        self, *, workers_at_once: int = WORKERS_AT_ONCE, wall_s: float = WALL_S_MAX
    ) -> None:
        self._workers = FairSlots(workers_at_once)
        self._wall_s = wall_s

    async def extract(
        self, data: bytes, content_type: str, file_name: str, owner: str = ""
    ) -> Extracted:
        check_size(len(data))
        kind = types.resolve(data, content_type, file_name)
        counts = None
        if kind in _PARSED:
            async with self._workers.slot(owner):
                text, counts = await worker_client.parse(
                    _PARSED[kind], data, types.of_page(content_type, file_name), wall_s=self._wall_s
                )
        else:
            text = await asyncio.to_thread(plain.decode, data, content_type)
        if len(text) > TEXT_CHARS_MAX:
            raise TooLarge(f"The document holds more than {TEXT_CHARS_MAX:,} characters of text.")
        if not text.strip():
            scan = " Is it a scan?" if kind == types.PDF else ""
            raise Unreadable(f"The document holds no text.{scan}")
        pages, without_text = counts or (None, None)
        return Extracted(text, kind, pages, without_text)
