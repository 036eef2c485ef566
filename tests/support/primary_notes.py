"""Processes of one data folder, as unit tests of the note of servers play them."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.waiting import eventually

from tenantry.adapters.objects.durable_file import DurableFiles
from tenantry.adapters.postgres.one_primary import Primary
from tenantry.adapters.postgres.primary_note import NAME, PrimaryNote, Sighting

HERE, THERE = "db1:5432", "db2:5432"


class Connection:
    """Of a server that says which it is."""

    def __init__(self, server: int, timeline: int) -> None:
        self._row = {"server": server, "timeline": timeline}
        self.ended = asyncio.Event()

    async def fetchrow(self, *_: object, **__: object) -> dict[str, int]:
        return self._row

    def terminate(self) -> None:
        self.ended.set()


def process(home: Path, *hosts: str, may_change: bool = False) -> Primary:
    """What one process knows, before its first connection."""
    note = PrimaryNote(home / NAME, DurableFiles())
    return Primary(frozenset(hosts or [HERE]), note, may_change)


async def told(primary: Primary, server: int, timeline: int) -> str:
    """Why it does not use that server; nothing: it does."""
    connection: Any = Connection(server, timeline)
    return await primary.refusal(connection, 1) or ""


def start(home: Path, server: int, timeline: int, *hosts: str, may_change: bool = False) -> str:
    return asyncio.run(told(process(home, *hosts, may_change=may_change), server, timeline))


def lines(home: Path) -> Sequence[str]:
    return (home / NAME).read_text().splitlines()


@contextlib.contextmanager
def locked(*paths: Path) -> Iterator[None]:
    """As another process does that is stopped meanwhile."""
    with contextlib.ExitStack() as stack:
        for path in paths:
            descriptor = os.open(path, os.O_RDONLY | (0 if path.is_dir() else os.O_CREAT))
            stack.callback(os.close, descriptor)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield


@dataclass(frozen=True)
class Watched(PrimaryNote):
    """Counts how often the thread that looks has read it."""

    looks: list[int] = field(default_factory=list)

    def read(self) -> list[Sighting]:
        if threading.current_thread().name == NAME:
            self.looks.append(1)
        return super().read()

    async def looked_at(self) -> None:
        """Returns once a look that begins from now on has ended; each reads up to three times."""
        begun = len(self.looks)
        await asyncio.to_thread(eventually, lambda: len(self.looks) > begun + 5)


async def noted(home: Path, line: str) -> None:
    await asyncio.to_thread(eventually, lambda: (home / NAME).exists() and line in lines(home))
