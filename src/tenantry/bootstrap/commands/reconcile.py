"""Reconciliation of the ledger with logs and bills."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from tenantry.adapters import shipped
from tenantry.adapters.clock import SystemClock
from tenantry.adapters.cloud_bill.export import CurExport
from tenantry.adapters.keys import control_plane
from tenantry.adapters.postgres.connections import Databases
from tenantry.adapters.postgres.cost_book import PostgresCostBook
from tenantry.adapters.postgres.directory import PostgresDirectory
from tenantry.adapters.postgres.keeper import PostgresLedgerKeeper
from tenantry.adapters.sorting import DiskSorter
from tenantry.application.reconcile import Sides
from tenantry.application.reconcile_bill import TENANT_TAG, BillSides
from tenantry.application.true_up import TrueUp
from tenantry.bootstrap.commands.run import run
from tenantry.bootstrap.deployment import control_of
from tenantry.bootstrap.invocation_logs import LogSources, logs_at, record_files
from tenantry.config import Settings
from tenantry.domain.billing_name import BillingNames, billing_names_from_csv
from tenantry.domain.catalogue import Catalogue
from tenantry.ports.invocation_log import CountingLog

T = TypeVar("T")


def run_with_sides(
    places: Sequence[str],
    period: tuple[datetime, datetime],
    work: Callable[[Sides, TrueUp], Awaitable[T]],
) -> T:
    """Runs one reconciliation of a period, which may post what the same logs say first.

    `places` are folders, files or `s3://bucket/prefix`; none: where the worker reads.
    """

    async def one(config: Settings, databases: Databases) -> T:
        key = control_plane.load(config.home / "control")
        directory = PostgresDirectory(
            databases.app, pepper=key.pepper, open_sealed=key.open, clock=SystemClock()
        )
        keeper = PostgresLedgerKeeper(databases.control, databases.operator)
        read: list[CountingLog] = []
        posted: list[
            CountingLog
        ] = []  # each counts what it passes over, so each is read by one alone
        for logs in (read, posted):
            if places:
                logs += logs_at(places, period)
            else:
                sources = LogSources(config, keeper, notes=False)
                await sources.refresh()
                logs += sources.values()
        named = {f"log {number}": log for number, log in enumerate(posted, 1)}
        with DiskSorter() as sorter:
            sides = Sides(keeper, directory, read, sorter, named=bool(places))
            return await work(sides, TrueUp(keeper, directory, named))

    return run(one)


@dataclass(frozen=True, slots=True)
class BillAsked:
    """Where bills lie, and how their names are read."""

    places: Sequence[str]
    ignore: Sequence[str] = ()
    names: Path | None = None
    tenant_tag: str = TENANT_TAG


def run_with_bill(asked: BillAsked, work: Callable[[BillSides], Awaitable[T]]) -> T:
    """Runs one reconciliation with the provider's bill."""

    async def one(config: Settings, databases: Databases) -> T:
        catalogue = Catalogue(await control_of(config, databases).list_models())
        names = shipped.billing_names()
        if asked.names is not None:
            names |= billing_names_from_csv(asked.names.read_text("utf-8").splitlines())
        exports = [CurExport(record_files(place)) for place in asked.places]
        book = PostgresCostBook(databases.operator)
        with DiskSorter() as sorter:
            named = BillingNames(names, catalogue)
            sides = BillSides(book, exports, named, sorter, asked.ignore, asked.tenant_tag)
            return await work(sides)

    return run(one)
