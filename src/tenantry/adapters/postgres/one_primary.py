"""Which of two servers that both take writes is the one: that of the later timeline.

After a fail-over without fencing the old primary comes back and takes writes beside the new one.
A promotion begins a timeline with a higher number, so whoever has seen that knows the old one.

Owns: for each address, the server and the timeline that this process has seen, and which of its
connections are of them. What it sees it notes in the data folder (`primary_note.py`), and while it
has connections open a thread looks there every second for what other processes have seen.
Does not own: fencing. Of two servers on the same timeline, or of one whose successor nobody here
has seen yet, nothing can be told.

Invariants: within a process one server of an address is used, and its timeline never goes back.
A connection is not kept beside one of a later timeline. What was seen at other hosts is told, and
refuses nothing: it may be a copy that somebody looked at.

A server that does not tell its timeline, as some hosts of PostgreSQL do not let it, is taken as
it is. So is one behind a socket of this machine: nothing fails over there.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar
from weakref import WeakKeyDictionary

import asyncpg

from tenantry.adapters.postgres.aside import Aside
from tenantry.adapters.postgres.primary_note import (
    NAME,
    PrimaryNote,
    Sighting,
    host_of,
    hosts_told,
    of_hosts,
)
from tenantry.adapters.postgres.url_hosts import hosts_of
from tenantry.domain.errors import Unavailable
from tenantry.ports.objects import Files

LOOK_EVERY_S: Final = 1.0
NOTE_S: Final = 1.0  # that a connection waits for the note; the looks read it later
LOCK_S: Final = 0.2  # for who else writes the note; the next look tries again
_LOCK_OF_START_S: Final = 10.0  # of a start, which has no next look
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
_T = TypeVar("_T")


@dataclass(slots=True)
class Primary:
    """What this process knows of the server at one address."""

    hosts: frozenset[str]
    note: PrimaryNote | None = None
    may_change: bool = False  # this process is a start: whichever server it finds is the one
    seen: Sighting | None = None
    told: set[str] = field(default_factory=set)
    # Of which timeline, and of which loop, whose thread alone may end it.
    _open: WeakKeyDictionary[Any, tuple[int, asyncio.AbstractEventLoop]] = field(
        default_factory=WeakKeyDictionary
    )
    _is_looking: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock)  # of the two above, and `seen`
    _aside: Aside = field(default_factory=lambda: Aside(f"{NAME}-note"))

    async def refusal(self, connection: Any, timeout_s: float) -> str | None:
        """Why this connection must not be used; None: it may be, and is of the one server."""
        try:
            row = await connection.fetchrow(_WHICH, timeout=timeout_s)
        except UNTOLD:
            return None
        found = Sighting(row["server"], row["timeline"], self.hosts)
        noted = await self._asked(self._noted) or []
        self._heed(noted)
        here = of_hosts(noted, self.hosts)
        why = self._another(here, found) or self._overtaken(here, found)
        if why is None and self.seen is None:
            self._tell_of_copies(noted, found)
            if here and here[-1].server != found.server:
                await self._take_its_place(found)
                why = self._another((), found)  # meanwhile
        if why is not None:
            return why
        self._advance(found)
        self._hold(connection, found.timeline)
        await self._asked(self._note_down)
        return self._overtaken((), found)  # meanwhile, where another thread looks too

    def _another(self, here: Sequence[Sighting], found: Sighting) -> str | None:
        done = "restart `serve` of this data folder, or run `tenantry migrate` here"
        if self.seen is not None:
            server, whose = self.seen.server, "process"
            done += ", and restart what still runs"
        elif here and not self.may_change:
            server, whose = here[-1].server, "data folder"
        else:
            return None
        if found.server == server:
            return None
        return (
            f"it is another server (system identifier {found.server}) than the one this {whose}"
            f" works with ({server}); where it takes its place, {done}"
        )

    def _overtaken(self, here: Sequence[Sighting], found: Sighting) -> str | None:
        known = [each.timeline for each in here if each.server == found.server]
        if self.seen is not None:
            known.append(self.seen.timeline)
        if (latest := max(known, default=found.timeline)) <= found.timeline:
            return None
        where = ""
        if self.note is not None:
            where = (
                ", stop every process of Tenantry, on every machine, remove"
                f" {self.note.path} there, and start them"
            )
        return (
            f"its timeline is {found.timeline}, and another server has gone on from it to"
            f" {latest}: it is a primary of before a fail-over, which must be stopped or made a"
            f" standby; where it is to be the one again{where}"
        )

    def _tell_of_copies(self, noted: Sequence[Sighting], found: Sighting) -> None:
        """At other hosts the same server is a copy, or the primary of before or after a fail-over
        to another address. Which it is only an operator knows."""
        is_known = any(each.is_of(found) for each in noted)
        for each in noted:
            if each.server != found.server or of_hosts([each], self.hosts):
                continue
            where, there = hosts_told(self.hosts), hosts_told(each.hosts)
            if each.timeline > found.timeline:
                _log.warning(
                    "the database at %s is on timeline %d, and the one at %s has gone on from it to"
                    " %d: nobody may write to both; where that is a copy, remove its line from %s",
                    *(where, found.timeline, there, each.timeline, self.note and self.note.path),
                )
            elif each.timeline < found.timeline and not is_known:
                _log.warning(
                    "the database at %s has gone on to timeline %d from the one at %s (%d), with"
                    " which this data folder worked: nobody may write to both; a copy is better"
                    " looked at with a data folder of its own",
                    *(where, found.timeline, there, each.timeline),
                )

    def _heed(self, noted: Sequence[Sighting]) -> None:
        """What others have seen of the server that this process works with."""
        for each in of_hosts(noted, self.hosts):
            if self.seen is not None and each.server == self.seen.server:
                self._advance(each)

    def _advance(self, found: Sighting) -> None:
        """What is open of an earlier timeline is ended: it may lead to the old primary."""
        with self._lock:
            before = self.seen
            if before is not None and found.timeline <= before.timeline:
                return
            self.seen = Sighting(found.server, found.timeline, self.hosts)
            is_open = list(self._open.items())
        if before is not None:
            _log.warning(
                "the database went on from timeline %d to %d", before.timeline, found.timeline
            )
            self.told.clear()
        for connection, (timeline, loop) in is_open:
            if timeline < found.timeline:
                with contextlib.suppress(RuntimeError):  # that loop has ended, with what it had
                    loop.call_soon_threadsafe(connection.terminate)

    def _hold(self, connection: Any, timeline: int) -> None:
        with self._lock:
            self._open[connection] = (timeline, asyncio.get_running_loop())
            if self.note is None or self._is_looking:
                return
            threading.Thread(target=self._look, name=NAME, daemon=True).start()
            self._is_looking = True

    def _look(self) -> None:
        """For as long as a connection is there: one that is kept busy, or pinned, would never hear
        of the new primary otherwise. In a thread: a disk may take as long as it likes."""
        while True:
            time.sleep(LOOK_EVERY_S)
            with self._lock:
                if not self._open:
                    self._is_looking = False
                    return
            try:
                self._heed(self._noted() or [])
                self._note_down()
            except Exception as fault:  # the next look may do
                self._tell(f"a look at the note failed: {fault!r}", fault)

    async def _asked(self, work: Callable[[], _T]) -> _T | None:
        """What the note says; None: it does not answer in time, and no connection waits for it."""
        try:
            return await self._aside.run(work, NOTE_S)
        except TimeoutError:
            self._tell("the note does not answer; what others have seen is not known")
            return None

    def _noted(self) -> list[Sighting] | None:
        """None: there is no note, or no reading it. It is only what others knew."""
        try:
            return None if self.note is None else self.note.read()
        except OSError as refused:
            self._tell(f"what others have seen is not known: {refused}")
            return None

    def _note_down(self) -> None:
        """What cannot be read is not replaced."""
        seen = self.seen
        if self.note is None or seen is None or (noted := self._noted()) is None:
            return
        if any(each.is_of(seen) and each.timeline >= seen.timeline for each in noted):
            return
        try:
            self.note.add(seen, last=False, wait_s=LOCK_S)
        except (OSError, Unavailable) as refused:
            self._tell(f"it could not be noted: {refused}")

    async def _take_its_place(self, found: Sighting) -> None:
        """Else every other process of the data folder would refuse the server that this one uses.
        Raises `Unavailable`."""
        assert self.note is not None
        add = functools.partial(self.note.add, found, last=True, wait_s=_LOCK_OF_START_S)
        try:
            await self._aside.run(add, _LOCK_OF_START_S + NOTE_S)
        except (OSError, Unavailable) as refused:
            raise Unavailable(
                f"The database is another server than {self.note.path} names, and it cannot be"
                " noted there."
            ) from refused

    def _tell(self, line: str, fault: Exception | None = None) -> None:
        if line not in self.told:
            self.told.add(line)
            _log.warning("the database's timeline: %s", line, exc_info=fault)


_KNOWN: dict[str, Primary] = {}  # of this process; by address


def primary_of(dsn: str) -> Primary | None:
    """What is known of the server that a URL leads to. None where nothing is to be known: behind
    a socket of this machine."""
    hosts = hosts_of(dsn)
    if all(name.startswith("/") for name, _ in hosts):
        return None
    told = [host_of(*each) for each in hosts]
    return _KNOWN.setdefault(",".join(told), Primary(frozenset(told)))


def note_primary(url: str, folder: Path, files: Files, *, may_change: bool = False) -> None:
    """From now on what this process sees of that server is noted in `folder`, and what others
    noted there holds.

    `may_change`: another server than the noted one may have taken its place, as at a start. Else
    it is refused: other processes of the data folder may still work with the noted one.
    """
    if (primary := primary_of(url)) is not None:
        primary.note = PrimaryNote(folder / NAME, files)
        primary.may_change = primary.may_change or may_change
