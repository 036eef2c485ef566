"""The ledger's archive: this deployment's books, folder and key."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from tenantry.adapters.archive.parquet import ParquetArchive
from tenantry.adapters.keys import control_plane
from tenantry.adapters.objects.durable_file import DurableFiles
from tenantry.adapters.postgres.archive import PostgresLedgerMonths
from tenantry.adapters.postgres.connections import Databases, LoginDsnFor
from tenantry.application.archiving import Archive
from tenantry.bootstrap.control_key import control_key_of
from tenantry.bootstrap.database import attached_or_started
from tenantry.bootstrap.deployment import settings
from tenantry.config import Settings

T = TypeVar("T")


def archive_of(config: Settings, databases: Databases, dsn_for: LoginDsnFor) -> Archive:
    files = DurableFiles()
    folder = config.archive_folder or config.home / "archive"
    return Archive(
        PostgresLedgerMonths(databases.control, lambda: dsn_for("migrator")),
        ParquetArchive(folder, files),
        control_plane.load(config.home / "control").archive_signer,
    )


def run_with_archive(work: Callable[[Archive, Settings], Awaitable[T]]) -> T:
    """Runs one piece of work of the archive."""
    config = settings()

    async def main(dsn_for: LoginDsnFor) -> T:
        databases = await Databases.open(dsn_for, application="tenantry archive")
        try:
            await control_key_of(config, databases)
            return await work(archive_of(config, databases, dsn_for), config)
        finally:
            await databases.close()

    with attached_or_started(config) as dsn_for:
        return asyncio.run(main(dsn_for))
