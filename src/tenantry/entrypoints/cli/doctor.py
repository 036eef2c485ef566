"""`tenantry doctor`: every setting with its origin, and what is wrong."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from tenantry import bootstrap
from tenantry.adapters.postgres.embedded import EmbeddedCluster
from tenantry.config import Settings, SettingsError, describe
from tenantry.entrypoints.cli.output import as_json, print_json, print_table


@click.command()
@as_json
def doctor(json_output: bool) -> None:
    """Print each setting, where it came from, and what is wrong; exit 1 on a problem.

    Example: `tenantry doctor`
    """
    config = bootstrap.settings()
    rows = [(s.name, s.value, s.origin) for s in describe(config)]
    facts, problems = _facts(config)
    if json_output:
        print_json(
            {
                "settings": [dict(zip(("name", "value", "origin"), r, strict=True)) for r in rows],
                "facts": facts,
                "problems": problems,
            }
        )
    else:
        print_table(("setting", "value", "from"), rows)
        print_table(("fact", "value"), facts.items())
    if problems:
        raise click.ClickException("; ".join(problems))
    if not json_output:
        click.echo("nothing is wrong")


def _facts(config: Settings) -> tuple[dict[str, Any], list[str]]:
    facts: dict[str, Any] = {
        "home": str(config.home),
        "passages": bootstrap.vectors_fact(config),
    }
    problems = bootstrap.file_problems(config)
    keys, wrong = bootstrap.key_facts(config)
    facts |= keys
    problems += wrong
    counts, wrong = _deliveries(config)
    problems += wrong
    if counts is not None:
        facts["deliveries"] = f"{counts['pending']} pending, {counts['dead']} dead"
        if counts["dead"]:
            told = f"{counts['dead']} deliveries of notices are dead"
            problems.append(f"{told}: tenantry notices list --dead")
    try:
        issuer = bootstrap.issuer_of(config)
    except SettingsError as problem:
        problems.append(str(problem))
    else:
        facts["issuer of invoices"] = "none: drafts only" if issuer is None else issuer.party.name
    if config.database_url is not None:
        facts["database"] = "your own server (TENANTRY_DATABASE_URL)"
        return facts, problems
    cluster = EmbeddedCluster(config.home, bin_dir=config.postgres_bin)
    status = cluster.status()
    facts["database"] = "embedded PostgreSQL: for laptop, demo and tests, not for production"
    facts["cluster"] = "not started yet" if status is None else status.state
    marker = config.home / "cluster"
    if marker.exists():
        facts["cluster file"] = marker.read_text(encoding="utf-8").strip()
    return facts, problems


def _deliveries(config: Settings) -> tuple[Mapping[str, int] | None, list[str]]:
    """What the database counts of notices, or why it cannot be asked."""
    try:
        return bootstrap.delivery_counts(config), []
    except Exception as failure:
        message = bootstrap.told(failure)
        if message is None:
            raise
        return None, [message]
