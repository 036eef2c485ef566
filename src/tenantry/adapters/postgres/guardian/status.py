"""The guardian's word on its PostgreSQL: one small file, replaced atomically, read by anyone."""

import dataclasses
import json
import os
from pathlib import Path
from typing import Literal

State = Literal["starting", "ready", "restarting", "failed", "stopped"]


@dataclasses.dataclass(frozen=True, slots=True)
class ClusterStatus:
    """What the guardian last said. `restarts` counts since it began; `reason` is for people."""

    state: State
    guardian_pid: int
    postmaster_pid: int
    port: int
    socket_dir: str
    restarts: int = 0
    reason: str = ""


def write_status(path: Path, status: ClusterStatus) -> None:
    """Replace the status file; a reader sees the old word or the new one, never half of one."""
    fresh = path.with_name(f"{path.name}.{os.getpid()}")
    fresh.write_text(json.dumps(dataclasses.asdict(status)), encoding="utf-8")
    fresh.replace(path)


def read_status(path: Path) -> ClusterStatus | None:
    """Return the last word, or None where nothing readable was said."""
    try:
        return ClusterStatus(**json.loads(path.read_text(encoding="utf-8")))
    except (FileNotFoundError, ValueError, TypeError):
        return None
