"""`tenantry models …`: list the catalogue, apply a file."""

from __future__ import annotations

from pathlib import Path

import click

from tenantry.bootstrap.commands.control import run_with_control
from tenantry.domain.catalogue_file import models_from_csv
from tenantry.entrypoints.cli.output import as_json, print_json, print_table, say
from tenantry.entrypoints.cli.values import FILE


@click.group()
def models() -> None:
    """Show and change the model catalogue.

    Example: `tenantry models list`
    """


@models.command(name="list")
@as_json
def list_(json_output: bool) -> None:
    """List the models that are known.

    Example: `tenantry models list --json`
    """
    found = run_with_control(lambda control: control.list_models())
    if json_output:
        print_json(found)
    else:
        print_table(
            ("id", "alias", "kind", "family", "window", "max output", "retires"),
            (
                (m.id, m.alias, m.kind, m.family, m.window, m.max_output, m.retires_on)
                for m in found
            ),
        )


@models.command()
@click.argument("file", type=FILE)
def apply(file: Path) -> None:
    """Add or replace the models of a CSV file.

    Example: `tenantry models apply models.csv`
    """
    found = models_from_csv(file.read_text(encoding="utf-8").splitlines())

    run_with_control(lambda control: control.apply_models(found))
    say(f"{len(found)} models applied")
