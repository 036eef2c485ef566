"""Single pieces of work, for the command line and the demo."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from tenantry.adapters import shipped
from tenantry.adapters.clock import SystemClock
from tenantry.adapters.cloud_bill.export import CurExport
from tenantry.adapters.keys import control_plane
from tenantry.adapters.objects.durable_file import DurableFiles
from tenantry.adapters.postgres.alerts import PostgresAlerts
from tenantry.adapters.postgres.batches import PostgresBatchBook
from tenantry.adapters.postgres.connections import Databases, DsnFor
from tenantry.adapters.postgres.corrections import PostgresCorrections
from tenantry.adapters.postgres.cost_book import PostgresCostBook
from tenantry.adapters.postgres.deliveries import PostgresDeliveries
from tenantry.adapters.postgres.directory import PostgresDirectory
from tenantry.adapters.postgres.endpoints import PostgresEndpoints
from tenantry.adapters.postgres.errors import ClusterNotRunning
from tenantry.adapters.postgres.keeper import PostgresLedgerKeeper
from tenantry.adapters.postgres.ledger import PostgresTenantLedger
from tenantry.adapters.postgres.margin import PostgresMarginBooks
from tenantry.adapters.postgres.unit_of_work import TenantWork
from tenantry.adapters.postgres.usage_hours import PostgresUsageHours
from tenantry.adapters.sealed.sealer import TenantSealer
from tenantry.adapters.sorting import DiskSorter
from tenantry.application.billing import Billing
from tenantry.application.pacing import Outlook, outlooks
from tenantry.application.reconcile import Sides
from tenantry.application.reconcile_bill import TENANT_TAG, BillSides
from tenantry.application.true_up import TrueUp
from tenantry.bootstrap.billing import billing_of, issuer_of
from tenantry.bootstrap.database import attach, attached_or_started
from tenantry.bootstrap.deployment import control_of, settings
from tenantry.bootstrap.exports import names_of
from tenantry.bootstrap.gateway import Gateway, gateway
from tenantry.bootstrap.holders import registered
from tenantry.bootstrap.invocation_logs import LogSources, logs_at, record_files
from tenantry.bootstrap.keys import keyring_of
from tenantry.config import Settings
from tenantry.domain.billing_name import BillingNames, billing_names_from_csv
from tenantry.domain.catalogue import Catalogue
from tenantry.domain.ids import ApiKeyId
from tenantry.domain.tenant import DEFAULT_SCOPES, Principal, Tenant
from tenantry.ports.alerts import AlertBook
from tenantry.ports.batch import BatchBook
from tenantry.ports.control import ControlPlane
from tenantry.ports.corrections import Corrections
from tenantry.ports.delivery import NoticeDesk
from tenantry.ports.directory import Directory
from tenantry.ports.endpoints import Endpoints
from tenantry.ports.invocation_log import CountingLog
from tenantry.ports.keys import KeyRotation
from tenantry.ports.labels import Labels
from tenantry.ports.ledger import LedgerKeeper, TenantLedger
from tenantry.ports.margin import MarginBooks

T = TypeVar("T")


def run_with_control(work: Callable[[ControlPlane], Awaitable[T]]) -> T:
    """Runs one piece of work of the control plane."""
    return _run(lambda config, databases: work(control_of(config, databases)))


def run_with_labels(work: Callable[[ControlPlane, Labels], Awaitable[T]]) -> T:
    """Runs one piece of work of the control plane that names end users."""

    async def one(config: Settings, databases: Databases) -> T:
        async with registered(databases, "command"):
            with keyring_of(config, SystemClock()) as keyring:
                names = names_of(databases, TenantSealer(keyring), keyring, SystemClock().monotonic)
                return await work(control_of(config, databases), names.labels)

    return _run(one)


def run_with_keys(work: Callable[[ControlPlane, KeyRotation], Awaitable[T]]) -> T:
    """Runs one piece of work on tenant keys."""

    async def one(config: Settings, databases: Databases) -> T:
        async with registered(databases, "command"):
            with keyring_of(config, SystemClock()) as keyring:
                return await work(control_of(config, databases), keyring)

    return _run(one)


def run_with_billing(work: Callable[[ControlPlane, Billing], Awaitable[T]]) -> T:
    """Runs one piece of work on contracts and invoices. Raises `SettingsError`."""

    async def one(config: Settings, databases: Databases) -> T:
        billing = billing_of(databases, issuer_of(config))
        return await work(control_of(config, databases), billing)

    return _run(one)


def run_with_corrections(
    work: Callable[[ControlPlane, Corrections, Directory], Awaitable[T]],
) -> T:
    """Runs one correction of prices."""

    async def one(config: Settings, databases: Databases) -> T:
        key = control_plane.load(config.home / "control", DurableFiles())
        directory = PostgresDirectory(
            databases.app, pepper=key.pepper, open_sealed=key.open, clock=SystemClock()
        )
        corrections = PostgresCorrections(databases.control)
        return await work(control_of(config, databases), corrections, directory)

    return _run(one)


def run_with_keeper(work: Callable[[LedgerKeeper], Awaitable[T]]) -> T:
    """Runs one piece of work of the ledger's keeper."""
    return _run(
        lambda _, databases: work(PostgresLedgerKeeper(databases.control, databases.operator))
    )


