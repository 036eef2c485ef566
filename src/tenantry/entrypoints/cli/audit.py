"""`tenantry audit isolation`: what a stranger and a neighbour can do to a running deployment."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from tenantry.bootstrap.audit import local_stores
from tenantry.bootstrap.deployment import operator_token, settings
from tenantry.config import Settings
from tenantry.domain.audit import Report, Result
from tenantry.entrypoints.audit.operator import Operator, Refused
from tenantry.entrypoints.audit.report_html import to_html
from tenantry.entrypoints.audit.report_text import summary, to_text
from tenantry.entrypoints.audit.running import Target, run_audit
from tenantry.entrypoints.audit.wire import Wire
from tenantry.entrypoints.cli.output import as_json, plain_console, print_json, say_lines
from tenantry.entrypoints.cli.values import FILE, NAMED
from tenantry.entrypoints.signals import endings


def _in_a_folder(context: click.Context, option: click.Parameter, file: Path | None) -> Path | None:
    """Told before the audit is made, and not after it."""
    if file is not None and not (file.parent.is_dir() and os.access(file.parent, os.W_OK)):
        raise click.BadParameter(f"nothing can be written to the folder {file.parent}")
    return file


@click.group()
def audit() -> None:
    """Attack a running deployment, as its operator.

    Example: `tenantry audit isolation --html report.html`
    """


@audit.command()
@click.option(
    "--url",
    type=NAMED,
    help="Data plane of the deployment; default: TENANTRY_URL, or this machine's.",
)
@click.option("--admin-url", type=NAMED, help="Its admin port; default: this machine's.")
@click.option(
    "--ca-bundle",
    type=FILE,
    help="PEM file of the authority of an https `--url`.",
)
@click.option(
    "--plan",
    type=NAMED,
    help="Whose models the canaries use; default: a plan of the placement's kind.",
)
@click.option(
    "--placement",
    "placements",
    type=NAMED,
    multiple=True,
    help="Of both canaries, or given twice: of the one and of the other; default: a pool.",
)
@click.option(
    "--html",
    "html_file",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    callback=_in_a_folder,
    help="Write the report as one HTML file too.",
)
@click.option(
    "--only",
    type=NAMED,
    multiple=True,
    help="Make only the attacks whose ids begin so; keeps no report.",
)
@click.option("--keep/--no-keep", default=True, help="Keep the report at /admin/v1/audits.")
@click.option(
    "--shred/--no-shred",
    default=None,
    help="Shred the canaries at the end; default: where they have a KMS key of their own, or "
    "vectors in another engine.",
)
@as_json
def isolation(json_output: bool, html_file: Path | None, keep: bool, **options: Any) -> None:
    """Try to reach one tenant through another; exit 1 on a finding.

    Makes canary tenants, crosses every route that the deployment describes, and puts the canaries
    away, also when it is interrupted.

    Example: `tenantry audit isolation --html report.html`
    """
    config = settings()
    target = _target(config, **options)
    try:
        with _terminated_is_interrupted(), _progress() as told:
            report = run_audit(target, lambda one: local_stores(config, one), told)
    except (Refused, OSError) as problem:
        raise click.ClickException(str(problem)) from None
    if json_output:
        print_json(report.to_json())
    else:
        say_lines(to_text(report).removesuffix("\n"))
    try:
        if html_file is not None:
            html_file.write_text(to_html(report), encoding="utf-8")
        if keep and not target.only:
            _keep(target, report)
    except (Refused, OSError) as problem:
        raise click.ClickException(f"The report is printed, but not kept: {problem}") from None
    if report.findings:
        raise click.ClickException(summary(report))


def _target(
    config: Settings,
    url: str | None,
    admin_url: str | None,
    ca_bundle: Path | None,
    plan: str | None,
    placements: tuple[str, ...],
    only: tuple[str, ...],
    shred: bool | None,
) -> Target:
    if len(placements) > 2:
        raise click.UsageError("`--placement` is given once or twice")
    found = url or config.url or f"http://127.0.0.1:{config.http_port}"
    own_authority = config.home / "tls" / "ca.pem"
    if ca_bundle is None and found.startswith("https:") and own_authority.exists():
        ca_bundle = own_authority
    return Target(
        url=found,
        admin_url=admin_url or f"http://{config.admin_host}:{config.admin_port}",
        token=operator_token(config),
        ca_bundle=ca_bundle,
        plan=plan,
        placements=placements,
        only=only,
        shred=shred,
    )


def _keep(target: Target, report: Report) -> None:
    wire = Wire(target.admin_url)
    try:
        Operator(wire, target.token).post("/audits", report.to_json())
    finally:
        wire.close()


@contextlib.contextmanager
def _progress() -> Iterator[Any]:
    """A bar on stderr where somebody looks at it."""
    console = plain_console(stderr=True)
    bar = Progress(
        TextColumn("attacking"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.description}", markup=False),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
    with bar:
        task = bar.add_task("", total=None)

        def told(number: int, total: int, result: Result) -> None:
            bar.update(task, completed=number, total=total, description=result.wall)

        yield told


@contextlib.contextmanager
def _terminated_is_interrupted() -> Iterator[None]:
    """SIGTERM and SIGHUP end an audit as Ctrl-C does: the canaries are put away first."""

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupted) for number in endings()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
