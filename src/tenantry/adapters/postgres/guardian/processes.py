"""Which processes belong to a cluster, and how to end those that nobody watches any more.

A process belongs to a cluster when the cluster's user owns it and PostgreSQL put the cluster's
name on its command line; both can be read without the right to trace, which containers withhold.
"""

import os
import signal
import time
from collections.abc import Iterable
from pathlib import Path

PROGRAM_ENVIRONMENT = {"LC_ALL": "C", "TZ": "UTC", "PATH": os.defpath}
FAST_SHUTDOWN_S = 30.0
IMMEDIATE_SHUTDOWN_S = 5.0
_POLL_S = 0.02
_PID_FILE_STATUS_LINE = 7  # PostgreSQL's miscadmin.h, LOCK_FILE_LINE_PM_STATUS, from 0


def cluster_name(uuid: str) -> str:
    """The name that PostgreSQL shows in the title of each of the cluster's processes."""
    return f"tenantry-{uuid}"


def is_alive(pid: int) -> bool:
    """Whether the process exists and is more than a zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] not in {"Z", "X"}


def start_ticks(pid: int) -> int | None:
    """When the process began, in clock ticks since boot: with the pid it names one process."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    return int(stat.rpartition(")")[2].split()[19])  # proc_pid_stat(5), field 22


def find_postmaster(uuid: str, uid: int) -> int | None:
    """Return the cluster's running postmaster, if there is one."""
    return next((pid for pid, is_main in _members(uuid, uid) if is_main), None)


def find_members(uuid: str, uid: int) -> list[int]:
    """Return every running process of the cluster, postmaster and backends."""
    return [pid for pid, _ in _members(uuid, uid)]


def is_ready(data: Path, postmaster_pid: int) -> bool:
    """Whether this postmaster takes connections, by its own word in its pid file."""
    try:
        lines = (data / "postmaster.pid").read_text(encoding="utf-8").splitlines()
    except OSError:
        return False
    if len(lines) <= _PID_FILE_STATUS_LINE or lines[0] != str(postmaster_pid):
        return False
    return lines[_PID_FILE_STATUS_LINE].strip() == "ready"


def end_leftovers(uuid: str, uid: int, data: Path) -> None:
    """End what an earlier run left: a postmaster, orphaned backends, a stale pid file.

    The pid file goes last: until no process is left, it is what keeps PostgreSQL from starting
    a second server on memory that backends still share. Then it must go, for its pid may by
    now be another program's and PostgreSQL would refuse to start.
    """
    postmaster = find_postmaster(uuid, uid)
    if postmaster is not None:
        _send(signal.SIGINT, [postmaster])
        _wait_gone(uuid, uid, FAST_SHUTDOWN_S)
    for sign in (signal.SIGQUIT, signal.SIGKILL):
        members = find_members(uuid, uid)
        if not members:
            break
        _send(sign, members)
        _wait_gone(uuid, uid, IMMEDIATE_SHUTDOWN_S)
    (data / "postmaster.pid").unlink(missing_ok=True)


def _members(uuid: str, uid: int) -> Iterable[tuple[int, bool]]:
    name = cluster_name(uuid).encode()
    for entry in Path("/proc").iterdir():
        if not entry.name.isdecimal():
            continue
        try:
            if entry.stat().st_uid != uid:
                continue
            command = (entry / "cmdline").read_bytes()
        except OSError:  # it ended while we looked
            continue
        if name not in command:
            continue
        program = command.split(b"\0", 1)[0]
        is_main = program.rsplit(b"/", 1)[-1] == b"postgres"
        if is_main or program.startswith(b"postgres: "):
            yield int(entry.name), is_main


def _send(sign: signal.Signals, pids: list[int]) -> None:
    for pid in pids:
        try:
            os.kill(pid, sign)
        except ProcessLookupError:
            continue


def _wait_gone(uuid: str, uid: int, patience_s: float) -> None:
    deadline = time.monotonic() + patience_s
    while find_members(uuid, uid) and time.monotonic() < deadline:
        time.sleep(_POLL_S)
