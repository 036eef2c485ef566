"""The register of processes that may hold tenant keys: `ports.shred.KeyHolders`, and its upkeep.

A process registers before it can open a key, so whoever registered after a key's destruction has
never had it. That one has ended is written by who saw it: the process itself once its keys are
closed, its successor under the same pid, or any other process of its host that finds it gone.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal
from uuid import UUID

from tenantry.adapters.postgres.pooled import Pooled
from tenantry.domain.shred import Holder

Kind = Literal["gateway", "background", "command"]


@dataclass(frozen=True, slots=True)
class Host:
    """This machine as processes know it: `key` names its boot and its space of process ids."""

    key: str
    name: str


def this_host() -> Host:
    name = socket.gethostname()
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
        space = str(Path("/proc/self/ns/pid").readlink())
    except OSError:  # not Linux
        return Host(name, name)
    return Host(f"{name} {boot} {space}", name)


def born(pid: int) -> int | None:
    """When a running process began, in clock ticks since boot; None where there is none.

    0 where the system does not tell: then its pid alone names it.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text("utf-8", errors="replace")
    except OSError:
        return _born_elsewhere(pid)
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] in {"Z", "X"} else int(fields[19])  # proc_pid_stat(5), 22


def _born_elsewhere(pid: int) -> int | None:
    if Path("/proc/self/stat").exists():
        return None
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        return 0
    return 0


class PostgresKeyHolders(Pooled):
    """`pool` is the control plane's, or a connection of its own behind the same two methods."""

    def __init__(self, pool: Any, host: Host, born_of: Callable[[int], int | None] = born) -> None:
        super().__init__(pool, "sql/shred.sql")
        self._host = host
        self._born_of = born_of

    async def register(self, kind: Kind) -> UUID:
        """Notes this process. To be called before it can open any key."""
        pid = os.getpid()
        host = self._host
        rows = await self._fetch(
            "register", host.key, host.name, pid, self._born_of(pid) or 0, kind
        )
        holder_id: UUID = rows[0]["holder_id"]
        return holder_id

    async def leave(self, holder_id: UUID) -> None:
        """This process has closed its keys and is about to end."""
        await self._fetch("leave", holder_id)

    async def look(self) -> frozenset[int]:
        """Notes which processes of this host have ended and which live; returns the pids of those
        that must make place for a successor."""
        open_ones = await self._fetch("open_of_host", self._host.key)
        ended, living, rolls = [], [], set()
        for row in open_ones:
            if self._born_of(row["pid"]) != row["born"]:
                ended.append(row["holder_id"])
                continue
            living.append(row["holder_id"])
            if row["rolls"]:
                rolls.add(row["pid"])
        if ended:
            await self._fetch("end_holders", ended)
        if living:
            await self._fetch("seen_holders", living)
        return frozenset(rolls)

    async def before(self, at: datetime, since: datetime) -> Sequence[Holder]:
        rows = await self._fetch("holders_before", at, since)
        return [
            Holder(
                row["host_name"],
                row["pid"],
                row["kind"],
                row["began_at"],
                row["seen_at"],
                row["ended_at"],
                row["ending"],
            )
            for row in rows
        ]

    async def declare_gone(self, host_name: str) -> int:
        return await self._execute("declare_gone", host_name)
