"""An edition of the price book, shown before it is stored.

1. The files become one edition, over the one in force where they are a layer.
2. Discounts make editions of it, one for each span of time.
3. What each changes against the book before it is told. Nothing is stored until the caller says so,
   then all in one transaction.

An edition is never changed, and one that begins in the past is refused unless that is asked for: it
re-prices nothing by itself, what it puts right are reversals and new entries.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from tenantry.domain.discount import Discount, discounted, layered
from tenantry.domain.price import PriceEdition, PriceError
from tenantry.domain.price_change import PriceChange, price_changes
from tenantry.ports.control import ControlPlane, EditionRow

CLOCKS_APART: Final = timedelta(minutes=5)  # this machine's and the database's


@dataclass(frozen=True, slots=True)
class PlannedEdition:
    """One that would be stored, against the one that it follows (None: there is none)."""

    edition: PriceEdition
    follows: PriceEdition | None
    changes: Sequence[PriceChange]


async def plan_import(
    control: ControlPlane,
    edition: PriceEdition | None,
    discounts: Sequence[Discount],
    *,
    layer: bool,
    effective_from: datetime,
    now: datetime,
    backdated: bool,
) -> list[PlannedEdition]:
    """`edition` None: the discounts are laid over the book of that instant. Raises `PriceError`."""
    refuse_past(effective_from, now, backdated=backdated)
    if edition is not None:
        refuse_empty(edition)
    stored = await control.list_editions()
    before = await _edition_at(control, stored, effective_from)
    if edition is None or layer:
        if before is None:
            raise PriceError("there is no price book at that instant to lay this over")
        edition = before if edition is None else layered(before, edition)
    book = replace(edition, effective_from=effective_from)
    editions = discounted(book, discounts) if discounts else [book]
    await _refuse_overtaken(control, stored, editions)
    plan, follows = [], before
    for one in editions:
        plan.append(PlannedEdition(one, follows, tuple(price_changes(follows, one))))
        follows = one
    return plan


def refuse_past(effective_from: datetime, now: datetime, *, backdated: bool) -> None:
    """Raises `PriceError` for an edition of the past that nobody asked to be one."""
    if effective_from < now - CLOCKS_APART and not backdated:
        raise PriceError(
            f"{effective_from:%Y-%m-%dT%H:%M:%SZ} is past: what was admitted since is priced"
            " already, and stays so; say that the edition is backdated, and correct by reversals"
        )


def refuse_empty(edition: PriceEdition) -> None:
    """Raises `PriceError`: no request has a price in such an edition, so all would be refused."""
    if not edition.models:
        raise PriceError(f"there is no price in {edition.source}")


async def store_editions(
    control: ControlPlane, planned: Sequence[PlannedEdition]
) -> list[PriceEdition]:
    """All in one transaction, but for those that change nothing: the same import twice is one."""
    return await control.import_editions([one.edition for one in planned if one.changes])


async def _refuse_overtaken(
    control: ControlPlane, stored: Sequence[EditionRow], editions: Sequence[PriceEdition]
) -> None:
    """The second span of a discount would replace an edition that was stored to begin before it."""
    if len(editions) < 2:
        return
    ours = {edition.effective_from: edition for edition in editions}
    for row in stored:
        if row.effective_from <= editions[0].effective_from:
            continue
        mine = ours.get(row.effective_from)
        if mine is None or (await control.price_edition(row.version)).models != mine.models:
            raise PriceError(
                f"edition {row.version} begins at {row.effective_from.isoformat()}, within the"
                " time of these discounts, and would be replaced when the next span begins"
            )


async def _edition_at(
    control: ControlPlane, stored: Sequence[EditionRow], at: datetime
) -> PriceEdition | None:
    """As the database decides: the latest that has begun, of several the newest."""
    begun = [row for row in stored if row.effective_from <= at]
    if not begun:
        return None
    latest = max(begun, key=lambda row: (row.effective_from, row.version))
    return await control.price_edition(latest.version)


async def edition_at(control: ControlPlane, at: datetime) -> PriceEdition:
    """The edition that a request admitted at an instant is priced by. Raises `PriceError`."""
    found = await _edition_at(control, await control.list_editions(), at)
    if found is None:
        raise PriceError(f"no edition of the price book had begun at {at.isoformat()}")
    return found
