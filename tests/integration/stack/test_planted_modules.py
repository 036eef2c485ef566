"""A service that is started in a folder where somebody else may write."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.postgres import scratch_folder
from tests.support.stack import wait_until
from tests.support.stack_processes import START_S

from tenantry.adapters.postgres.embedded.place import known_place

# What each of the processes imports, first and last: of Python, of others, of extras.
PLANTED = ("pickle", "random", "click", "asyncpg", "stripe")


@pytest.mark.slow
def test_no_process_of_the_service_imports_from_the_folder_it_is_started_in() -> None:
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("TENANTRY_", "PYTHON"))}
    with scratch_folder() as folder:
        home, here, imported = folder / "home", folder / "here", folder / "imported"
        here.mkdir()
        for name in PLANTED:
            text = f"import sys\nprint({name!r}, sys.orig_argv, file=open({str(imported)!r}, 'a'))"
            (here / f"{name}.py").write_text(f"{text}\nraise SystemExit(3)\n")
        settings = {
            "TENANTRY_HOME": str(home),
            "TENANTRY_STRIPE_API_KEY": "rk_test_1",
            "TENANTRY_STRIPE_API_URL": "http://127.0.0.1:9",
        }
        ports = [word for name in ("http", "https", "admin") for word in (f"--{name}-port", "0")]
        program = str(Path(sys.executable).with_name("tenantry"))
        serve = subprocess.Popen(
            [program, "serve", "--workers", "1", "--ready-json", *ports],
            cwd=here,
            env={**clean, **settings},
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            assert serve.stdout is not None
            assert json.loads(serve.stdout.readline() or "{}"), imported.read_text()
            rounds = home / "background"
            wait_until(lambda: rounds.exists() and any(rounds.iterdir()), "a round ended", START_S)
            assert not imported.exists(), imported.read_text()
            serve.terminate()
            assert serve.wait(60) == 0
        finally:
            serve.kill()
            serve.wait()
            where = known_place(home)
            if where is not None:
                shutil.rmtree(where.folder, ignore_errors=True)
