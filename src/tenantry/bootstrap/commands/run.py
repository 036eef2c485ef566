"""The work of a command, on the database."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator
from typing import Protocol, TypeVar

from tenantry.adapters.postgres.connections import Databases, LoginDsnFor
from tenantry.bootstrap.control_key import control_key_of
from tenantry.bootstrap.database import attached_or_started
from tenantry.bootstrap.deployment import settings
from tenantry.config import Settings

T = TypeVar("T")
Work = Callable[[Settings, Databases, LoginDsnFor], Awaitable[T]]


class RunWork(Protocol):
    """Runs one piece of work."""

    def __call__(self, work: Work[T], /) -> T: ...


def run(work: Callable[[Settings, Databases], Awaitable[T]]) -> T:
    """Runs it on the running database, or on one that is started for it alone."""
    return run_with_logins(lambda config, databases, _: work(config, databases), "tenantry cli")


def run_with_logins(work: Work[T], application: str) -> T:
    """The same for work that opens connections of its own."""
    with on_database(application) as run_one:
        return run_one(work)


@contextlib.contextmanager
def on_database(application: str) -> Iterator[RunWork]:
    """What runs pieces of work on one database, each in a loop of its own: between them a person
    can be asked. `application` is its name in PostgreSQL."""
    config = settings()

    async def main(dsn_for: LoginDsnFor, work: Work[T]) -> T:
        databases = await Databases.open(dsn_for, application=application)
        try:
            await control_key_of(config, databases)
            return await work(config, databases, dsn_for)
        finally:
            await databases.close()

    with attached_or_started(config) as dsn_for:
        yield lambda work: asyncio.run(main(dsn_for, work))
