"""`tenantry plans …`: list what is in force, apply a file."""

from __future__ import annotations

from pathlib import Path

import click

from tenantry.bootstrap.commands.control import run_with_control
from tenantry.domain.plan import plan_to_json
from tenantry.domain.plan_file import plan_tables_from_toml
from tenantry.entrypoints.cli.output import as_json, print_json, print_table, say
from tenantry.entrypoints.cli.values import FILE

_SHOWN = (
    "requests_per_day",
    "requests_per_minute",
    "tokens_per_minute",
    "concurrent_requests",
    "monthly_budget",
    "markup",
    "monthly_fee",
    "placement",
)


@click.group()
def plans() -> None:
    """Show and change plans.

    Example: `tenantry plans apply plans.toml`
    """


@plans.command(name="list")
@as_json
def list_(json_output: bool) -> None:
    """List the plans in force.

    Example: `tenantry plans list`
    """
    found = run_with_control(lambda control: control.list_plans())
    if json_output:
        print_json([{"name": p.name, "version": p.version, **plan_to_json(p)} for p in found])
    else:
        print_table(
            ("plan", "version", *(name.replace("_", " ") for name in _SHOWN)),
            ((p.name, p.version, *(getattr(p, name) for name in _SHOWN)) for p in found),
        )


@plans.command()
@click.argument("file", type=FILE)
def apply(file: Path) -> None:
    """Apply the plans of a TOML file; a changed plan gets its next version.

    Example: `tenantry plans apply plans.toml`
    """
    tables = plan_tables_from_toml(file.read_text(encoding="utf-8"))

    for plan in run_with_control(lambda control: control.apply_plans(tables)):
        say(f"{plan.name} is at version {plan.version}")
