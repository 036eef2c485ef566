"""`tenantry demo`: the whole product in one walk."""

from __future__ import annotations

import click


@click.command()
@click.option("--check", is_flag=True, help="Verify every step, then stop.")
def demo(check: bool) -> None:
    """Three tenants, real documents, real wire; stays up until Ctrl-C.

    Example: `tenantry demo --check`
    """
    from tenantry.entrypoints.demo.walk import run

    raise click.exceptions.Exit(run(check=check))
