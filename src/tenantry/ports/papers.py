"""Invoices as files for people and for other programs.

Owns: the words. An implementation takes canonical JSON and invents nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from tenantry.domain.focus import Row


class InvoicePapers(Protocol):
    async def pdf(self, invoice: Mapping[str, Any]) -> bytes:
        """For a finance department. Raises `BadRequest`, `Unavailable`."""
        ...

    def focus_csv(self, rows: Sequence[Row]) -> bytes: ...

    def focus_parquet(self, rows: Sequence[Row]) -> bytes:
        """Raises `BadRequest` where this deployment cannot write it."""
        ...
