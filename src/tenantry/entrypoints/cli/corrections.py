"""`tenantry prices correct`: a back-dated fix, by reversal and new entries."""

from __future__ import annotations

from datetime import UTC, datetime

import click

from tenantry.application.corrections import Corrected, correct_prices
from tenantry.bootstrap.commands.control import run_with_corrections
from tenantry.domain import money
from tenantry.entrypoints.cli.output import as_json, print_json, say
from tenantry.entrypoints.cli.values import INSTANT, NAMED
from tenantry.ports.control import ControlPlane
from tenantry.ports.corrections import Corrections
from tenantry.ports.directory import Directory


@click.command()
@click.argument("tenant", type=NAMED)
@click.option("--from", "start", type=INSTANT, required=True, help="UTC, by admission.")
@click.option("--to", "end", type=INSTANT, required=True, help="UTC, exclusive.")
@click.option(
    "--wrong", type=click.IntRange(1), required=True, help="The edition by which it stands now."
)
@click.option(
    "--right", type=click.IntRange(1), required=True, help="The edition that should have."
)
@click.option("--model", type=NAMED, help="Of this model alone.")
@as_json
def correct(
    tenant: str,
    start: datetime,
    end: datetime,
    wrong: int,
    right: int,
    model: str | None,
    json_output: bool,
) -> None:
    """Reverse a tenant's usage of one price edition, and post it anew by another.

    What was corrected before is corrected again: `--wrong` is the edition by which it stands.
    Where it was broken off, run it once more: it goes on with what is left. What cannot be
    corrected stays as it stands, and what is still open settles at the wrong edition: both are
    told, with exit 1. Run it again then.

    Example: `tenantry prices correct acme --from 2026-11-01 --to 2026-12-01 --wrong 7 --right 8`
    """
    if start >= end:
        raise click.BadParameter("must be before --to", param_hint="--from")

    async def work(
        control: ControlPlane, corrections: Corrections, directory: Directory
    ) -> Corrected:
        found = await control.get_tenant(tenant)
        return await correct_prices(
            corrections,
            found.id,
            start.replace(tzinfo=UTC),
            end.replace(tzinfo=UTC),
            wrong=wrong,
            right=await directory.edition(right),
            model=model,
        )

    done = run_with_corrections(work)
    if json_output:
        print_json(done)
    elif not done.attempts and not done.left:
        say(
            f"nothing to correct: nothing of then stands by edition {wrong}, or it has the same"
            f" prices by edition {right}"
        )
    else:
        say(
            f"{done.attempts:,} attempts corrected: cost {money.plain(done.cost)}, "
            f"charge {money.plain(done.charge)} USD"
        )
    if done.left:
        for why in done.why_left:
            say(why, err=True)
        raise click.ClickException(
            f"{done.left:,} attempts could not be corrected: run it again when what is in the way"
            " is put right, and what is open has ended"
        )
