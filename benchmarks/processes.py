"""Processes of the product, started and read from outside: ready lines, CPU time, memory, disk."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

STOP_S = 60.0
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_WAL_PAGE_BYTES = 8_192  # what a small commit writes
_WAL_FILE_BYTES = 16 * 2**20  # PostgreSQL's segment: written over, never extended
_SYNCS = 200


class NotStarted(Exception):
    """A process ended before it was ready; the message is the last line that it wrote."""


@dataclass(frozen=True, slots=True)
class Started:
    """A running process and the JSON line by which it said that it is ready."""

    pid: int
    ready: Mapping[str, Any]


@contextmanager
def started(module: str, arguments: Sequence[str], log: Path) -> Iterator[Started]:
    """`python -m module …`, which prints one ready line; it ends with the block."""
    with log.open("ab") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        if not line.startswith("{"):
            said = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
            raise NotStarted(said[-1] if said else f"{module} did not start")
        yield Started(process.pid, json.loads(line))
    finally:
        process.terminate()
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()


def children(pid: int, *words: str) -> list[int]:
    """Children of a process, of which every word stands in the command line."""
    found = []
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        with suppress(OSError, IndexError):  # it ended meanwhile
            command = (folder / "cmdline").read_bytes().decode("utf-8", "replace")
            if int(_stat(folder)[1]) == pid and all(word in command for word in words):
                found.append(int(folder.name))
    return found


def cpu_s(pid: int) -> float:
    """Processor time of one process, in user and system mode."""
    fields = _stat(Path(f"/proc/{pid}"))
    return (int(fields[11]) + int(fields[12])) / _TICKS_PER_S


def tree_cpu_s(pid: int) -> float:
    """Processor time of a process, of its children, and of those that have ended."""
    fields = _stat(Path(f"/proc/{pid}"))
    total = sum(int(field) for field in fields[11:15]) / _TICKS_PER_S
    for child in children(pid):
        with suppress(OSError):  # it ended meanwhile and is in its parent's sum next time
            total += cpu_s(child)
    return total


def peak_rss_mb(pid: int) -> float:
    """The most memory that a process has held, in megabytes (10**6 bytes)."""
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1_024 / 1e6
    raise ValueError(f"process {pid} has no memory any more")


def _stat(folder: Path) -> list[str]:
    """The fields of /proc/<pid>/stat after the name, which may hold spaces (proc(5))."""
    return (folder / "stat").read_text(encoding="utf-8").rpartition(") ")[2].split()


def fdatasync_ms(folder: Path) -> float:
    """The median time to make one WAL page durable on this folder's disk, in milliseconds."""
    path = folder / "fdatasync.probe"
    page, times = os.urandom(_WAL_PAGE_BYTES), []
    try:
        with path.open("wb", buffering=0) as file:
            for _ in range(_WAL_FILE_BYTES // len(page)):
                file.write(page)
            os.fsync(file.fileno())
            for number in range(_SYNCS):
                os.pwrite(file.fileno(), page, number * _WAL_PAGE_BYTES)
                begun = time.perf_counter()
                os.fdatasync(file.fileno())
                times.append(time.perf_counter() - begun)
    finally:
        path.unlink(missing_ok=True)
    return statistics.median(times) * 1_000
