"""The guardian's word on its PostgreSQL: one small file, replaced atomically, read by anyone.

On a full disk it is written over the one before, in the blocks that this one has.
"""

import dataclasses
import json
import os
from pathlib import Path
from typing import Literal

SOCKET_GONE = "(its socket is gone"  # in a reason, and no word of the server's
LOG_TROUBLE = "(the log could not be written"  # in a reason, and no word of the server's
DISK_FULL = ("No space left on device", "Disk quota exceeded")  # as the C library says it
State = Literal["starting", "ready", "restarting", "failed", "stopped"]


_BLOCK_BYTES = 4_096  # of every file system that we know of, or a part of its blocks


@dataclasses.dataclass(frozen=True, slots=True)
class ClusterStatus:
    """What the guardian last said. `restarts` counts since it began; `reason`, for people, is why
    the server ended, or had ended before it was started again. `crashes` counts those of single
    backends since it began, for which a server cuts all connections; `crash`: of the last one."""

    state: State
    guardian_pid: int
    postmaster_pid: int
    port: int
    socket_dir: str
    restarts: int = 0
    reason: str = ""
    crashes: int = 0
    crash: str = ""


def write_status(path: Path, status: ClusterStatus) -> None:
    """Replace the status file; a reader sees the old word or the new one, never half of one."""
    fresh = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        fresh.write_bytes(_to_bytes(status))
        fresh.replace(path)
    except OSError:
        fresh.unlink(missing_ok=True)
        if not path.exists():
            raise
        _write_over(path, status)


def _write_over(path: Path, status: ClusterStatus) -> None:
    """Needs no room but the file's own; the end of the reason is what people need."""
    before = path.stat().st_size
    room = -(-before // _BLOCK_BYTES) * _BLOCK_BYTES
    said = _to_bytes(status)
    while len(said) > room and status.reason:
        status = dataclasses.replace(status, reason=status.reason[len(status.reason) // 2 + 1 :])
        said = _to_bytes(status)
    descriptor = os.open(path, os.O_WRONLY)
    try:
        os.pwrite(descriptor, said.ljust(before), 0)  # JSON may end in blanks
    finally:
        os.close(descriptor)


def _to_bytes(status: ClusterStatus) -> bytes:
    return json.dumps(dataclasses.asdict(status)).encode("ascii")


def read_status(path: Path) -> ClusterStatus | None:
    """Return the last word, or None where nothing readable was said."""
    try:
        return ClusterStatus(**json.loads(path.read_text(encoding="utf-8")))
    except (FileNotFoundError, ValueError, TypeError):
        return None
