"""What prints and exports invoices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tenantry.adapters.export.focus_files import focus_csv, focus_parquet
from tenantry.adapters.paper.typesetter import Typesetter
from tenantry.bootstrap.deployment import settings
from tenantry.domain.focus import Row
from tenantry.domain.party import Party
from tenantry.ports.papers import InvoicePapers


class Papers:
    """`ports.papers.InvoicePapers`; `font_folder` has fonts for scripts of one's own."""

    def __init__(self, font_folder: Path | None = None) -> None:
        self._typesetter = Typesetter(font_folder)

    async def pdf(self, invoice: Mapping[str, Any]) -> bytes:
        return await self._typesetter.invoice_pdf(invoice)

    def focus_csv(self, rows: Sequence[Row]) -> bytes:
        return focus_csv(rows)

    def focus_parquet(self, rows: Sequence[Row]) -> bytes:
        return focus_parquet(rows)


def spelt_out(press: Typesetter, names: Mapping[str, Sequence[str]]) -> list[str]:
    """Whose texts have letters that no font draws, of texts by whose they are. Raises
    `FontFolderError`, `OSError`."""
    lacking = set(press.unwritten(text for texts in names.values() for text in texts))
    return [name for name, texts in names.items() if lacking & set(texts)]


def texts_of(party: Party) -> Sequence[str]:
    """What of a party is in its own language."""
    return (party.name, *party.address)


def papers() -> InvoicePapers:
    """As this deployment's settings want them."""
    return Papers(settings().invoice_fonts)
