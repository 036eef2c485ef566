"""What `serve` starts ends with it, also where that dies before it has begun."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

from tests.support.stack import Stack, wait_until

from tenantry.adapters.postgres.guardian.processes import is_alive

# Starts a background worker and is killed at once, as by a kernel without memory.
SUPERVISOR = """
import os, signal
from tenantry.entrypoints.cli.background_process import BackgroundProcess
with BackgroundProcess(lambda: []) as running:
    print(running._process.pid, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_was_just_started_ends_with_who_started_it(stack: Stack) -> None:
    clean = {k: v for k, v in os.environ.items() if not k.startswith("TENANTRY_")}
    starter = subprocess.Popen(
        [sys.executable, "-c", SUPERVISOR],
        env={**clean, "TENANTRY_HOME": str(stack.home)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert starter.stdout is not None
    orphan = int(starter.stdout.readline())
    starter.wait()
    try:
        wait_until(lambda: not is_alive(orphan), "it ends", 30)
    finally:
        if is_alive(orphan):
            os.kill(orphan, signal.SIGKILL)
