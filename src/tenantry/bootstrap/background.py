"""What the background worker works with."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

from tenantry.adapters.clock import SystemClock
from tenantry.adapters.invocation_log.folder import OF_EACH_ACCOUNT, FolderLog
from tenantry.adapters.keys import control_plane
from tenantry.adapters.objects.durable_file import DurableFiles
from tenantry.adapters.postgres.connections import Databases
from tenantry.adapters.postgres.directory import PostgresDirectory
from tenantry.adapters.postgres.idempotency import PostgresExpiredKeys
from tenantry.adapters.postgres.keeper import PostgresLedgerKeeper
from tenantry.application.true_up import TrueUp
from tenantry.bootstrap.database import attach
from tenantry.config import Settings
from tenantry.ports.idempotency import ExpiredKeys
from tenantry.ports.ledger import LedgerKeeper


@contextlib.asynccontextmanager
async def background(
    config: Settings,
) -> AsyncIterator[tuple[LedgerKeeper, TrueUp, ExpiredKeys, SystemClock]]:
    """What the background worker works with."""
    databases = await Databases.open(attach(config), application="tenantry worker")
    try:
        clock = SystemClock()
        key = control_plane.load(config.home / "control", DurableFiles())
        keeper = PostgresLedgerKeeper(databases.control, databases.operator)
        directory = PostgresDirectory(
            databases.app, pepper=key.pepper, open_sealed=key.open, clock=clock
        )
        logs = {"embedded": FolderLog(config.home / "accounts", each=OF_EACH_ACCOUNT)}
        expired_keys = PostgresExpiredKeys(databases.control)
        yield keeper, TrueUp(keeper, directory, logs), expired_keys, clock
    finally:
        await databases.close()
