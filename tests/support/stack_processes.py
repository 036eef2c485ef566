"""The processes of a running product: which they are, and how each dies."""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tenantry.adapters.postgres.guardian.processes import is_alive
from tenantry.adapters.postgres.guardian.status import ClusterStatus, read_status

START_S = 120.0  # a cold, busy machine makes a cluster; a broken start ends at once
END_S = 60.0


class Processes:
    """What runs below `tenantry serve`. Every kill is SIGKILL, and waits for the end."""

    home: Path
    serve: subprocess.Popen[str]

    def gateway_workers(self) -> list[int]:
        """The pids of the gateway's worker processes."""
        return [pid for pid, command in _children(self.serve.pid) if b"spawn_main" in command]

    def background_workers(self) -> list[int]:
        """One, or none while it is being replaced."""
        return [pid for pid, command in _children(self.serve.pid) if b"\0worker\0" in command]

    def background_worker(self) -> int:
        (worker,) = self.background_workers()
        return worker

    def database_status(self) -> ClusterStatus:
        status = read_status(self.home / "postgres.status")
        assert status is not None, "the stack's PostgreSQL has no status"
        return status

    def database_processes(self) -> list[int]:
        """The pids of PostgreSQL's own processes and sessions."""
        return _pids(_children(self.database_status().postmaster_pid))

    def kill_gateway_worker(self) -> int:
        """One of them; the supervisor replaces it. Returns its pid."""
        victim = self.gateway_workers()[0]
        kill([victim])
        return victim

    def kill_background_worker(self) -> int:
        victim = self.background_worker()
        kill([victim])
        return victim

    def kill_supervisor(self) -> None:
        """`tenantry serve` itself; what it started is left to find out."""
        self.serve.kill()
        self.serve.wait(END_S)

    def kill_postgres(self) -> int:
        """The postmaster; the guardian starts it again. Returns its pid."""
        victim = self.database_status().postmaster_pid
        kill([victim])
        return victim

    def kill_everything(self) -> None:
        """Every process of Tenantry and of PostgreSQL in one moment, as a power cut would."""
        status = self.database_status()
        family = [self.serve.pid, status.guardian_pid, status.postmaster_pid]
        family += [pid for parent in family for pid in _pids(_children(parent))]
        family += [pid for parent in self.gateway_workers() for pid in _pids(_children(parent))]
        for pid in family:  # nobody may notice that another has gone
            _signal(pid, signal.SIGSTOP)
        for pid in family:
            _signal(pid, signal.SIGKILL)
        self.serve.wait(END_S)
        _await_end(family)


def kill(pids: Iterable[int]) -> None:
    """SIGKILL, and the end of each."""
    pids = list(pids)
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    _await_end(pids)


def _await_end(pids: Iterable[int]) -> None:
    deadline = time.monotonic() + END_S
    for pid in pids:
        while is_alive(pid):
            assert time.monotonic() < deadline, f"process {pid} outlived SIGKILL"
            time.sleep(0.005)


def _signal(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def _pids(children: Iterable[tuple[int, bytes]]) -> list[int]:
    return [pid for pid, _ in children]


def _children(parent: int) -> list[tuple[int, bytes]]:
    """(pid, command line) of the direct children, the oldest first."""
    found = []
    for folder in Path("/proc").iterdir():
        if not folder.name.isdecimal():
            continue
        try:
            words = (folder / "stat").read_text(errors="replace").rpartition(")")[2].split()
            command = (folder / "cmdline").read_bytes()
        except OSError:
            continue  # it has just ended
        if int(words[1]) == parent and words[0] not in "ZX":
            found.append((int(words[19]), int(folder.name), command))
    return [(pid, command) for _, pid, command in sorted(found)]


def read_ready(process: subprocess.Popen[str], log: Path) -> dict[str, Any]:
    """The JSON line that a process prints when it is ready; says why where it ends instead."""
    assert process.stdout is not None
    deadline = time.monotonic() + START_S
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        if not selector.select(max(0.0, deadline - time.monotonic())):
            raise TimeoutError(f"not ready in {START_S:.0f} s:\n{log.read_text()[-4_000:]}")
    line = process.stdout.readline()
    if not line:
        raise RuntimeError(f"it ended:\n{log.read_text()[-4_000:]}")
    ready: dict[str, Any] = json.loads(line)
    return ready
