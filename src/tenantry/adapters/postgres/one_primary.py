"""Which of two servers that both take writes is the one: that of the later timeline.

After a fail-over without fencing the old primary comes back and takes writes beside the new one.
A promotion begins a timeline with a higher number, so whoever has seen that knows the old one.

Owns: for each address, the server and the timeline that this process has seen, and which of its
connections are of them; a note of it in the data folder, for other processes and the next start.
Does not own: fencing. Of two servers on the same timeline, or of one whose successor nobody here
has seen yet, nothing can be told.

Invariants: within a process one server of an address is used, and its timeline never goes back.
A connection is not kept beside one of a later timeline.

A server that does not tell its timeline, as some hosts of PostgreSQL do not let it, is taken as
it is. So is one behind a socket of this machine: nothing fails over there.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl, unquote, urlsplit
from weakref import WeakKeyDictionary

import asyncpg

NOTE: Final = "database-server"  # as the file is named: server, timeline, with a slash
_PORT: Final = 5432
_NOTED: Final = re.compile(r"(-?\d{1,20})/(\d{1,10})\n?", re.ASCII)
_HOST: Final = re.compile(r"\[([^\[\]]+)\](?::(.*))?|([^:]+)(?::(.*))?")
# The timeline of the log that is written: the control file follows with the next checkpoint.
_WHICH: Final = """
SELECT c.system_identifier AS server,
       ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::int AS timeline
FROM pg_catalog.pg_control_system() c"""
# Somebody took the right from all roles, the server only looks like PostgreSQL, or is a standby.
UNTOLD: Final = (
    asyncpg.InsufficientPrivilegeError,
    asyncpg.FeatureNotSupportedError,
    asyncpg.ObjectNotInPrerequisiteStateError,
    asyncpg.UndefinedFunctionError,
)
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Which:
    server: int  # its system identifier, which a standby has from its primary
    timeline: int


@dataclass(slots=True)
class Primary:
    """What this process knows of the server at one address."""

    note: Path | None = None
    seen: _Which | None = None
    told: set[str] = field(default_factory=set)
    # Of which timeline, and of which loop, whose thread alone may end it.
    _open: WeakKeyDictionary[Any, tuple[int, asyncio.AbstractEventLoop]] = field(
        default_factory=WeakKeyDictionary
    )

    async def refusal(self, connection: Any, timeout_s: float) -> str | None:
        """Why this connection must not be used; None: it may be, and is of the one server."""
        try:
            row = await connection.fetchrow(_WHICH, timeout=timeout_s)
        except UNTOLD:
            return None
        found = _Which(row["server"], row["timeline"])
        noted = self._noted()
        if noted is not None and noted.server == (self.seen or found).server:
            self._advance(noted)
        if self.seen is None or self.seen.server == found.server:
            self._advance(found)
        assert self.seen is not None
        if found.server != self.seen.server:
            return (
                f"it is another server (system identifier {found.server}) than the one this"
                f" process works with ({self.seen.server}); where it takes its place, restart"
                " Tenantry"
            )
        if found.timeline < self.seen.timeline:
            where = "" if self.note is None else f", remove {self.note} and restart Tenantry"
            return (
                f"its timeline is {found.timeline}, and another server has gone on from it to"
                f" {self.seen.timeline}: it is a primary of before a fail-over, which must be"
                f" stopped or made a standby; where it is to be the one again{where}"
            )
        self._open[connection] = (found.timeline, asyncio.get_running_loop())
        if noted != self.seen:
            self._write(self.seen)
        return None

    def _advance(self, found: _Which) -> None:
        """What is open of an earlier timeline is ended: it may lead to the old primary."""
        if self.seen is not None and found.timeline <= self.seen.timeline:
            return
        if self.seen is not None:
            _log.warning(
                "the database went on from timeline %d to %d", self.seen.timeline, found.timeline
            )
        self.seen = found
        self.told.clear()
        for connection, (timeline, loop) in list(self._open.items()):
            if timeline < found.timeline:
                with contextlib.suppress(RuntimeError):  # that loop has ended, with what it had
                    loop.call_soon_threadsafe(connection.terminate)

    def _noted(self) -> _Which | None:
        """None, too, where there is no reading it: the note is only what another process knew."""
        if self.note is None:
            return None
        try:
            found = _NOTED.fullmatch(self.note.read_text("ascii"))
        except (OSError, UnicodeDecodeError):
            return None
        return None if found is None else _Which(int(found[1]), int(found[2]))

    def _write(self, which: _Which) -> None:
        """Of two that write at once the later one may lose; its next connection notes it again."""
        if self.note is None:
            return
        beside = self.note.with_name(f"{self.note.name}.{os.getpid()}")
        try:
            beside.write_text(f"{which.server}/{which.timeline}\n", "ascii")
            beside.chmod(0o600)
            beside.replace(self.note)
        except OSError as refused:
            if (line := f"{self.note}: {refused.strerror}") not in self.told:
                self.told.add(line)
                _log.warning("the database's timeline could not be noted: %s", line)


_KNOWN: dict[str, Primary] = {}  # of this process; by address


def primary_of(dsn: str) -> Primary | None:
    """What is known of the server that a URL leads to. None where nothing is to be known: behind
    a socket of this machine."""
    address = _address(dsn)
    return None if address is None else _KNOWN.setdefault(address, Primary())


def note_primary(url: str, folder: Path) -> None:
    """From now on what this process sees of that server is noted in `folder`, and what others
    noted there holds."""
    if (primary := primary_of(url)) is not None:
        primary.note = folder / NOTE


def hosts_of(dsn: str) -> list[tuple[str, int]]:
    """The hosts between commas and their ports, as asyncpg reads them."""
    parts = urlsplit(dsn)
    servers, ports = parts.netloc.rpartition("@")[2], list[str]()
    is_quoted = bool(servers)
    if not servers:
        given = dict(parse_qsl(parts.query))
        servers = given.get("host", "")
        ports = given["port"].split(",") if given.get("port") else []
    found = []
    for at, server in enumerate(servers.split(",") if servers else ()):
        if (parsed := _HOST.fullmatch(server)) is None:
            return []
        name, port = parsed[1] or parsed[3], parsed[2] or parsed[4]
        if ports:
            port = ports[at if len(ports) > 1 else 0]
        if is_quoted:
            name, port = unquote(name), unquote(port or "")
        found.append((name, int(port) if port else _PORT))
    return found


def _address(dsn: str) -> str | None:
    hosts = hosts_of(dsn)
    if all(name.startswith("/") for name, _ in hosts):  # or there are none: the driver's default
        return None
    return ",".join(f"{name}:{port}" for name, port in hosts)
