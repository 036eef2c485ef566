"""`tenantry ledger …`: archiving months, and holding archives against what was signed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

import click

from tenantry.application.archiving import (
    Archive,
    Verified,
    archive_closed,
    archive_month,
    verify_archives,
)
from tenantry.bootstrap.archive import run_with_archive
from tenantry.config import Settings
from tenantry.entrypoints.cli.output import as_json, print_json, print_table, say

_MONTH = click.DateTime(["%Y-%m"])


@click.group()
def ledger() -> None:
    """Archive months of the ledger, and verify archives.

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

    Refused while requests of the month are open or a period in it is not final. It can be broken
    off and run again at any time.

    Example: `tenantry ledger archive --after-months 13`
    """
    if month and after_months:
        raise click.UsageError("--month and --after-months exclude each other")

    async def work(archive: Archive, config: Settings) -> Sequence[Verified]:
        if month is not None:
            return [await archive_month(archive, date(month.year, month.month, 1))]
        age = after_months or config.archive_after_months
        if not age:
            raise click.UsageError("name --month or --after-months, or set archive_after_months")
        return await archive_closed(archive, age)

    _print(run_with_archive(work), json_output, "nothing is to be archived")


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
