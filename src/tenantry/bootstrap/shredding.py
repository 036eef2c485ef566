"""Crypto-shred: this deployment's key store, objects, buckets and books."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import AsyncIterator

from tenantry.adapters.clock import SystemClock
from tenantry.adapters.keys import control_plane
from tenantry.adapters.keys.control_plane import ControlPlaneKey
from tenantry.adapters.keys.keyring import Keyring
from tenantry.adapters.keys.wrapped_key import kms_key_of
from tenantry.adapters.postgres.connections import Databases, LoginDsnFor
from tenantry.adapters.postgres.content import PostgresContent
from tenantry.adapters.postgres.key_holders import PostgresKeyHolders, this_host
from tenantry.adapters.postgres.manifest import PostgresManifest
from tenantry.adapters.postgres.shreds import PostgresShreds
from tenantry.adapters.postgres.unit_of_work import TenantWork
from tenantry.adapters.postgres.vector_rooms import PostgresVectorRooms
from tenantry.adapters.sealed.sealer import TenantSealer
from tenantry.application.knowledge import Knowledge
from tenantry.application.root_keys import RootKeys
from tenantry.application.shredding import Shredder, Shreds
from tenantry.bootstrap.deployment import control_of, objects_of
from tenantry.bootstrap.keys import keyring_of, kms_of
from tenantry.bootstrap.upstream import buckets_of
from tenantry.bootstrap.vectors import VectorParts, vectors_of
from tenantry.config import Settings
from tenantry.domain.document import Home
from tenantry.domain.shred import InvocationLog
from tenantry.ports.control import ControlPlane
from tenantry.ports.keys import KmsKeys


@contextlib.asynccontextmanager
async def shredder_of(
    config: Settings, databases: Databases, dsn_for: LoginDsnFor
) -> AsyncIterator[Shredder]:
    """It destroys keys and opens none, so its process need not register."""
    clock = SystemClock()
    work = TenantWork(databases.app)
    async with contextlib.AsyncExitStack() as stack:
        keyring = stack.enter_context(keyring_of(config, databases, clock))
        kms = stack.enter_context(contextlib.closing(kms_of(config)))
        control = control_of(config, databases)
        objects, sealer = objects_of(config), TenantSealer(keyring)
        parts = VectorParts(work, PostgresManifest(work), keyring, sealer, clock, objects)
        yield Shredder(
            control=control,
            book=PostgresShreds(databases.control),
            holders=PostgresKeyHolders(databases.control, this_host()),
            content=PostgresContent(work),
            keys=keyring,
            roots=root_keys_of(control, keyring, kms),
            objects=objects,
            vectors=await vectors_of(config, dsn_for, parts, stack),
            buckets=buckets_of(config),
            signer=control_plane.load(config.home / "control").archive_signer,
            log_of=lambda account, told: _log_of(config, account, told),
            rooms=PostgresVectorRooms(work),
        )


def shreds_of(
    config: Settings,
    databases: Databases,
    control: ControlPlane,
    key: ControlPlaneKey,
    knowledge: Knowledge,
    keyring: Keyring,
    stack: contextlib.AsyncExitStack,
) -> Shreds:
    """What asks for a shred, in a gateway; what it opens is closed by the stack."""
    roots = root_keys_of(control, keyring, stack.enter_context(contextlib.closing(kms_of(config))))
    book = PostgresShreds(databases.control)
    return Shreds(control, book, key.archive_signer, knowledge.vectors, roots)


def root_keys_of(control: ControlPlane, keyring: Keyring, kms: KmsKeys) -> RootKeys:
    return RootKeys(control, keyring, kms, _own_root_key)


def _own_root_key(home: Home) -> str:
    return kms_key_of(dataclasses.replace(home, own_kms_key=True))


def _log_of(config: Settings, account: str, told: str | None) -> InvocationLog:
    """Where the account's log goes, as far as this deployment was told."""
    location = told or config.invocation_log_url
    return InvocationLog(account, location or "as the account's own settings say")
