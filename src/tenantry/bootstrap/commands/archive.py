"""Work on the ledger's archive."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from tenantry.application.archiving import Archive
from tenantry.bootstrap.archive import archive_of
from tenantry.bootstrap.commands.run import run_with_logins
from tenantry.config import Settings

T = TypeVar("T")


def run_with_archive(work: Callable[[Archive, Settings], Awaitable[T]]) -> T:
    """Runs one piece of work of the archive."""
    return run_with_logins(
        lambda config, databases, dsn_for: work(archive_of(config, databases, dsn_for), config),
        "tenantry archive",
    )
