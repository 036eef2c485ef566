"""The note in the data folder of which servers its processes have seen, and of what timeline.

A line each, `<system identifier>/<timeline> <host>:<port>,…`: the hosts are those of the URL that
led there. Of the lines that share a host with a URL the last names the server that the data folder
works with there; the others keep what is known of servers that were there before, or elsewhere. A
line without hosts, as an older version wrote it, is of whichever URL is asked about.

Invariants: a line's timeline never goes back. A line of other hosts is never touched, but for one
where there are more than `LINES_MAX`: the last of the same server, so that looks at copies take
each other's place and not the production's, else the oldest.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final
from urllib.parse import quote

from tenantry.ports.objects import Files

NAME: Final = "database-server"
LOCK_NAME: Final = "database-server.lock"
LINES_MAX: Final = 64
_LINE: Final = re.compile(r"(-?\d{1,20})/(\d{1,10})(?: ([!-~]+))?", re.ASCII)
_TRY_AGAIN_S: Final = 0.01


@dataclass(frozen=True, slots=True)
class Sighting:
    """A server, the latest timeline that was seen of it, and the hosts it was reached by."""

    server: int  # its system identifier, which a standby has from its primary
    timeline: int
    hosts: frozenset[str]  # each `host:port`, with no blank and no comma; none: not known

    def is_of(self, other: Sighting) -> bool:
        return (self.server, self.hosts) == (other.server, other.hosts)


@dataclass(frozen=True, slots=True)
class PrimaryNote:
    """The file, which all processes of the data folder share. Blocking: not for a loop's thread."""

    path: Path
    files: Files

    def read(self) -> list[Sighting]:
        """Every line that can be read as one; none where there is no file. Raises OSError."""
        try:
            text = self.path.read_bytes().decode("ascii", "replace")
        except FileNotFoundError:
            return []
        lines = (_LINE.fullmatch(line) for line in text.splitlines())
        return [
            Sighting(int(line[1]), int(line[2]), frozenset(line[3].split(",") if line[3] else ()))
            for line in lines
            if line is not None
        ]

    def add(self, seen: Sighting, *, last: bool, wait_s: float) -> None:
        """Merges a sighting. `last`: it is the one its hosts lead to, after all others of them;
        else one that has no line yet goes before them. `wait_s`: for others that write.

        Raises OSError and `Unavailable`.
        """
        with self._alone(wait_s):
            noted = [replace(line, hosts=line.hosts or seen.hosts) for line in self.read()]
            at = next((at for at, line in enumerate(noted) if line.is_of(seen)), None)
            if at is not None:
                seen = max(seen, noted.pop(at), key=lambda each: each.timeline)
            else:
                if len(noted) >= LINES_MAX:
                    noted.pop(_least(noted, seen))
                theirs = (at for at, line in enumerate(noted) if of_hosts([line], seen.hosts))
                at = next(theirs, len(noted))
            noted.insert(len(noted) if last else at, seen)
            text = "".join(_to_line(each) for each in noted)
            self.files.replace(self.path, text.encode("ascii"))

    @contextlib.contextmanager
    def _alone(self, wait_s: float) -> Iterator[None]:
        """Among all processes of this machine: of two that write at once no line is lost."""
        until = time.monotonic() + wait_s
        lock = self.path.with_name(LOCK_NAME)
        descriptor = os.open(lock, os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            while True:
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError as held:
                    if time.monotonic() >= until:
                        words = "another process holds it"
                        raise BlockingIOError(held.errno, words, str(lock)) from None
                time.sleep(_TRY_AGAIN_S)
            yield
        finally:
            os.close(descriptor)


def host_of(name: str, port: int) -> str:
    """As a line has it: a name in small letters, a socket's path as it is."""
    return f"{quote(name if name.startswith('/') else name.lower(), safe=':')}:{port}"


def hosts_told(hosts: frozenset[str]) -> str:
    return ",".join(sorted(hosts))


def of_hosts(noted: Sequence[Sighting], hosts: frozenset[str]) -> list[Sighting]:
    """Those of a URL that shares a host with these, or whose is not known, in order."""
    return [each for each in noted if not each.hosts or not each.hosts.isdisjoint(hosts)]


def _least(noted: Sequence[Sighting], seen: Sighting) -> int:
    """Which line has to go for that sighting."""
    copies = (
        at
        for at, line in reversed(list(enumerate(noted)))
        if line.server == seen.server and line.hosts.isdisjoint(seen.hosts)
    )
    return next(copies, 0)


def _to_line(seen: Sighting) -> str:
    return f"{seen.server}/{seen.timeline} {hosts_told(seen.hosts)}\n"
