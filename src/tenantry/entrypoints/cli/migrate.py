"""`tenantry migrate`: bring the database's schema up to date."""

from __future__ import annotations

import click

from tenantry.bootstrap.database import database
from tenantry.bootstrap.deployment import settings


@click.command()
def migrate() -> None:
    """Apply the migrations that are missing, and seed an empty deployment.

    Example: `TENANTRY_DATABASE_URL=postgresql://… tenantry migrate`
    """
    with database(settings()):
        click.echo("the schema is up to date")
