"""`tenantry migrate`: bring the database's schema up to date."""

from __future__ import annotations

import click

from tenantry.bootstrap.database import database
from tenantry.bootstrap.deployment import settings
from tenantry.entrypoints.cli.output import say


@click.command()
@click.option(
    "--new-passwords",
    is_flag=True,
    help="Give the roles of your own server this data folder's passwords, whoever has others.",
)
def migrate(new_passwords: bool) -> None:
    """Apply the migrations that are missing, and seed an empty deployment.

    Example: `TENANTRY_DATABASE_URL=postgresql://… tenantry migrate`
    """
    with database(settings(), new_passwords=new_passwords):
        say("the schema is up to date")
