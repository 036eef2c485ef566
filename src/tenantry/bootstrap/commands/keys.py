"""Work on tenant keys, and on names under them: the process is registered as their holder."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from tenantry.adapters.clock import SystemClock
from tenantry.adapters.postgres.connections import Databases
from tenantry.adapters.postgres.noted_keys import PostgresKeyNotes
from tenantry.adapters.sealed.sealer import TenantSealer
from tenantry.bootstrap.commands.run import run
from tenantry.bootstrap.deployment import control_of
from tenantry.bootstrap.exports import names_of
from tenantry.bootstrap.holders import registered
from tenantry.bootstrap.keys import keyring_of
from tenantry.config import Settings
from tenantry.ports.control import ControlPlane
from tenantry.ports.keys import KeyRotation
from tenantry.ports.labels import Labels
from tenantry.ports.noted_keys import KeyNotes

T = TypeVar("T")


def run_with_keys(work: Callable[[ControlPlane, KeyRotation], Awaitable[T]]) -> T:
    """Runs one piece of work on tenant keys."""

    async def one(config: Settings, databases: Databases) -> T:
        async with registered(databases, "command"):
            with keyring_of(config, databases, SystemClock()) as keyring:
                return await work(control_of(config, databases), keyring)

    return run(one)


def run_with_key_notes(work: Callable[[ControlPlane, KeyRotation, KeyNotes], Awaitable[T]]) -> T:
    """Runs one piece of work on tenant keys and on what is noted of them."""

    async def one(config: Settings, databases: Databases) -> T:
        async with registered(databases, "command"):
            with keyring_of(config, databases, SystemClock()) as keyring:
                notes = PostgresKeyNotes(databases.control)
                return await work(control_of(config, databases), keyring, notes)

    return run(one)


def run_with_labels(work: Callable[[ControlPlane, Labels], Awaitable[T]]) -> T:
    """Runs one piece of work of the control plane that names end users."""

    async def one(config: Settings, databases: Databases) -> T:
        async with registered(databases, "command"):
            with keyring_of(config, databases, SystemClock()) as keyring:
                names = names_of(databases, TenantSealer(keyring), keyring, SystemClock().monotonic)
                return await work(control_of(config, databases), names.labels)

    return run(one)
