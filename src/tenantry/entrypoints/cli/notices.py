"""`tenantry notices …`: what the outside was told, and what could not be delivered."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime
from uuid import UUID

import click

from tenantry.application.notice_test import tell_test
from tenantry.bootstrap.commands.control import run_with_desk
from tenantry.entrypoints.cli.cut import say_cut
from tenantry.entrypoints.cli.output import as_json, print_json, print_table, say
from tenantry.entrypoints.cli.values import NAMED
from tenantry.ports.delivery import Listed

_PATIENCE_S = 20  # with a test, until everybody may have it
_COLUMNS = ("notice", "tenant", "kind", "time", "sink", "state", "attempts", "next", "last error")


@click.group()
def notices() -> None:
    """See what the outside was told, send a test, and send again or dismiss what is dead.

    Example: `tenantry notices list --dead`
    """


@notices.command(name="list")
@click.option("--dead", is_flag=True, help="Only what was given up.")
@click.option(
    "--limit",
    type=click.IntRange(1, 10_000),
    default=100,
    show_default=True,
    help="At most so many, the newest.",
)
@as_json
def list_(dead: bool, limit: int, json_output: bool) -> None:
    """List notices and their deliveries, the newest first.

    Example: `tenantry notices list --dead`
    """
    found = run_with_desk(lambda _, desk: desk.listed("dead" if dead else None, limit + 1))
    rows = found[:limit]
    if json_output:
        print_json([dataclasses.asdict(row) for row in rows])
    else:
        print_table(_COLUMNS, map(_row, rows), without_empty=True)
    if len(found) > limit:
        say_cut(limit, "see --limit")


@notices.command()
@as_json
def test(json_output: bool) -> None:
    """Send a test to whoever hears of alerts, and tell who has it.

    It goes the way of every alert, through the background worker, so it also finds a worker that
    was not restarted since its settings changed.

    Example: `tenantry notices test`
    """
    rows = run_with_desk(lambda _, desk: tell_test(desk, datetime.now(UTC), _PATIENCE_S))
    if json_output:
        print_json([dataclasses.asdict(row) for row in rows])
    else:
        print_table(_COLUMNS, map(_row, rows), without_empty=True)
    states = {row.state for row in rows}
    if "new" in states:
        raise click.ClickException(
            f"no background worker has seen it within {_PATIENCE_S} s: is `tenantry serve` running?"
        )
    if "no sink" in states:
        raise click.ClickException(
            "the worker knows neither a webhook nor mail: it reads its settings when it starts, so"
            " start `tenantry serve` again where they are set"
        )
    if dead := [f"{row.sink}: {row.last_error}" for row in rows if row.state == "dead"]:
        told = "; ".join(dead)
        raise click.ClickException(f"given up: {told}; mend it and run the test again")
    if states != {"delivered"}:
        raise click.ClickException("not everybody has it; it is tried again: `notices list`")


@notices.command()
@click.argument("notice", type=click.UUID)
@click.option("--sink", type=NAMED, help="Only to this one; else to all where it is dead.")
def retry(notice: UUID, sink: str | None) -> None:
    """Begin dead deliveries of a notice anew, under the same id.

    Example: `tenantry notices retry 0b8e6f0c-1f0e-4f6e-9a53-3d1d5f1f9f5b`
    """
    if not run_with_desk(lambda _, desk: desk.retry(notice, sink, datetime.now(UTC))):
        raise click.ClickException(f"nothing of {notice} is dead")
    say(f"{notice} is on its way again")


@notices.command()
@click.argument("notice", type=click.UUID)
@click.option(
    "--sink",
    type=NAMED,
    help="At this one, also where it is still tried; else at all where it is dead.",
)
def dismiss(notice: UUID, sink: str | None) -> None:
    """Leave dead deliveries of a notice to a person: doctor counts them no more.

    Example: `tenantry notices dismiss 0b8e6f0c-1f0e-4f6e-9a53-3d1d5f1f9f5b --sink stripe`
    """
    if not run_with_desk(lambda _, desk: desk.dismiss(notice, sink)):
        raise click.ClickException(f"nothing of {notice} is dead" + (f" at {sink}" if sink else ""))
    say(f"{notice} is dismissed")


@notices.command()
@click.argument("notice", type=click.UUID)
@click.argument("sink", type=click.Choice(["webhook", "mail", "stripe"]))
def send(notice: UUID, sink: str) -> None:
    """Send a notice to a sink that did not hear of it, such as an invoice of a tenant linked since.

    Example: `tenantry notices send 0b8e6f0c-1f0e-4f6e-9a53-3d1d5f1f9f5b stripe`
    """
    if not run_with_desk(lambda _, desk: desk.send(notice, sink, datetime.now(UTC))):
        raise click.ClickException(f"there is no notice {notice}, or {sink} has it")
    say(f"{notice} is on its way to {sink}")


def _row(listed: Listed) -> tuple[object, ...]:
    notice_id, _, *rest = dataclasses.astuple(listed)
    return (notice_id, *rest)
