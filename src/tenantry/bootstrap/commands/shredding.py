"""Work of a crypto-shred, and what its certificates are checked with."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Iterator
from typing import Protocol, TypeVar

from tenantry.adapters.keys import control_plane
from tenantry.adapters.postgres.connections import Databases, LoginDsnFor
from tenantry.adapters.postgres.key_holders import PostgresKeyHolders, this_host
from tenantry.application.shredding import Shredder
from tenantry.bootstrap.commands.run import RunWork, on_database
from tenantry.bootstrap.deployment import check_deployed, settings
from tenantry.bootstrap.shredding import shredder_of
from tenantry.config import Settings
from tenantry.ports.archive import Signer

T = TypeVar("T")
Look = Callable[[], Awaitable[object]]  # after this host's own processes


class RunShred(Protocol):
    """Runs one piece of work of a shred. `Look` notes which processes of this host have ended, for
    where none of them runs that would."""

    def __call__(self, work: Callable[[Shredder, Look], Awaitable[T]], /) -> T: ...


@contextlib.contextmanager
def shredding() -> Iterator[RunShred]:
    """What runs pieces of work on one database; between them a person can be asked."""
    with on_database("tenantry shred") as run:
        yield lambda work: _with_shredder(run, work)


def _with_shredder(run: RunWork, work: Callable[[Shredder, Look], Awaitable[T]]) -> T:
    async def one(config: Settings, databases: Databases, dsn_for: LoginDsnFor) -> T:
        holders = PostgresKeyHolders(databases.control, this_host())
        async with shredder_of(config, databases, dsn_for) as shredder:
            return await work(shredder, holders.look)

    return run(one)


def archive_signer() -> Signer:
    """What signs certificates, without a database. Raises `SettingsError` without a deployment."""
    config = settings()
    check_deployed(config)
    return control_plane.load(config.home / "control").archive_signer
