"""`tenantry doctor` prints what a person has to look at, and what is wrong last."""

from __future__ import annotations

import pytest
from tests.support.command_line import StatusOf

from tenantry.config import setting_names


def test_doctor_leaves_out_what_is_at_its_default(
    status_of: StatusOf, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It was 391 lines on a terminal of 80 columns, and what was wrong was in none of the last."""
    monkeypatch.setenv("TENANTRY_WORKERS", "many")
    monkeypatch.setenv("TENANTRY_ENV", "staging")
    assert status_of("doctor") == 1
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
    assert status_of("doctor") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1].startswith("nothing that was tried")
    assert not [line for line in lines if line.endswith("wrong")]
