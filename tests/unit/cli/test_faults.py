"""A fault of ours is one line too, with what it takes to mend it."""

from __future__ import annotations

import importlib
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from tenantry.entrypoints.cli.main import main

BEGINS = "tenantry: a fault of Tenantry: AssertionError (adjustments explain the sum) at "


def fail(*_: object, **__: object) -> None:
    raise AssertionError("adjustments\nexplain the sum")


@pytest.fixture(params=[True, False], ids=["kept", "no room"])
def folder(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path | None:
    """Where tracebacks are put; None: nothing can be put there."""
    folder = tmp_path if request.param else tmp_path / "absent"
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    module = importlib.import_module("tenantry.entrypoints.cli.main")
    monkeypatch.setattr(module, "cli", SimpleNamespace(main=fail))
    monkeypatch.setattr(sys, "argv", ["tenantry", "invoices", "finalise", "acme"])
    return folder if request.param else None


def test_a_fault_is_one_line_and_1_and_its_traceback_is_kept(
    folder: Path | None, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        main()
    said = capsys.readouterr()
    assert (end.value.code, said.out, said.err.count("\n")) == (1, "", 1)
    assert said.err.startswith(f"{BEGINS}{__file__}:")
    if folder is None:
        assert "traceback" not in said.err
        return
    [file] = folder.iterdir()
    assert said.err.endswith(f"; its traceback, to report it with, is in {file}\n")
    assert (file.stat().st_mode & 0o777) == 0o600
    assert "in fail\n" in file.read_text("utf-8")
