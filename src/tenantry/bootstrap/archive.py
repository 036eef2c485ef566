"""The ledger's archive: this deployment's books, folder and key."""

from __future__ import annotations

from tenantry.adapters.archive.parquet import ParquetArchive
from tenantry.adapters.keys import control_plane
from tenantry.adapters.objects.durable_file import DurableFiles
from tenantry.adapters.postgres.archive import PostgresLedgerMonths
from tenantry.adapters.postgres.connections import Databases, LoginDsnFor
from tenantry.application.archiving import Archive
from tenantry.config import Settings


def archive_of(config: Settings, databases: Databases, dsn_for: LoginDsnFor) -> Archive:
    files = DurableFiles()
    folder = config.archive_folder or config.home / "archive"
    return Archive(
        PostgresLedgerMonths(databases.control, lambda: dsn_for("migrator")),
        ParquetArchive(folder, files),
        control_plane.load(config.home / "control").archive_signer,
    )
