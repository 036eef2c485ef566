"""Crypto-shred: this deployment's key store, objects, buckets and books."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeVar

from tenantry.adapters.clock import SystemClock
from tenantry.adapters.keys import control_plane
from tenantry.adapters.keys.wrapped_key import kms_key_of
from tenantry.adapters.postgres.connections import Databases, LoginDsnFor
from tenantry.adapters.postgres.content import PostgresContent
from tenantry.adapters.postgres.key_holders import PostgresKeyHolders, this_host
from tenantry.adapters.postgres.manifest import PostgresManifest
from tenantry.adapters.postgres.shreds import PostgresShreds
from tenantry.adapters.postgres.unit_of_work import TenantWork
from tenantry.adapters.postgres.vector_rooms import PostgresVectorRooms
from tenantry.adapters.sealed.sealer import TenantSealer
from tenantry.application.shredding import Shredder
from tenantry.bootstrap.control_key import control_key_of
from tenantry.bootstrap.database import attached_or_started
from tenantry.bootstrap.deployment import check_deployed, control_of, objects_of, settings
from tenantry.bootstrap.keys import keyring_of, kms_of
from tenantry.bootstrap.upstream import buckets_of
from tenantry.bootstrap.vectors import VectorParts, vectors_of
from tenantry.config import Settings
from tenantry.domain.document import Home
from tenantry.domain.shred import InvocationLog
from tenantry.ports.archive import Signer

T = TypeVar("T")
Look = Callable[[], Awaitable[object]]  # after this host's own processes


@contextlib.asynccontextmanager
async def shredder_of(
    config: Settings, databases: Databases, dsn_for: LoginDsnFor
) -> AsyncIterator[Shredder]:
    """It destroys keys and opens none, so its process need not register."""
    clock = SystemClock()
    work = TenantWork(databases.app)
    async with contextlib.AsyncExitStack() as stack:
        keyring = stack.enter_context(keyring_of(config, clock))
        kms = stack.enter_context(contextlib.closing(kms_of(config)))
        objects, sealer = objects_of(config), TenantSealer(keyring)
        parts = VectorParts(work, PostgresManifest(work), keyring, sealer, clock, objects)
        yield Shredder(
            control=control_of(config, databases),
            book=PostgresShreds(databases.control),
            holders=PostgresKeyHolders(databases.control, this_host()),
            content=PostgresContent(work),
            keys=keyring,
            kms=kms,
            objects=objects,
            vectors=await vectors_of(config, dsn_for, parts, stack),
            buckets=buckets_of(config),
            signer=control_plane.load(config.home / "control").archive_signer,
            own_root_key=_own_root_key,
            log_of=lambda account, told: _log_of(config, account, told),
            rooms=PostgresVectorRooms(work),
        )


def archive_signer() -> Signer:
    """What signs certificates, without a database. Raises `SettingsError` without a deployment."""
    config = settings()
    check_deployed(config)
    return control_plane.load(config.home / "control").archive_signer


def run_with_shredder(work: Callable[[Shredder, Look], Awaitable[T]]) -> T:
    """Runs one piece of work of a shred. `Look` notes which processes of this host have ended, for
    where none of them runs that would."""

    config = settings()

    async def main(dsn_for: LoginDsnFor) -> T:
        databases = await Databases.open(dsn_for, application="tenantry shred")
        try:
            await control_key_of(config, databases)
            holders = PostgresKeyHolders(databases.control, this_host())
            async with shredder_of(config, databases, dsn_for) as shredder:
                return await work(shredder, holders.look)
        finally:
            await databases.close()

    with attached_or_started(config) as dsn_for:
        return asyncio.run(main(dsn_for))


def _own_root_key(home: Home) -> str:
    return kms_key_of(dataclasses.replace(home, own_kms_key=True))


def _log_of(config: Settings, account: str, told: str | None) -> InvocationLog:
    """Where the account's log goes, as far as this deployment was told."""
    location = told or config.invocation_log_url
    return InvocationLog(account, location or "as the account's own settings say")
