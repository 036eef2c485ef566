"""A service whose standard output is closed, as some supervisors start theirs."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import urllib.request

import pytest
from tests.support.ports import free_ports
from tests.support.postgres import scratch_folder
from tests.support.stack import wait_until
from tests.support.stack_processes import START_S

from tenantry.adapters.postgres.embedded.place import known_place


@pytest.mark.slow
def test_serve_starts_answers_and_ends_without_a_standard_output() -> None:
    ports = [str(port) for port in free_ports(3)]
    command = [sys.executable, "-m", "tenantry.entrypoints.cli.main", "serve", "--workers", "1"]
    for name, port in zip(("http", "https", "admin"), ports, strict=True):
        command += [f"--{name}-port", port]
    clean = {k: v for k, v in os.environ.items() if not k.startswith("TENANTRY_")}
    with scratch_folder() as folder:
        home = folder / "home"
        serve = subprocess.Popen(
            ["/bin/sh", "-c", 'exec "$0" "$@" <&- >&-', *command],
            env={**clean, "TENANTRY_HOME": str(home)},
            stderr=subprocess.PIPE,
            text=True,
        )

        def is_ready() -> bool:
            assert serve.poll() is None, serve.communicate()[1]
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"http://127.0.0.1:{ports[0]}/readyz", timeout=10).close()
                return True
            return False

        try:
            wait_until(is_ready, "serve is ready", START_S)
            serve.terminate()
            errors = serve.communicate(timeout=60)[1]
            assert serve.returncode == 0, errors
        finally:
            serve.kill()
            serve.wait()
            where = known_place(home)
            if where is not None:
                shutil.rmtree(where.folder, ignore_errors=True)
