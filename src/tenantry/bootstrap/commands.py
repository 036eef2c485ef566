"""Single pieces of work, for the command line and the demo."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from tenantry.adapters.postgres.connections import Databases, DsnFor
from tenantry.adapters.postgres.keeper import PostgresLedgerKeeper
from tenantry.adapters.postgres.ledger import PostgresTenantLedger
from tenantry.adapters.postgres.unit_of_work import TenantWork
from tenantry.bootstrap.database import attached_or_started
from tenantry.bootstrap.deployment import control_of, settings
from tenantry.config import Settings
from tenantry.domain.ids import ApiKeyId
from tenantry.domain.tenant import DEFAULT_SCOPES, Principal
from tenantry.ports.control import ControlPlane
from tenantry.ports.ledger import LedgerKeeper, TenantLedger

T = TypeVar("T")


def run_with_control(work: Callable[[ControlPlane], Awaitable[T]]) -> T:
    """Runs one piece of work of the control plane."""
    return _run(lambda config, databases: work(control_of(config, databases)))


def run_with_keeper(work: Callable[[LedgerKeeper], Awaitable[T]]) -> T:
    """Runs one piece of work of the ledger's keeper."""
    return _run(
        lambda _, databases: work(PostgresLedgerKeeper(databases.control, databases.operator))
    )


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
