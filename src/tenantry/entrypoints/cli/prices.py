"""`tenantry prices …`: import editions of the price book, list, compare and show them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import click

from tenantry.application.price_import import (
    CLOCKS_APART,
    ImportPlan,
    Later,
    Overtaken,
    UnknownModels,
    edition_at,
    plan_import,
    refuse_unknown,
    store_editions,
    unknown_models,
)
from tenantry.bootstrap.commands.control import run_with_control
from tenantry.domain.catalogue import Catalogue
from tenantry.domain.errors import NotFound
from tenantry.domain.price import COLUMNS, PriceEdition, edition_to_rows
from tenantry.domain.price_change import PriceChange, price_changes
from tenantry.domain.price_keys import UnknownKey
from tenantry.entrypoints.cli import corrections
from tenantry.entrypoints.cli.output import as_json, print_json, print_table, say
from tenantry.entrypoints.cli.price_files import OfferOptions, Read, read_price_files
from tenantry.entrypoints.cli.values import FILE, INSTANT, NAMED
from tenantry.ports.control import ControlPlane, EditionRow

SHOWN_MAX = 200  # changes in a table; --json has all
CURRENT = "current"


@click.group()
def prices() -> None:
    """Import, compare and show the price book.

    Example: `tenantry prices show --model amazon.nova-micro-v1:0`
    """


@dataclass(frozen=True, slots=True)
class _Asked:
    files: Sequence[Path]
    effective: datetime | None
    layer: bool
    backdated: bool
    later: Later
    offers: OfferOptions
    stores: bool
    unknown: bool = False  # price keys of no model are meant


@dataclass(frozen=True, slots=True)
class _Done:
    read: Read
    plan: ImportPlan
    stored: Sequence[PriceEdition]
    unknown: Sequence[UnknownKey]


@prices.command(name="import")
@click.argument("files", nargs=-1, required=True, type=FILE)
@click.option(
    "--from",
    "effective",
    type=INSTANT,
    help="The instant (UTC) from which it holds; default: the file's own, else now.",
)
@click.option("--yes", is_flag=True, help="Store it; without this only what would change is shown.")
@click.option("--layer", is_flag=True, help="Keep the prices of models that the files do not name.")
@click.option("--backdated", is_flag=True, help="Allow an edition that begins in the past.")
@click.option(
    "--onto-later",
    is_flag=True,
    help="Lay the layer over each edition that begins later as well, all or none.",
)
@click.option(
    "--until-later",
    is_flag=True,
    help="Let it hold until an edition with other prices begins, which is stored already.",
)
@click.option(
    "--unknown-models",
    is_flag=True,
    help="Store new price keys that no model of the catalogue has, too.",
)
@click.option(
    "--home-region",
    type=NAMED,
    help="Of offer files: the region whose prices hold where no other region has its own.",
)
@click.option(
    "--ignore",
    type=NAMED,
    multiple=True,
    help="Of offer files: a usage type (or pattern) to leave out.",
)
@click.option("--names", type=FILE, help="CSV `name,model`: more of AWS's names for models.")
@as_json
def import_(
    files: tuple[Path, ...],
    effective: datetime | None,
    yes: bool,
    layer: bool,
    backdated: bool,
    onto_later: bool,
    until_later: bool,
    unknown_models: bool,
    home_region: str | None,
    ignore: tuple[str, ...],
    names: Path | None,
    json_output: bool,
) -> None:
    """Import an edition from CSV, TOML or files of the AWS Price List.

    Shows what would change, and stores it with --yes. An edition is never changed afterwards.

    Example: `tenantry prices import bedrock-2027-01.csv --from 2027-01-01 --yes`
    """
    if onto_later and until_later:
        raise click.UsageError("give either --onto-later or --until-later")
    later: Later = "onto" if onto_later else "until" if until_later else "refuse"
    start = effective.replace(tzinfo=UTC) if effective else None
    offers = OfferOptions(home_region, ignore, names)
    asked = _Asked(files, start, layer, backdated, later, offers, yes, unknown_models)
    done = run_with_control(lambda control: _import(control, asked))
    if json_output:
        print_json(_to_json(done))
        return
    _print_planned(done)
    until = {one.edition.effective_from: one.until for one in done.plan.editions}
    for edition in done.stored:
        say(
            f"edition {edition.version}: {len(edition.models)} models, in force from "
            f"{edition.effective_from.isoformat()}{_until(until[edition.effective_from])}"
        )
    if any(one.changes for one in done.plan.editions) and not yes:
        also = " --unknown-models" if done.unknown and not unknown_models else ""
        say(f"nothing is stored yet: --yes{also} stores it")


async def _import(control: ControlPlane, asked: _Asked) -> _Done:
    now = await control.now()
    try:
        in_force = await control.current_prices()
    except NotFound:
        in_force = None
    catalogue = Catalogue(await control.list_models())
    read = read_price_files(asked.files, asked.offers, catalogue, in_force)
    try:
        plan = await plan_import(
            control,
            read.edition,
            read.discounts,
            layer=asked.layer or read.layer,
            effective_from=asked.effective or read.effective_from or now,
            now=now,
            backdated=asked.backdated,
            later=asked.later,
        )
    except Overtaken as problem:
        raise Overtaken(
            f"{problem} (--onto-later does the one, for a layer; --until-later the other)"
        ) from None
    unknown = unknown_models(plan, catalogue)
    if asked.stores and not asked.unknown:
        try:
            refuse_unknown(unknown)
        except UnknownModels as problem:
            raise UnknownModels(f"{problem} (--unknown-models)") from None
    stored = await store_editions(control, plan) if asked.stores else []
    return _Done(read, plan, stored, unknown)


@prices.command(name="list")
@as_json
def list_(json_output: bool) -> None:
    """List the editions: from when each holds, where it came from.

    Example: `tenantry prices list`
    """
    rows = run_with_control(lambda control: control.list_editions())
    if json_output:
        print_json([{**_plain(row), "backdated": _is_backdated(row)} for row in rows])
        return
    print_table(
        ("edition", "from", "source", "imported", "backdated"),
        (
            (
                str(row.version),
                row.effective_from,
                row.source,
                row.imported_at,
                "yes" if _is_backdated(row) else "",
            )
            for row in rows
        ),
    )


@prices.command()
@click.argument("before")
@click.argument("after")
@as_json
def diff(before: str, after: str, json_output: bool) -> None:
    """Show what differs between two editions, each by its number or `current`.

    Example: `tenantry prices diff 1 current`
    """

    async def work(control: ControlPlane) -> tuple[PriceEdition, PriceEdition]:
        return await _edition(control, before), await _edition(control, after)

    one, other = run_with_control(work)
    changes = tuple(price_changes(one, other))
    if json_output:
        told = {"before": one.version, "after": other.version, "changes": _changes(changes)}
        print_json(told)
        return
    _print_changes(changes, f"edition {one.version} to {other.version}")


@prices.command()
@click.option("--model", type=NAMED, help="Only this price key.")
@click.option("--at", type=INSTANT, help="As it was in force then (UTC); default: now.")
@as_json
def show(model: str | None, at: datetime | None, json_output: bool) -> None:
    """Show the edition in force: USD per 1,000,000 by model, tier, prompt size and class.

    Example: `tenantry prices show --model us.anthropic.claude-sonnet-4-6 --at 2026-11-30`
    """

    async def work(control: ControlPlane) -> PriceEdition:
        if at is None:
            return await control.current_prices()
        return await edition_at(control, at.replace(tzinfo=UTC))

    edition = run_with_control(work)
    rows = [
        row for row in edition_to_rows(edition) if model in (None, row[0], row[0].partition("@")[0])
    ]
    if model and not rows:
        raise click.ClickException(f"{model} has no price in edition {edition.version}")
    if json_output:
        print_json(
            {
                "version": edition.version,
                "effective_from": edition.effective_from,
                "source": edition.source,
                "prices": [dict(zip(COLUMNS, row, strict=True)) for row in rows],
            }
        )
    else:
        print_table(COLUMNS, rows, title=f"edition {edition.version}, {edition.source}")


async def _edition(control: ControlPlane, named: str) -> PriceEdition:
    if named == CURRENT:
        return await control.current_prices()
    if not named.isdecimal() or len(named) > 9:
        raise click.UsageError(f"{named!r} is no edition: give its number, or {CURRENT}")
    return await control.price_edition(int(named))


def _print_planned(done: _Done) -> None:
    for one in done.plan.editions:
        follows = "no edition" if one.follows is None else one.follows.source
        _print_changes(
            one.changes,
            f"{one.edition.source}, from {one.edition.effective_from.isoformat()}"
            f"{_until(one.until)}, after {follows}",
        )
    for reason, count in sorted(done.read.left_out.items()):
        say(f"left out: {count:,} rows, {reason}")
    for key in done.unknown[:SHOWN_MAX]:
        say(f"no model of the catalogue is priced by {key}")
    if len(done.unknown) > SHOWN_MAX:
        say(f"… nor by {len(done.unknown) - SHOWN_MAX:,} keys more; --json lists them")


def _until(row: EditionRow | None) -> str:
    if row is None:
        return ""
    return f" until {row.effective_from.isoformat()}, when edition {row.version} begins"


def _print_changes(changes: Sequence[PriceChange], title: str) -> None:
    if not changes:
        say(f"{title}: nothing changes")
        return
    print_table(
        ("change", *COLUMNS[:4], "before $", "after $", "%"),
        ((c.kind, *c.place, c.before, c.after, c.percent) for c in changes[:SHOWN_MAX]),
        title=f"{title}: {_counted(changes)}",
    )
    if len(changes) > SHOWN_MAX:
        say(f"… and {len(changes) - SHOWN_MAX:,} more; --json lists them")


def _counted(changes: Iterable[PriceChange]) -> str:
    kinds = [change.kind for change in changes]
    told = (f"{kinds.count(kind):,} {kind}" for kind in ("added", "removed", "changed"))
    return ", ".join(told)


def _to_json(done: _Done) -> dict[str, object]:
    return {
        "stored": [edition.version for edition in done.stored],
        "left_out": dict(done.read.left_out),
        "unknown_models": [{"key": each.key, "near": each.near} for each in done.unknown],
        "editions": [
            {
                "source": one.edition.source,
                "effective_from": one.edition.effective_from,
                "until": None if one.until is None else one.until.effective_from,
                "models": len(one.edition.models),
                "changes": _changes(one.changes),
            }
            for one in done.plan.editions
        ],
    }


def _changes(changes: Iterable[PriceChange]) -> list[dict[str, object]]:
    return [
        {
            "change": c.kind,
            **dict(zip(COLUMNS[:4], c.place, strict=True)),
            "before": c.before,
            "after": c.after,
            "percent": c.percent,
        }
        for c in changes
    ]


def _plain(row: EditionRow) -> dict[str, object]:
    return {name: getattr(row, name) for name in row.__slots__}


def _is_backdated(row: EditionRow) -> bool:
    """Seeded editions begin before the database was made; that is no correction of anything."""
    return row.version > 1 and row.imported_at > row.effective_from + CLOCKS_APART


prices.add_command(corrections.correct)
