"""`tenantry migrate`: bring the database's schema up to date."""

from __future__ import annotations

from collections.abc import Sequence

import click

from tenantry.adapters.postgres.migrate import load_migrations
from tenantry.bootstrap.database import database
from tenantry.bootstrap.deployment import settings
from tenantry.entrypoints.cli.output import say


@click.command()
@click.option(
    "--new-passwords",
    is_flag=True,
    help="Give the roles of your own server this data folder's passwords, whoever has others.",
)
@click.option(
    "--new-control-key",
    is_flag=True,
    help="Go on with this data folder's control/key; API keys of another one never open again.",
)
@click.option(
    "--while-serving",
    is_flag=True,
    help="Also where processes of the version before still serve over your own server.",
)
def migrate(**how: bool) -> None:
    """Apply the migrations that are missing, and seed an empty deployment.

    Example: `TENANTRY_DATABASE_URL=postgresql://… tenantry migrate`
    """
    config = settings()
    with database(config, **how) as ran:
        say(f"the schema is up to date: {_applied(ran.applied)}")


def _applied(numbers: Sequence[int]) -> str:
    match numbers:
        case []:
            return f"nothing to apply after {len(load_migrations()):04d}"
        case [only]:
            return f"applied {only:04d}"
        case [first, *_, last]:
            return f"applied {first:04d} … {last:04d} ({len(numbers)})"
    raise AssertionError(numbers)