def run_with_alerts(work: Callable[[ControlPlane, AlertBook], Awaitable[T]]) -> T:
    """Runs one piece of work on alerts."""
    return _run(
        lambda config, databases: work(
            control_of(config, databases), PostgresAlerts(databases.control, SystemClock())
        )
    )


def run_with_outlooks(
    tenant: str, work: Callable[[ControlPlane, Tenant, Sequence[Outlook]], Awaitable[T]]
) -> T:
    """Runs one piece of work on a tenant's budgets and where they will end."""

    async def one(config: Settings, databases: Databases) -> T:
        clock, control = SystemClock(), control_of(config, databases)
        found = await control.get_tenant(tenant)
        book = PostgresAlerts(databases.control, clock)
        hours = PostgresUsageHours(databases.control)
        return await work(control, found, await outlooks(book, hours, found.id))

    return _run(one)


def run_with_desk(work: Callable[[ControlPlane, NoticeDesk], Awaitable[T]]) -> T:
    """Runs one piece of work on notices and their deliveries."""
    return _run(
        lambda config, databases: work(
            control_of(config, databases), PostgresDeliveries(databases.control)
        )
    )


def run_with_endpoints(work: Callable[[ControlPlane, Endpoints], Awaitable[T]]) -> T:
    """Runs one piece of work on tenants' webhook endpoints."""

    async def one(config: Settings, databases: Databases) -> T:
        key = control_plane.load(config.home / "control", DurableFiles())
        endpoints = PostgresEndpoints(
            databases.control, seal=key.seal, open_sealed=key.open, clock=SystemClock()
        )
        return await work(control_of(config, databases), endpoints)

    return _run(one)


def delivery_counts(config: Settings) -> Mapping[str, int] | None:
    """How many deliveries are dead and pending; None where no database of ours runs by now.

    Raises what `told` tells where a database should answer and does not.
    """

    async def main(dsn_for: DsnFor) -> Mapping[str, int]:
        databases = await Databases.open(dsn_for, application="tenantry cli")
        try:
            return await PostgresDeliveries(databases.control).counts()
        finally:
            await databases.close()

    try:
        dsn_for = attach(config)
    except ClusterNotRunning:
        return None
    return asyncio.run(main(dsn_for))


def run_with_margin_books(work: Callable[[MarginBooks], Awaitable[T]]) -> T:
    """Runs one of the operator's reports over both books."""
    return _run(lambda _, databases: work(PostgresMarginBooks(databases.operator)))


def run_with_sides(
    places: Sequence[str],
    period: tuple[datetime, datetime],
    work: Callable[[Sides, TrueUp], Awaitable[T]],
) -> T:
    """Runs one reconciliation of a period, which may post what the same logs say first.

    `places` are folders, files or `s3://bucket/prefix`; none: where the worker reads.
    """

    async def one(config: Settings, databases: Databases) -> T:
        key = control_plane.load(config.home / "control", DurableFiles())
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
                sources = LogSources(config, keeper)
                await sources.refresh()
                logs += sources.values()
        named = {f"log {number}": log for number, log in enumerate(posted, 1)}
        with DiskSorter() as sorter:
            sides = Sides(keeper, directory, read, sorter)
            return await work(sides, TrueUp(keeper, directory, named))

    return _run(one)


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

    return _run(one)


def run_with_gateway(work: Callable[[Gateway], Awaitable[T]]) -> T:
    """Runs one use case of the data plane in this process, with what a gateway worker holds."""
    config = settings()

    async def main() -> T:
        async with gateway(config) as opened:
            try:
                return await work(opened)
            finally:
                await opened.drain()

    with attached_or_started(config):
        return asyncio.run(main())


def run_with_batches(work: Callable[[BatchBook], Awaitable[T]]) -> T:
    """Reads batch jobs with an operator's rights."""
    return _run(lambda _, databases: work(PostgresBatchBook(databases.control)))


def run_with_ledger(tenant: str, work: Callable[[TenantLedger, Principal], Awaitable[T]]) -> T:
    """Reads one tenant's ledger with an operator's rights."""

    async def one(config: Settings, databases: Databases) -> T:
        found = await control_of(config, databases).get_tenant(tenant)
        principal = Principal(found, ApiKeyId("operator"), DEFAULT_SCOPES)
        return await work(PostgresTenantLedger(TenantWork(databases.app)), principal)

    return _run(one)


def _run(work: Callable[[Settings, Databases], Awaitable[T]]) -> T:
    config = settings()

    async def main(dsn_for: DsnFor) -> T:
        databases = await Databases.open(dsn_for, application="tenantry cli")
        try:
            return await work(config, databases)
        finally:
            await databases.close()

    with attached_or_started(config) as dsn_for:
        return asyncio.run(main(dsn_for))
