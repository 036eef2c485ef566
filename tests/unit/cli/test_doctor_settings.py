"""`tenantry doctor` prints what a person has to look at, and what is wrong last."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tenantry.config import setting_names
from tenantry.entrypoints.cli.main import main


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("TENANTRY_API_KEY", "TENANTRY_URL", "TENANTRY_DATABASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TENANTRY_HOME", str(tmp_path))
    return tmp_path


def status_of(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["tenantry", *arguments])
    with pytest.raises(SystemExit) as end:
        main()
    assert isinstance(end.value.code, int)
    return end.value.code


def test_doctor_leaves_out_what_is_at_its_default(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It was 391 lines on a terminal of 80 columns, and what was wrong was in none of the last."""
    monkeypatch.setenv("TENANTRY_WORKERS", "many")
    monkeypatch.setenv("TENANTRY_ENV", "staging")
    assert status_of(monkeypatch, "doctor") == 1
    lines = capsys.readouterr().out.splitlines()
    names = [line.split()[0] for line in lines if line.strip()]
    assert [name for name in names if name in setting_names() and name != "home"] == [
        "env",
        "workers",
    ]
    assert (
        lines[-1] == f"{len(setting_names()) - 3} settings are at their default (--all prints them)"
    )
    assert lines[-2].split()[-1] == "wrong"
    monkeypatch.delenv("TENANTRY_WORKERS")
    assert status_of(monkeypatch, "doctor") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1].startswith("nothing that was tried")
    assert not [line for line in lines if line.endswith("wrong")]
