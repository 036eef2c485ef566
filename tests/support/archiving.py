"""Old months of two tenants, rolled up, and an archive over them in a folder.

As a program, `python -m tests.support.archiving <spec as JSON>`, it archives a month and kills
itself at a step.
"""

import asyncio
import json
import os
import signal
import sys
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import asyncpg
from tests.support.ledger import World
from tests.support.postings import Posting, exact_sum

from tenantry.adapters.archive.parquet import ParquetArchive
from tenantry.adapters.keys.control_plane import ArchiveSigner
from tenantry.adapters.objects.durable_file import DurableFiles
from tenantry.adapters.postgres.archive import PostgresLedgerMonths
from tenantry.adapters.postgres.rollups import PostgresRollups
from tenantry.application.archiving import Archive, archive_month

SEED = b"s" * 32
STEPS = ("charge", "cost", "manifest", "read back", "posted")


def month_ago(months: int) -> date:
    at = datetime.now(UTC).date().replace(day=1)
    for _ in range(months):
        at = (at - timedelta(days=1)).replace(day=1)
    return at


def instant_of(month: date, hours: float) -> datetime:
    return datetime(month.year, month.month, 1, tzinfo=UTC) + timedelta(hours=hours)


def archive_over(control: Any, migrator_dsn: str, folder: Path) -> Archive:
    files = ParquetArchive(folder, DurableFiles())
    return Archive(PostgresLedgerMonths(control, lambda: migrator_dsn), files, ArchiveSigner(SEED))


def archive_in(world: World, folder: Path) -> Archive:
    return archive_over(world.databases.control, world.database.dsn("migrator"), folder)


async def with_partitions(world: World, oldest: date) -> None:
    """The tenants have been there since a month, which has a partition, as those after it."""
    since = datetime(oldest.year, oldest.month, 1, tzinfo=UTC)
    await world.as_superuser("UPDATE tenantry.tenant SET created_at = $1", since)
    await world.as_superuser("UPDATE tenantry.rollup SET through = $1", since)
    owner = await asyncpg.connect(world.database.dsn("migrator"))
    await owner.execute("SET ROLE tenantry_owner")
    await owner.execute("SELECT tenantry.ensure_partitions($1, 6)", oldest)
    await owner.close()


async def rolled_up(world: World) -> None:
    rollups = PostgresRollups(world.databases.control)
    while await rollups.advance(2_000):
        pass
    await rollups.renew(10_000)


def total(postings: list[Posting], tenant_id: str) -> Decimal:
    return exact_sum(each.amount for each in postings if each.tenant_id == tenant_id)


class _Deadly:
    """The archive's files, whose process dies after a step."""

    def __init__(self, files: ParquetArchive, step: str) -> None:
        self._files, self._step = files, step

    def __getattr__(self, name: str) -> Any:
        return getattr(self._files, name)

    def writing(self, place: str, book: Any, month: date) -> Any:
        writing = self._files.writing(place, book, month)
        if book == self._step:
            writer = writing.__enter__()
            whole = writer.write

            def write(rows: Any) -> None:
                whole(rows)
                die()

            writer.write = write  # type: ignore[method-assign]
        return _Entered(writing, writer) if book == self._step else writing

    def put_manifest(self, place: str, manifest: Any) -> None:
        if self._step == "manifest":
            die()
        self._files.put_manifest(place, manifest)

    def check(self, place: str, file: Any) -> None:
        if self._step == "read back":
            die()
        self._files.check(place, file)


class _Entered:
    def __init__(self, writing: Any, writer: Any) -> None:
        self._writing, self._writer = writing, writer

    def __enter__(self) -> Any:
        return self._writer

    def __exit__(self, *_: object) -> None:
        raise AssertionError("it is dead by now")


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


async def run(spec: dict[str, Any]) -> None:
    control = await asyncpg.create_pool(spec["control"], min_size=1, max_size=2)
    archive = archive_over(control, spec["migrator"], Path(spec["folder"]))
    deadly = Archive(archive.months, _Deadly(archive.files, spec["step"]), archive.signer)  # type: ignore[arg-type]
    await archive_month(deadly, date.fromisoformat(spec["month"]))
    die()


if __name__ == "__main__":
    asyncio.run(run(json.loads(sys.argv[1])))
