"""Fixtures of tests about the command line, run in this process."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from tests.support.command_line import StatusOf

from tenantry.entrypoints.cli.main import main


@pytest.fixture(autouse=True)
def _files_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    """`doctor` and `serve` find as many open files as they can use, whatever the shell allows."""
    for name in ("doctor.files_allowed", "serve.allow_files"):
        monkeypatch.setattr(f"tenantry.entrypoints.cli.{name}", lambda most: most.files)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home, and no word of a gateway or a database."""
    for name in ("TENANTRY_API_KEY", "TENANTRY_URL", "TENANTRY_DATABASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TENANTRY_HOME", str(tmp_path))
    return tmp_path


@pytest.fixture
def status_of(home: Path, monkeypatch: pytest.MonkeyPatch) -> StatusOf:
    """Of commands that know this home alone."""

    def run(*arguments: str) -> int:
        monkeypatch.setattr(sys, "argv", ["tenantry", *arguments])
        with pytest.raises(SystemExit) as end:
            main()
        assert isinstance(end.value.code, int)
        return end.value.code

    return run
