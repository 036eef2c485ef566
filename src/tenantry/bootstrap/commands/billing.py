"""Work on contracts and invoices."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from tenantry.adapters.postgres.connections import Databases
from tenantry.application.billing import Billing
from tenantry.bootstrap.billing import billing_of, issuer_of
from tenantry.bootstrap.commands.run import run
from tenantry.bootstrap.deployment import control_of
from tenantry.config import Settings
from tenantry.ports.control import ControlPlane

T = TypeVar("T")


def run_with_billing(work: Callable[[ControlPlane, Billing], Awaitable[T]]) -> T:
    """Runs one piece of work on contracts and invoices. Raises `SettingsError`."""

    async def one(config: Settings, databases: Databases) -> T:
        billing = billing_of(databases, issuer_of(config), config.home)
        return await work(control_of(config, databases), billing)

    return run(one)
