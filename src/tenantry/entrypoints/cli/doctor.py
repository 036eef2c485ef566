"""`tenantry doctor`: every setting with its origin, and what is wrong."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from typing import Any

import click

from tenantry.adapters.clock import SystemClock
from tenantry.adapters.postgres.embedded import EmbeddedCluster
from tenantry.adapters.postgres.embedded.place import known_place
from tenantry.application.round_facts import round_facts
from tenantry.bootstrap.billing import issuer_of
from tenantry.bootstrap.checks.capacity import workers_problems
from tenantry.bootstrap.checks.reach import file_problems
from tenantry.bootstrap.checks.vectors import vectors_fact
from tenantry.bootstrap.control_files import control_problems, open_secrets
from tenantry.bootstrap.deployment import examined_settings, round_marks
from tenantry.bootstrap.doctor.examine import examine
from tenantry.bootstrap.doctor.listening import NOTHING_LISTENS
from tenantry.bootstrap.failures import told
from tenantry.bootstrap.keys import key_facts
from tenantry.config import DEFAULT, Settings, SettingsError, describe
from tenantry.domain.masks import without_userinfo
from tenantry.entrypoints.cli.output import as_json, print_json, print_table, say
from tenantry.entrypoints.http.open_files import files_allowed, scarce, too_few, wanted
from tenantry.entrypoints.http.tls import local_tls, tls_problems


@click.command()
@click.option("--aws", is_flag=True, help="Try each placement's Bedrock, from here, too.")
@click.option("--all", "whole", is_flag=True, help="Print settings at their default, too.")
@as_json
def doctor(aws: bool, whole: bool, json_output: bool) -> None:
    """Print what was set, where it came from, and what is wrong; exit 1 on a problem.

    Settings at their default are left out, but for --all; JSON has every one. What is wrong comes
    last.

    With --aws each placement's endpoint in each of its regions is connected to (name, TCP, TLS)
    and, where control/credentials.json has keys of its account, asked for one CountTokens, which is
    free of charge.

    Example: `tenantry doctor --aws`
    """
    config, problems = examined_settings()
    facts: dict[str, Any] = {"home": str(config.home)}
    if not problems:  # nothing can be tried with settings that are wrong
        facts, problems = _facts(config, aws)
    problems = [without_userinfo(problem) for problem in dict.fromkeys(problems)]
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
        print_table(("fact", "value"), facts.items())
        say()
        _print_settings(rows, whole)
    if problems:
        raise click.ClickException("; ".join(problems))
    if not json_output:
        tried = "deliveries" in facts
        say("nothing is wrong" if tried else f"nothing that was tried is wrong. {facts['tenants']}")


def _print_settings(rows: Sequence[tuple[str, str, str, bool]], whole: bool) -> None:
    """Those that were set or are wrong, these last; `whole`: all."""
    shown = [row for row in rows if whole or row[2] != DEFAULT or row[3]]
    shown.sort(key=lambda row: row[3])
    marked = any(is_wrong for *_, is_wrong in shown)
    if shown:
        print_table(
            ("setting", "value", "from", *([""] if marked else [])),
            [
                (*row, *(["wrong" if is_wrong else ""] if marked else []))
                for *row, is_wrong in shown
            ],
        )
    if left := len(rows) - len(shown):
        say(f"{left} settings are at their default (--all prints them)")


def _wrong(config: Settings, problems: list[str]) -> set[str]:
    """The settings that could not be read, and those that a problem names."""
    named = {word for problem in problems for word in re.findall(r"TENANTRY_[A-Z_]+", problem)}
    return {s.name for s in describe(config) if s.name in config.refused or s.variable in named}


def _facts(config: Settings, aws: bool) -> tuple[dict[str, Any], list[str]]:
    facts: dict[str, Any] = {
        "home": str(config.home),
        "passages": vectors_fact(config),
    }
    problems = file_problems(config) + workers_problems(config)
    problems += control_problems(config) + open_secrets(config)
    for found, wrong in (_gateway_facts(config), key_facts(config)):
        facts |= found
        problems += wrong
    found, wrong = _examined(config, aws)
    facts |= found
    problems += wrong + _demo_is_over(config, wrong)
    facts["background worker"], wrong = round_facts(round_marks(config).read(), time.time())
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
    failed = cluster.failed_start()
    if failed is not None:
        problems.append(f"the last start of the database failed: {failed}")
    elif status is not None and status.state == "failed":
        problems.append(f"the database was given up: {status.reason}")
    if (place := known_place(config.home)) is not None:
        facts["cluster folder"] = str(place.folder)
    return facts, problems


def _demo_is_over(config: Settings, problems: Sequence[str]) -> list[str]:
    """What can be done where it is the demo's emulator that nobody finds any more."""
    if not any(NOTHING_LISTENS in problem for problem in problems):
        return []
    from tenantry.entrypoints.demo.ground import MARK

    if not (config.home / MARK).exists():
        return []
    return ["the demo's emulator of Bedrock ended with the demo: `make demo` brings all of it back"]


def _gateway_facts(config: Settings) -> tuple[dict[str, Any], list[str]]:
    """What a gateway of this machine would serve with: its certificate, and open files."""
    most = wanted(config.upstream_connections_total_max)
    files = files_allowed(most)
    facts: dict[str, Any] = {"open files": f"{files:,} of a worker, started from here"}
    problems = tls_problems(config.home, SystemClock().now())
    if not problems and (tls := local_tls(config.home)).certificate.exists():
        facts["TLS certificate"] = f"until {tls.ends_at():%Y-%m-%d}"
    if (wrong := too_few(files) or scarce(files, most)) is not None:
        problems.append(wrong)
    return facts, problems


def _examined(config: Settings, aws: bool) -> tuple[dict[str, Any], list[str]]:
    """What the running deployment says, or why it cannot be asked."""
    try:
        return examine(config, aws=aws)
    except Exception as failure:
        message = told(failure)
        if message is None:
            raise
        return {}, [message]
