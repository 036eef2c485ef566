"""`tenantry doctor` looks at what a gateway would serve with: its certificate, and open files."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.support.command_line import StatusOf

from tenantry.entrypoints.http.tls import ensure_local_tls

Doctor = Callable[[], tuple[int, dict[str, Any]]]
COMMAND = f"exec {sys.executable} -m tenantry.entrypoints.cli.main doctor --json"


@pytest.fixture
def doctor(status_of: StatusOf, capsys: pytest.CaptureFixture[str]) -> Doctor:
    """Of `home`, in this process."""

    def run() -> tuple[int, dict[str, Any]]:
        status = status_of("doctor", "--json")
        told: dict[str, Any] = json.loads(capsys.readouterr().out)
        return status, told

    return run


def test_a_certificate_that_is_well_is_a_fact(doctor: Doctor, home: Path) -> None:
    assert "TLS certificate" not in doctor()[1]["facts"], "it is not made yet"
    tls = ensure_local_tls(home, (), now=datetime.now(UTC))
    status, told = doctor()
    assert (status, told["problems"]) == (0, [])
    assert told["facts"]["TLS certificate"] == f"until {tls.ends_at():%Y-%m-%d}"


@pytest.mark.parametrize("name", ["ca.pem", "ca.key", "server.pem", "server.key"])
def test_a_damaged_file_of_tls_is_named(doctor: Doctor, home: Path, name: str) -> None:
    ensure_local_tls(home, (), now=datetime.now(UTC))
    (home / "tls" / name).write_bytes(b"")
    status, told = doctor()
    (problem,) = told["problems"]
    assert status == 1
    assert problem.startswith(f"{home / 'tls' / name} is damaged: ")


def test_a_certificate_that_has_ended_is_a_problem(doctor: Doctor, home: Path) -> None:
    ensure_local_tls(home, (), now=datetime.now(UTC) - timedelta(days=400))
    status, told = doctor()
    (problem,) = told["problems"]
    assert status == 1
    assert f"{home / 'tls' / 'server.pem'} ended on " in problem


def doctor_with(home: Path, limit: int) -> tuple[int, dict[str, Any]]:
    """As a process that may open so many files, and no more."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("TENANTRY_")}
    done = subprocess.run(
        ["bash", "-c", f"ulimit -n {limit}; {COMMAND}"],
        env={**environment, "TENANTRY_HOME": str(home)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    told: dict[str, Any] = json.loads(done.stdout)
    return done.returncode, told


@pytest.mark.parametrize(
    ("limit", "words"),
    [
        (150, "may have 150 files open and needs 192 at least"),
        (200, "it takes 42 connections of clients, not 8,192"),
    ],
)
def test_too_few_open_files_are_a_problem(tmp_path: Path, limit: int, words: str) -> None:
    status, told = doctor_with(tmp_path, limit)
    (problem,) = told["problems"]
    assert status == 1
    assert words in problem
