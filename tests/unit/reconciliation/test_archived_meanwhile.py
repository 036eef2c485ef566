"""A month that is archived while it is reconciled: its rows are gone before the book is read."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from tests.support.core import edition, rows

from tenantry.adapters.invocation_log.folder import FolderLog
from tenantry.adapters.sorting import DiskSorter
from tenantry.application.reconcile import Sides, reconcile
from tenantry.application.reconcile_bill import BillSides, reconcile_bill
from tenantry.domain.billing_name import BillingNames
from tenantry.domain.catalogue import Catalogue
from tenantry.domain.errors import Conflict
from tenantry.domain.price import PriceEdition

BEGIN, END = datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC)


class Book:
    """Both books of the provider's side, without a row; `archived` answers one after the other."""

    def __init__(self, *archived: datetime | None) -> None:
        self._archived = list(archived)

    async def archived_through(self) -> datetime | None:
        return self._archived.pop(0)

    async def booked(self, *_: object) -> AsyncIterator[Sequence[object]]:
        for batch in list[Sequence[object]]():
            yield batch

    day_costs = booked

    async def inference_profiles(self) -> dict[str, str]:
        return {}

    tenant_names = inference_profiles


class Directory:
    async def catalogue(self) -> Catalogue:
        return Catalogue([])

    async def prices(self) -> PriceEdition:
        return edition(rows("m", {"out": "1"}), version=1)


async def with_log(book: Book, folder: Path) -> None:
    with DiskSorter() as sorter:
        log = FolderLog(folder, anywhere=True)
        sides = Sides(book, Directory(), [log], sorter, named=True)  # type: ignore[arg-type]
        await reconcile(sides, BEGIN, END, END)


async def with_bill(book: Book, _: Path) -> None:
    with DiskSorter() as sorter:
        sides = BillSides(book, [], BillingNames({}, Catalogue([])), sorter)  # type: ignore[arg-type]
        await reconcile_bill(sides, date(2026, 11, 1), date(2026, 12, 1))


@pytest.mark.parametrize("held", [with_log, with_bill])
def test_it_is_asked_before_all_is_read_and_after(held, tmp_path: Path) -> None:
    (tmp_path / "a.json.gz").touch()
    asyncio.run(held(Book(None, BEGIN), tmp_path))
    with pytest.raises(Conflict, match="2026-11 and what came before it is archived"):
        asyncio.run(held(Book(None, END), tmp_path))
    with pytest.raises(Conflict, match="2026-11 and what came before it is archived"):
        asyncio.run(held(Book(END), tmp_path / "nothing is read of it"))
