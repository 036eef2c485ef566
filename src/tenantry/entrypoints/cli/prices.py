"""`tenantry prices …`: import an edition of the price book, show one."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click

from tenantry.bootstrap import run_with_control
from tenantry.domain.price import PriceEdition, edition_from_csv, edition_to_rows
from tenantry.entrypoints.cli.output import as_json, print_json, print_table
from tenantry.ports.control import ControlPlane


@click.group()
def prices() -> None:
    """Import and show the price book.

    Example: `tenantry prices show --model amazon.nova-micro-v1:0`
    """


@prices.command(name="import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--from",
    "effective",
    type=click.DateTime(["%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%d"]),
    help="The instant (UTC) from which it holds; default: now.",
)
def import_(file: Path, effective: datetime | None) -> None:
    """Import an edition from CSV. An edition is never changed afterwards.

    Example: `tenantry prices import bedrock-2027-01.csv --from 2027-01-01`
    """
    start = effective.replace(tzinfo=UTC) if effective else datetime.now(UTC)
    edition = edition_from_csv(
        file.read_text(encoding="utf-8").splitlines(),
        version=0,
        effective_from=start,
        source=file.name,
    )

    async def work(control: ControlPlane) -> PriceEdition:
        return await control.import_prices(edition)

    stored = run_with_control(work)
    click.echo(
        f"edition {stored.version}: {len(stored.models)} models, in force from "
        f"{stored.effective_from.isoformat()}"
    )


@prices.command()
@click.option("--model", help="Only this price key.")
@as_json
def show(model: str | None, json_output: bool) -> None:
    """Show the edition in force: USD per 1,000,000 by model, tier, prompt size and class.

    Example: `tenantry prices show --model us.anthropic.claude-sonnet-4-6`
    """

    async def work(control: ControlPlane) -> PriceEdition:
        return await control.current_prices()

    edition = run_with_control(work)
    rows = [row for row in edition_to_rows(edition) if model in (None, row[0])]
    if model and not rows:
        raise click.ClickException(f"{model} has no price in edition {edition.version}")
    columns = ("model", "tier", "over_tokens", "class", "usd_per_million")
    if json_output:
        print_json(
            {
                "version": edition.version,
                "effective_from": edition.effective_from,
                "source": edition.source,
                "prices": [dict(zip(columns, row, strict=True)) for row in rows],
            }
        )
    else:
        print_table(columns, rows, title=f"edition {edition.version}, {edition.source}")
