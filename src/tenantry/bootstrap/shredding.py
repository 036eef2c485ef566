"""Crypto-shred: this deployment's key store, objects, buckets and books."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from collections.abc import Awaitable, Callable, Iterator
from typing import TypeVar

from tenantry.adapters.clock import SystemClock
from tenantry.adapters.keys import control_plane
from tenantry.adapters.keys.wrapped_key import kms_key_of
from tenantry.adapters.objects.disk import DiskObjects
from tenantry.adapters.objects.durable_file import DurableFiles
from tenantry.adapters.postgres.connections import Databases, LoginDsnFor
from tenantry.adapters.postgres.content import PostgresContent
from tenantry.adapters.postgres.key_holders import PostgresKeyHolders, this_host
from tenantry.adapters.postgres.shreds import PostgresShreds
from tenantry.adapters.postgres.unit_of_work import TenantWork
from tenantry.application.shredding import Shredder
from tenantry.bootstrap.database import attached_or_started
from tenantry.bootstrap.deployment import control_of, settings
from tenantry.bootstrap.keys import keyring_of, kms_of
from tenantry.bootstrap.upstream import buckets_of
from tenantry.config import Settings
from tenantry.domain.document import Home
from tenantry.domain.shred import InvocationLog
from tenantry.domain.tenant import Tenant
from tenantry.ports.archive import Signer

T = TypeVar("T")
Look = Callable[[], Awaitable[object]]  # after this host's own processes


@contextlib.contextmanager
def shredder_of(config: Settings, databases: Databases) -> Iterator[Shredder]:
    """It destroys keys and opens none, so its process need not register."""
    files = DurableFiles()
    with keyring_of(config, SystemClock()) as keyring, contextlib.closing(kms_of(config)) as kms:
        yield Shredder(
            control=control_of(config, databases),
            book=PostgresShreds(databases.control),
            holders=PostgresKeyHolders(databases.control, this_host()),
            content=PostgresContent(TenantWork(databases.app)),
            keys=keyring,
            kms=kms,
            objects=DiskObjects(config.home / "accounts", files),
            buckets=buckets_of(config),
            signer=control_plane.load(config.home / "control", files).archive_signer,
            own_root_key=_own_root_key,
            log_of=lambda tenant: _log_of(config, tenant),
        )


def archive_signer() -> Signer:
    """What signs certificates, without a database."""
    return control_plane.load(settings().home / "control", DurableFiles()).archive_signer


def run_with_shredder(work: Callable[[Shredder, Look], Awaitable[T]]) -> T:
    """Runs one piece of work of a shred. `Look` notes which processes of this host have ended, for
    where none of them runs that would."""

    config = settings()

    async def main(dsn_for: LoginDsnFor) -> T:
        databases = await Databases.open(dsn_for, application="tenantry shred")
        try:
            holders = PostgresKeyHolders(databases.control, this_host())
            with shredder_of(config, databases) as shredder:
                return await work(shredder, holders.look)
        finally:
            await databases.close()

    with attached_or_started(config) as dsn_for:
        return asyncio.run(main(dsn_for))


def _own_root_key(home: Home) -> str:
    return kms_key_of(dataclasses.replace(home, own_kms_key=True))


def _log_of(config: Settings, tenant: Tenant) -> InvocationLog:
    """Where the account's log goes, as far as this deployment was told."""
    told = tenant.placement.invocation_log or config.invocation_log_url
    return InvocationLog(tenant.placement.account, told or "as the account's own settings say")
