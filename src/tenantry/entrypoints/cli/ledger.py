"""`tenantry ledger …`: archives of months, and giving up what no log will ever tell of."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import click

from tenantry.application.archiving import (
    Archive,
    Closed,
    Verified,
    archive_closed,
    archive_month,
    verify_archives,
)
from tenantry.bootstrap.commands.archive import run_with_archive
from tenantry.bootstrap.commands.control import run_with_keeper
from tenantry.bootstrap.deployment import settings
from tenantry.config import Settings
from tenantry.entrypoints.cli.confirming import confirm
from tenantry.entrypoints.cli.output import as_json, print_json, print_table, say
from tenantry.entrypoints.cli.values import INSTANT, NAMED

_MONTH = click.DateTime(["%Y-%m"])


@click.group()
def ledger() -> None:
    """Archive months of the ledger, verify archives, and give up what stays unknown.

    Example: `tenantry ledger archive --month 2025-03`
    """


@ledger.command()
@click.option("--month", type=_MONTH, help="The oldest month that is not archived, as 2025-03.")
@click.option(
    "--after-months",
    type=click.IntRange(1, 120),
    help="Instead: all months that ended so long ago; default: the setting's figure.",
)
@as_json
def archive(month: datetime | None, after_months: int | None, json_output: bool) -> None:
    """Write closed months to signed Parquet files, and drop their rows for a carry-forward entry.

    Refused while requests of the month are open or a period in it is not final: what holds up a
    month that is due is told, with status 1. It can be broken off and run again at any time.

    Example: `tenantry ledger archive --after-months 13`
    """
    if month and after_months:
        raise click.UsageError("--month and --after-months exclude each other")

    async def work(archive: Archive, config: Settings) -> Closed:
        if month is not None:
            done = await archive_month(archive, date(month.year, month.month, 1))
            return Closed([done], None)
        age = after_months or config.archive_after_months
        if not age:
            raise click.UsageError("name --month or --after-months, or set archive_after_months")
        return await archive_closed(archive, age)

    closed = run_with_archive(work)
    if closed.done or closed.held is None or json_output:
        _print(closed.done, json_output, "nothing is to be archived")
    if closed.held is not None:
        obstacles = closed.held.obstacles
        for line in obstacles.named:
            say(line, err=True)
        if obstacles.more:
            say(f"… and {obstacles.more:,} more", err=True)
        raise click.ClickException(
            f"{closed.held.month:%Y-%m} is due and cannot be archived, nor what came after it:"
            f" {'; '.join(obstacles.reasons)}"
        )


@ledger.command()
@as_json
def verify(json_output: bool) -> None:
    """Read every archive again: files, rows, sums, signatures, and the ledger's own entries.

    Example: `tenantry ledger verify --json`
    """

    async def work(archive: Archive, _: Settings) -> tuple[Sequence[Verified], str]:
        return await verify_archives(archive), archive.signer.public_key.hex()

    found, key = run_with_archive(work)
    if json_output:
        print_json({"public_key": key, "archives": [_to_json(each) for each in found]})
        return
    _print(found, json_output, "nothing is archived")
    say(f"all hold, by the public key {key}")


@ledger.command()
@as_json
def archives(json_output: bool) -> None:
    """List the months that are archived.

    Example: `tenantry ledger archives`
    """

    async def work(archive: Archive, _: Settings) -> list[dict[str, Any]]:
        return [
            {
                "month": f"{each.month:%Y-%m}",
                "place": each.manifest,
                "manifest_sha256": each.manifest_sha256.hex(),
                "archived_at": each.archived_at,
            }
            for each in await archive.months.archived()
        ]

    rows = run_with_archive(work)
    if json_output:
        print_json(rows)
    else:
        names = ("month", "place", "manifest_sha256", "archived_at")
        print_table(names, ([row[name] for name in names] for row in rows))


@ledger.command("write-off")
@click.option("--account", type=NAMED, help="Of this AWS account alone; default: of all.")
@click.option(
    "--before", type=INSTANT, help="UTC: what began before; default: what is held for too long."
)
@click.option("--yes", is_flag=True, help="Do not ask.")
@as_json
def write_off(account: str | None, before: datetime | None, yes: bool, json_output: bool) -> None:
    """End attempts of unknown end as our waste, though their log was not read.

    For an account whose invocation log is gone for good, and for batch jobs whose bucket is. The
    worker writes off by itself what a log that it has read does not tell of. What still comes of
    them becomes an adjustment, and our waste.

    Example: `tenantry ledger write-off --account 123456789012 --before 2026-11-01`
    """
    if before is None:
        until = datetime.now(UTC) - timedelta(hours=settings().unknown_hold_h)
    else:
        until = before.replace(tzinfo=UTC)
    if until > datetime.now(UTC):
        raise click.BadParameter("lies in the future", param_hint="--before")
    if not yes:
        whose = "every account" if account is None else f"account {account}"
        asked = f"Write off what is unknown of {whose} and began before {until:%Y-%m-%d %H:%M}Z?"
        confirm(asked)

    ended = run_with_keeper(lambda keeper: keeper.give_up(until, account))
    if json_output:
        print_json({"written_off": ended})
    else:
        say(f"{ended:,} attempts were written off")


def _to_json(each: Verified) -> dict[str, Any]:
    return {
        "month": f"{each.month:%Y-%m}",
        "place": each.place,
        "rows": each.rows,
        "size_bytes": each.size_bytes,
    }


def _print(found: Sequence[Verified], json_output: bool, nothing: str) -> None:
    rows = [_to_json(each) for each in found]
    if json_output:
        print_json(rows)
    elif not rows:
        say(nothing)
    else:
        print_table(tuple(rows[0]), (tuple(row.values()) for row in rows))
