"""The price book's editions in memory, for the operator's port."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

from tenantry.domain.catalogue import Model
from tenantry.domain.price import PriceEdition
from tenantry.ports.control import EditionRow

_AT = datetime(2026, 11, 23, tzinfo=UTC)


class MemoryPrices:
    def __init__(self) -> None:
        self.editions: list[PriceEdition] = []

    async def list_models(self) -> list[Model]:
        from tests.support.http_services import CATALOGUE  # which is made of this

        return list(CATALOGUE)

    async def list_editions(self) -> list[EditionRow]:
        return [EditionRow(e.version, e.effective_from, e.source, _AT) for e in self.editions]

    async def price_edition(self, version: int) -> PriceEdition:
        return next(one for one in self.editions if one.version == version)

    async def import_editions(
        self, editions: Sequence[PriceEdition], *, upon: int
    ) -> list[PriceEdition]:
        assert upon == len(self.editions)
        made = [replace(one, version=upon + n) for n, one in enumerate(editions, 1)]
        self.editions += made
        return made
