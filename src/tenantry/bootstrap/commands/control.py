"""Work of the control plane, and on what operators read."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from tenantry.adapters.clock import SystemClock
from tenantry.adapters.keys import control_plane
from tenantry.adapters.postgres.alerts import PostgresAlerts
from tenantry.adapters.postgres.batches import PostgresBatchBook
from tenantry.adapters.postgres.connections import Databases
from tenantry.adapters.postgres.corrections import PostgresCorrections
from tenantry.adapters.postgres.deliveries import PostgresDeliveries
from tenantry.adapters.postgres.directory import PostgresDirectory
from tenantry.adapters.postgres.endpoints import PostgresEndpoints
from tenantry.adapters.postgres.keeper import PostgresLedgerKeeper
from tenantry.adapters.postgres.ledger import PostgresTenantLedger
from tenantry.adapters.postgres.margin import PostgresMarginBooks
from tenantry.adapters.postgres.unit_of_work import TenantWork
from tenantry.adapters.postgres.usage_hours import PostgresUsageHours
from tenantry.adapters.postgres.vector_rooms import PostgresEngineBook
from tenantry.application.pacing import Outlook, outlooks
from tenantry.application.pages import PAGE, to_the_end
from tenantry.bootstrap.commands.run import run
from tenantry.bootstrap.deployment import control_of
from tenantry.config import Settings
from tenantry.domain.ids import ApiKeyId
from tenantry.domain.tenant import DEFAULT_SCOPES, Principal, Tenant
from tenantry.ports.alerts import AlertBook, UsageHours
from tenantry.ports.batch import BatchBook
from tenantry.ports.control import ControlPlane
from tenantry.ports.corrections import Corrections
from tenantry.ports.delivery import NoticeDesk
from tenantry.ports.directory import Directory
from tenantry.ports.endpoints import Endpoints
from tenantry.ports.ledger import LedgerKeeper, TenantLedger
from tenantry.ports.margin import MarginBooks
from tenantry.ports.vector_rooms import EngineBook

T = TypeVar("T")


def run_with_control(work: Callable[[ControlPlane], Awaitable[T]]) -> T:
    """Runs one piece of work of the control plane."""
    return run(lambda config, databases: work(control_of(config, databases)))


def run_with_corrections(
    work: Callable[[ControlPlane, Corrections, Directory], Awaitable[T]],
) -> T:
    """Runs one correction of prices."""

    async def one(config: Settings, databases: Databases) -> T:
        key = control_plane.load(config.home / "control")
        directory = PostgresDirectory(
            databases.app, pepper=key.pepper, open_sealed=key.open, clock=SystemClock()
        )
        corrections = PostgresCorrections(databases.control)
        return await work(control_of(config, databases), corrections, directory)

    return run(one)


def run_with_keeper(work: Callable[[LedgerKeeper], Awaitable[T]]) -> T:
    """Runs one piece of work of the ledger's keeper."""
    return run(
        lambda _, databases: work(PostgresLedgerKeeper(databases.control, databases.operator))
    )


def run_with_alerts(work: Callable[[ControlPlane, AlertBook], Awaitable[T]]) -> T:
    """Runs one piece of work on alerts."""
    return run(
        lambda config, databases: work(
            control_of(config, databases), PostgresAlerts(databases.control, SystemClock())
        )
    )


def run_with_hours(
    work: Callable[[ControlPlane, AlertBook, UsageHours], Awaitable[T]],
) -> T:
    """Runs one piece of work on what tenants used by the hour."""
    return run(
        lambda config, databases: work(
            control_of(config, databases),
            PostgresAlerts(databases.control, SystemClock()),
            PostgresUsageHours(databases.control),
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
        all_of_them = await to_the_end(
            lambda after: outlooks(book, hours, found.id, after=after, limit=PAGE),
            lambda outlook: outlook.key,
        )
        return await work(control, found, all_of_them)

    return run(one)


def run_with_desk(work: Callable[[ControlPlane, NoticeDesk], Awaitable[T]]) -> T:
    """Runs one piece of work on notices and their deliveries."""
    return run(
        lambda config, databases: work(
            control_of(config, databases), PostgresDeliveries(databases.control)
        )
    )


def run_with_endpoints(work: Callable[[ControlPlane, Endpoints], Awaitable[T]]) -> T:
    """Runs one piece of work on tenants' webhook endpoints."""

    async def one(config: Settings, databases: Databases) -> T:
        key = control_plane.load(config.home / "control")
        endpoints = PostgresEndpoints(
            databases.control, seal=key.seal, open_sealed=key.open, clock=SystemClock()
        )
        return await work(control_of(config, databases), endpoints)

    return run(one)


def run_with_engine_book(work: Callable[[EngineBook], Awaitable[T]]) -> T:
    """Runs one piece of work on the vector engines that hold passages."""
    return run(lambda _, databases: work(PostgresEngineBook(databases.control)))


def run_with_margin_books(work: Callable[[MarginBooks], Awaitable[T]]) -> T:
    """Runs one of the operator's reports over both books."""
    return run(lambda _, databases: work(PostgresMarginBooks(databases.operator)))


def run_with_batches(work: Callable[[ControlPlane, BatchBook], Awaitable[T]]) -> T:
    """Reads batch jobs with an operator's rights."""
    return run(
        lambda config, databases: work(
            control_of(config, databases), PostgresBatchBook(databases.control)
        )
    )


def run_with_ledger(tenant: str, work: Callable[[TenantLedger, Principal], Awaitable[T]]) -> T:
    """Reads one tenant's ledger with an operator's rights."""

    async def one(config: Settings, databases: Databases) -> T:
        found = await control_of(config, databases).get_tenant(tenant)
        principal = Principal(found, ApiKeyId("operator"), DEFAULT_SCOPES)
        return await work(PostgresTenantLedger(TenantWork(databases.app)), principal)

    return run(one)
