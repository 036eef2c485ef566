"""How a worker shares out the files that it may have open at once.

Connections are files. Where they took all, neither the database nor the admin port could be
reached: each kind has a share of its own, and what is left is for everything else.
"""

from __future__ import annotations

import resource
from dataclasses import dataclass
from typing import Final

from tenantry.entrypoints.http.wire.limits import WireLimits

# Idle, a worker has 29 (measured): the pools of the database may take 24 more, the rest is for
# engines, key stores, and what threads read.
OWN: Final = 128
ADMIN: Final = 1_024  # connections of operators and of who scrapes metrics
_SHARED_MIN: Final = 64  # below that nobody could be served
_USUAL: Final = 65_536
_HOW: Final = "raise the limit of open files (LimitNOFILE of systemd, `ulimit -n`)"


@dataclass(frozen=True, slots=True)
class Shares:
    """Of one worker."""

    clients: int  # connections to the data plane
    admin: int  # connections to the admin port
    requests: int  # in flight, each with at most one connection to Bedrock; idle ones are of them

    @property
    def files(self) -> int:
        return OWN + self.clients + self.admin + self.requests


def wanted(upstream_total_max: int) -> Shares:
    """What a worker takes where files are no matter. `upstream_total_max`: connections to all
    endpoints of Bedrock."""
    limits = WireLimits()
    return Shares(limits.connections, ADMIN, max(limits.requests, upstream_total_max))


def shares_of(files: int, most: Shares) -> Shares:
    """Of so many files, at most `most`."""
    room = files - OWN
    if files >= most.files:
        return most
    admin = min(most.admin, room // 8)
    requests = min(most.requests, max((room - admin) // 3, room - admin - most.clients))
    return Shares(min(most.clients, room - admin - requests), admin, requests)


def files_allowed(most: Shares) -> int:
    """How many a worker may have once `allow_files` was called."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    aim = max(_USUAL, most.files)
    if resource.RLIM_INFINITY in (soft, hard):
        return aim if soft == resource.RLIM_INFINITY else max(soft, aim)
    return max(soft, min(hard, aim))


def allow_files(most: Shares) -> int:
    """Many systems start a process with 1,024 open files, and allow it to ask for more. Returns how
    many there are now, for processes that are started from here too."""
    allowed = files_allowed(most)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < allowed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    return allowed


def too_few(files: int) -> str | None:
    """Why nobody can be served with so many, in one line."""
    least = OWN + _SHARED_MIN
    if files >= least:
        return None
    return f"a worker may have {files:,} files open and needs {least:,} at least: {_HOW}"


def scarce(files: int, most: Shares) -> str | None:
    """What has to be less with so many, in one line."""
    if files >= most.files:
        return None
    got = shares_of(files, most)
    return (
        f"a worker may have {files:,} files open and could use {most.files:,}: it takes"
        f" {got.clients:,} connections of clients, not {most.clients:,}, and {got.requests:,}"
        f" requests at a time, not {most.requests:,}; {_HOW}"
    )
