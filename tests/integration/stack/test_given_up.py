"""A PostgreSQL that keeps dying ends `serve`, so that whoever watches over it hears of it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.support.stack_processes import START_S

NO_PORTS = ("--http-port", "0", "--https-port", "0", "--admin-port", "0")


@pytest.mark.slow
def test_a_database_that_keeps_dying_ends_the_service(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "tenantry.entrypoints.cli.main",
        "serve",
        "--ready-json",
        *NO_PORTS,
    ]
    environment = {**os.environ, "TENANTRY_HOME": str(tmp_path / "home")}
    serve = subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert serve.stdout is not None
    assert serve.stdout.readline().startswith("{")
    killed: set[int] = set()
    deadline = time.monotonic() + 2 * START_S
    while serve.poll() is None and time.monotonic() < deadline:
        try:
            status = json.loads((tmp_path / "home" / "postgres.status").read_text())
        except (OSError, ValueError):
            status = {}
        pid = status.get("postmaster_pid")
        if status.get("state") == "ready" and pid not in killed:
            killed.add(pid)
            os.kill(pid, signal.SIGKILL)
        time.sleep(0.1)
    serve.kill()
    errors = serve.communicate()[1]
    assert serve.returncode == 1, errors[-2_000:]
    assert "tenantry: PostgreSQL kept ending and was given up" in errors
    assert len(killed) > 1, "it was brought back before it was given up"
