"""Which processes serve over a database, by the register of those that may hold keys."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from tenantry.adapters.postgres.key_holders import Host, Kind, born

SEEN_WITHIN_S: Final = 30  # of one that lives; whoever looks after it notes it every ten
_HAS_REGISTER: Final = "SELECT to_regclass('tenantry.key_holder') IS NOT NULL"
_SERVING: Final = """
SELECT host, host_name, pid, born, kind, began_at FROM tenantry.key_holder
WHERE ended_at IS NULL AND kind IN ('gateway', 'background')
  AND seen_at > clock_timestamp() - make_interval(secs => $1)
ORDER BY host_name, kind DESC, pid"""
_MIGRATED: Final = "SELECT max(applied_at) FROM tenantry.schema_migrations"


@dataclass(frozen=True, slots=True)
class Serving:
    """A process of `serve` or `worker`. Of another host than ours it may have died just now."""

    host_name: str
    kind: Kind
    began_at: datetime


async def serving(
    connection: Any, host: Host, born_of: Callable[[int], int | None] = born
) -> list[Serving]:
    """For whoever may read the register: control, and the owner."""
    if not await connection.fetchval(_HAS_REGISTER):
        return []
    return [
        Serving(row["host_name"], row["kind"], row["began_at"])
        for row in await connection.fetch(_SERVING, SEEN_WITHIN_S)
        if row["host"] != host.key or born_of(row["pid"]) == row["born"]
    ]


async def older_than_schema(connection: Any, host: Host) -> list[Serving]:
    """Those that began before the schema's last migration: they run the version before it."""
    migrated_at = await connection.fetchval(_MIGRATED)
    return [each for each in await serving(connection, host) if each.began_at < migrated_at]


def by_host(processes: Sequence[Serving]) -> str:
    """`gw-1 (4 gateway, 1 background), gw-2 (1 gateway)`."""
    counts = Counter((each.host_name, each.kind) for each in processes)
    hosts = {each.host_name: None for each in processes}
    return ", ".join(
        f"{name} ({', '.join(f'{n} {kind}' for (host, kind), n in counts.items() if host == name)})"
        for name in hosts
    )
