"""One invoice as a file: PDF, or rows of FOCUS as CSV or Parquet."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, assert_never

from tenantry.domain.errors import BadRequest
from tenantry.domain.focus import FocusError, focus_rows
from tenantry.ports.papers import InvoicePapers


class FileFormat(StrEnum):
    """How an invoice can be taken away, by the name that the command line has for it."""

    PDF = "pdf"
    FOCUS_CSV = "focus-csv"
    FOCUS_PARQUET = "focus-parquet"

    @property
    def media_type(self) -> str:
        return _MEDIA_TYPES[self]


_MEDIA_TYPES: Mapping[FileFormat, str] = {
    FileFormat.PDF: "application/pdf",
    FileFormat.FOCUS_CSV: "text/csv",
    FileFormat.FOCUS_PARQUET: "application/vnd.apache.parquet",
}


@dataclass(frozen=True, slots=True)
class InvoiceFile:
    name: str  # safe as a file's name everywhere
    media_type: str
    body: bytes


async def invoice_file(
    papers: InvoicePapers, invoice: Mapping[str, Any], file_format: FileFormat
) -> InvoiceFile:
    """The file of an invoice's canonical JSON. Raises `BadRequest`, `Unavailable`."""
    if file_format is FileFormat.PDF:
        body = await papers.pdf(invoice)
    else:
        body = await asyncio.to_thread(_rows, papers, invoice, file_format)
    number = re.sub(r"[^A-Za-z0-9._-]", "-", str(invoice.get("number") or "draft"))[:80]
    ending = file_format.removeprefix("focus-")
    stem = number if file_format is FileFormat.PDF else f"{number}-focus"
    return InvoiceFile(f"{stem}.{ending}", file_format.media_type, body)


def _rows(papers: InvoicePapers, invoice: Mapping[str, Any], file_format: FileFormat) -> bytes:
    try:
        rows = focus_rows(invoice)
    except FocusError as error:
        raise BadRequest(f"This invoice cannot be exported: {error}.") from None
    match file_format:
        case FileFormat.FOCUS_CSV:
            return papers.focus_csv(rows)
        case FileFormat.FOCUS_PARQUET:
            return papers.focus_parquet(rows)
        case FileFormat.PDF:
            raise AssertionError("a PDF has no rows")
        case _:
            assert_never(file_format)
