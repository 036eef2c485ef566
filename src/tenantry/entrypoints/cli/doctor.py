"""`tenantry doctor`: every setting with its origin, and what is wrong."""

from __future__ import annotations

import re
from typing import Any

import click

from tenantry.adapters.postgres.embedded import EmbeddedCluster
from tenantry.bootstrap.billing import issuer_of
from tenantry.bootstrap.capacity import workers_problems
from tenantry.bootstrap.commands.examine import examine
from tenantry.bootstrap.control_files import control_problems, open_secrets
from tenantry.bootstrap.deployment import examined_settings
from tenantry.bootstrap.failures import told
from tenantry.bootstrap.keys import key_facts
from tenantry.bootstrap.reach_settings import file_problems
from tenantry.bootstrap.vector_settings import vectors_fact
from tenantry.config import Settings, SettingsError, describe
from tenantry.domain.masks import without_userinfo
from tenantry.entrypoints.cli.output import as_json, print_json, print_table, say


@click.command()
@as_json
def doctor(json_output: bool) -> None:
    """Print each setting, where it came from, and what is wrong; exit 1 on a problem.

    Example: `tenantry doctor`
    """
    config, problems = examined_settings()
    facts: dict[str, Any] = {"home": str(config.home)}
    if not problems:  # nothing can be tried with settings that are wrong
        facts, problems = _facts(config)
    problems = [without_userinfo(problem) for problem in problems]
    facts = {
        name: without_userinfo(fact) if isinstance(fact, str) else fact
        for name, fact in facts.items()
    }
    wrong = _wrong(config, problems)
    rows = [(s.name, s.value, s.origin, s.name in wrong) for s in describe(config)]
    if json_output:
        columns = ("name", "value", "origin", "wrong")
        settings = [dict(zip(columns, row, strict=True)) for row in rows]
        print_json({"settings": settings, "facts": facts, "problems": problems})
    else:
        shown = [(*row, "wrong" if is_wrong else "") for *row, is_wrong in rows]
        print_table(("setting", "value", "from", ""), shown)
        print_table(("fact", "value"), facts.items())
    if problems:
        raise click.ClickException("; ".join(problems))
    if not json_output:
        tried = "deliveries" in facts
        say("nothing is wrong" if tried else f"nothing that was tried is wrong. {facts['tenants']}")


def _wrong(config: Settings, problems: list[str]) -> set[str]:
    """The settings that could not be read, and those that a problem names."""
    named = {word for problem in problems for word in re.findall(r"TENANTRY_[A-Z_]+", problem)}
    return {s.name for s in describe(config) if s.name in config.refused or s.variable in named}


def _facts(config: Settings) -> tuple[dict[str, Any], list[str]]:
    facts: dict[str, Any] = {
        "home": str(config.home),
        "passages": vectors_fact(config),
    }
    problems = file_problems(config) + workers_problems(config)
    problems += control_problems(config) + open_secrets(config)
    keys, wrong = key_facts(config)
    facts |= keys
    problems += wrong
    found, wrong = _examined(config)
    facts |= found
    problems += wrong
    try:
        issuer = issuer_of(config)
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


def _examined(config: Settings) -> tuple[dict[str, Any], list[str]]:
    """What the running deployment says, or why it cannot be asked."""
    try:
        return examine(config)
    except Exception as failure:
        message = told(failure)
        if message is None:
            raise
        return {}, [message]
