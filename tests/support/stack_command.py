"""The command line, as a process of its own on a running stack's home.

The processes are forked from one that has loaded what commands load: they begin in a tenth of the
time. That each command also starts by itself, and light, is held elsewhere
(`test_commands_start_light.py`, `test_own_server.py`).
"""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from tenantry.entrypoints.cli import main

TIMEOUT_S = 60
_forks = multiprocessing.get_context("forkserver")
_forks.set_forkserver_preload(
    [f"tenantry.entrypoints.cli.{name}" for name in sorted({"main", *main.MODULES.values()})]
)


def tenantry(
    home: Path,
    *arguments: str,
    environment: Mapping[str, str] | None = None,
    timeout_s: float = TIMEOUT_S,
) -> subprocess.CompletedProcess[str]:
    """`tenantry …` with no setting but the home."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("TENANTRY_", "AWS_"))}
    variables = {**clean, **(environment or {}), "TENANTRY_HOME": str(home)}
    with tempfile.TemporaryDirectory() as folder:
        out, err = Path(folder, "out"), Path(folder, "err")
        process = _forks.Process(target=_run, args=(arguments, variables, out, err))
        process.start()
        process.join(timeout_s)
        if process.exitcode is None:
            process.kill()
            process.join()
            raise subprocess.TimeoutExpired(arguments, timeout_s, out.read_bytes())
        return subprocess.CompletedProcess(
            arguments, process.exitcode, out.read_text("utf-8"), err.read_text("utf-8")
        )


def _run(arguments: tuple[str, ...], variables: Mapping[str, str], out: Path, err: Path) -> None:
    os.environ.clear()
    os.environ.update(variables)
    for path, stream in ((out, sys.stdout), (err, sys.stderr)):
        with path.open("wb") as file:
            os.dup2(file.fileno(), stream.fileno())
    sys.argv = ["tenantry", *arguments]
    main.main()
