"""An edition of the price book, shown before it is stored.

1. The files become one edition, over the one in force where they are a layer; over each that begins
   later as well, where that is asked for.
2. Discounts make editions of it, one for each span of time.
3. What each changes against the book before it is told. Nothing is stored until the caller says so,
   then all in one transaction, if the book is still the one that the plan was made upon.

An edition is never changed, and one that begins in the past is refused unless that is asked for: it
re-prices nothing by itself, what it puts right are reversals and new entries.

An edition is a whole price list. One that was stored for a later day was made of the prices before
this import, and takes back what it changes when it begins: that is refused unless it is meant. So
is a new price key that no model of the catalogue has.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final, Literal, TypeAlias

from tenantry.domain.catalogue import Catalogue
from tenantry.domain.discount import Discount, discounted, layered
from tenantry.domain.price import PriceEdition, PriceError
from tenantry.domain.price_change import Place, PriceChange, price_changes
from tenantry.domain.price_keys import UnknownKey, unknown_keys
from tenantry.ports.control import ControlPlane, EditionRow

CLOCKS_APART: Final = timedelta(minutes=5)  # this machine's and the database's
NAMED_MAX: Final = 5  # editions or price keys in one message

# What is done about editions that begin later and have other prices for what is changed: refuse,
# lay the layer over each of them as well, or let this one hold until they begin.
Later: TypeAlias = Literal["refuse", "onto", "until"]


class Overtaken(PriceError):
    """Editions that begin later would take back what an import changes."""


class UnknownModels(PriceError):
    """An import has prices that no request would ever be priced by."""


@dataclass(frozen=True, slots=True)
class PlannedEdition:
    """One that would be stored, against the one that it follows (None: there is none), or whose
    place it takes. `until`: what is stored already, and begins before the next that is planned."""

    edition: PriceEdition
    follows: PriceEdition | None
    changes: Sequence[PriceChange]
    until: EditionRow | None = None


@dataclass(frozen=True, slots=True)
class ImportPlan:
    """In the order in which they begin. `upon`: the newest version there was; 0: none."""

    editions: Sequence[PlannedEdition]
    upon: int


async def plan_import(
    control: ControlPlane,
    edition: PriceEdition | None,
    discounts: Sequence[Discount],
    *,
    layer: bool,
    effective_from: datetime,
    now: datetime,
    backdated: bool,
    later: Later = "refuse",
) -> ImportPlan:
    """`edition` None: the discounts are laid over the book of that instant. Raises `PriceError`."""
    refuse_past(effective_from, now, backdated=backdated)
    if edition is not None:
        refuse_empty(edition)
    if later == "onto" and (edition is None or not layer or discounts):
        raise PriceError("only a layer without discounts can be laid over later editions as well")
    stored = await control.list_editions()
    before = await _edition_at(control, stored, effective_from)
    if (edition is None or layer) and before is None:
        raise PriceError("there is no price book at that instant to lay this over")
    following = [row for row in _in_effect(stored) if row.effective_from > effective_from]
    if edition is not None and layer and later == "onto":
        bases = [before, *[await control.price_edition(row.version) for row in following]]
        instants = [effective_from, *(row.effective_from for row in following)]
        planned = [
            _planned(replace(_over(base, edition), effective_from=at), base)
            for base, at in zip(bases, instants, strict=True)
        ]
    else:
        book = edition if edition is not None and not layer else _over(before, edition)
        planned = _spans(replace(book, effective_from=effective_from), before, discounts)
        await _refuse_overtaken(control, following, [one.edition for one in planned])
        begun = backdated and any(row.effective_from <= now for row in following)
        if later == "refuse" and not begun:
            await _refuse_undone(control, following, planned[-1].edition, before)
    return ImportPlan(
        _until_stored(planned, following), max((row.version for row in stored), default=0)
    )


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


def unknown_models(plan: ImportPlan, catalogue: Catalogue) -> Sequence[UnknownKey]:
    """Keys that come with the plan and price no model of the catalogue."""
    new = set[str]()
    for one in plan.editions:
        new |= one.edition.models.keys() - (one.follows.models.keys() if one.follows else set())
    return unknown_keys(new, catalogue)


def refuse_unknown(unknown: Sequence[UnknownKey]) -> None:
    """Raises `UnknownModels` where there are any: for a caller who did not say that they are
    meant."""
    if not unknown:
        return
    named = ", ".join(map(str, unknown[:NAMED_MAX]))
    more = f" and {len(unknown) - NAMED_MAX:,} more" if len(unknown) > NAMED_MAX else ""
    raise UnknownModels(
        f"no model of the catalogue is priced by {named}{more}: put the key right, apply the model"
        " first, or say that it is meant"
    )


async def store_editions(control: ControlPlane, plan: ImportPlan) -> list[PriceEdition]:
    """All in one transaction, but for those that change nothing: the same import twice is one.
    Raises `Conflict` where another edition was stored since the plan was made."""
    changing = [one.edition for one in plan.editions if one.changes]
    return await control.import_editions(changing, upon=plan.upon)


def _over(base: PriceEdition | None, edition: PriceEdition | None) -> PriceEdition:
    assert base is not None, "there is something to lay it over"
    return base if edition is None else layered(base, edition)


def _spans(
    book: PriceEdition, before: PriceEdition | None, discounts: Sequence[Discount]
) -> list[PlannedEdition]:
    planned, follows = list[PlannedEdition](), before
    for one in discounted(book, discounts) if discounts else [book]:
        planned.append(_planned(one, follows))
        follows = one
    return planned


def _planned(edition: PriceEdition, follows: PriceEdition | None) -> PlannedEdition:
    return PlannedEdition(edition, follows, tuple(price_changes(follows, edition)))


def _until_stored(
    planned: Sequence[PlannedEdition], following: Sequence[EditionRow]
) -> list[PlannedEdition]:
    told = []
    for number, one in enumerate(planned):
        begin = one.edition.effective_from
        next_one = planned[number + 1].edition.effective_from if planned[number + 1 :] else None
        first = next((row for row in following if row.effective_from > begin), None)
        if first is not None and (next_one is None or first.effective_from < next_one):
            one = replace(one, until=first)
        told.append(one)
    return told


async def _refuse_overtaken(
    control: ControlPlane, following: Sequence[EditionRow], editions: Sequence[PriceEdition]
) -> None:
    """The next span of a discount would replace an edition that was stored to begin before it."""
    ours = {edition.effective_from: edition for edition in editions}
    for row in following:
        if row.effective_from > editions[-1].effective_from:
            return
        mine = ours.get(row.effective_from)
        if mine is None or (await control.price_edition(row.version)).models != mine.models:
            raise PriceError(
                f"edition {row.version} begins at {row.effective_from.isoformat()}, within the"
                " time of these discounts, and would be replaced when the next span begins"
            )


async def _refuse_undone(
    control: ControlPlane,
    following: Sequence[EditionRow],
    last: PriceEdition,
    before: PriceEdition | None,
) -> None:
    """Raises `Overtaken`. What a later edition has as well, the ones behind it may change: that was
    planned. What it does not have is gone with it."""
    changed = {change.place for change in price_changes(before, last)}
    undone, by = set[Place](), list[EditionRow]()
    for row in following:
        if row.effective_from <= last.effective_from or not changed:
            continue
        theirs = await control.price_edition(row.version)
        changed &= {change.place for change in price_changes(last, theirs)}
        if changed:
            undone |= changed
            by.append(row)
    if by:
        model, tier, _, token_class = min(undone)
        named = ", ".join(
            f"edition {row.version} from {row.effective_from.isoformat()}" for row in by[:NAMED_MAX]
        )
        more = f" and {len(by) - NAMED_MAX:,} more" if len(by) > NAMED_MAX else ""
        raise Overtaken(
            f"{named}{more} would take back {len(undone):,} of these prices, such as {model} {tier}"
            f" {token_class}: import them for that instant as well, the last one first, or say that"
            " they hold until then"
        )


def _in_effect(stored: Sequence[EditionRow]) -> list[EditionRow]:
    """In the order in which they begin; of several that begin at one instant the newest."""
    newest = dict[datetime, EditionRow]()
    for row in stored:
        known = newest.get(row.effective_from)
        if known is None or known.version < row.version:
            newest[row.effective_from] = row
    return [newest[at] for at in sorted(newest)]


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
