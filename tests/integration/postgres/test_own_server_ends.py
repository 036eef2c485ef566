"""A test that is killed leaves no server behind."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.support.waiting import eventually

HELD = """
import sys
from tests.support.own_server import started_own_server
with started_own_server() as server:
    print(server.folder, flush=True)
    sys.stdin.read()
"""


def test_a_server_ends_with_the_process_that_started_it_however_that_ends() -> None:
    held = subprocess.Popen(
        [sys.executable, "-c", HELD],
        cwd=Path(__file__).parents[3],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert held.stdout is not None
    folder = Path(held.stdout.readline().strip())
    pid = int((folder / "data" / "postmaster.pid").read_text().split()[0])
    held.kill()
    held.communicate()
    eventually(lambda: not folder.exists())
    eventually(lambda: not is_running(pid))


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return (Path("/proc") / str(pid) / "stat").read_text().split()[2] != "Z"
