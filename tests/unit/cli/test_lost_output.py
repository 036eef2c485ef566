"""A reader that has gone ends a command in silence, as other tools; any other loss is told."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import click
import pytest

from tenantry.entrypoints.cli import main as main_module
from tenantry.entrypoints.cli.main import main

COMMAND = (sys.executable, "-m", "tenantry.entrypoints.cli.main")
# Printed by click, by click's JSON, and as a table.
PRINTING = [("--help",), ("tenants", "--help"), ("doctor", "--json"), ("doctor",)]


def run(
    home: Path, *arguments: str, stdout: int | None = None, shell: str | None = None
) -> subprocess.CompletedProcess[str]:
    clean = {k: v for k, v in os.environ.items() if not k.startswith("TENANTRY_")}
    command = [*COMMAND, *arguments]
    return subprocess.run(
        ["/bin/sh", "-c", shell, *command] if shell else command,
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        timeout=120,
        env={**clean, "TENANTRY_HOME": str(home)},
        check=False,
    )


@pytest.mark.parametrize("arguments", PRINTING, ids=" ".join)
def test_a_reader_that_has_gone(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    """It was exit 1 without a word, as of a failure."""
    read, write = os.pipe()
    os.close(read)
    try:
        done = run(tmp_path, *arguments, stdout=write)
    finally:
        os.close(write)
    assert (done.returncode, done.stderr) == (141, "")


def test_one_that_has_read_enough(tmp_path: Path) -> None:
    done = run(tmp_path, "doctor", "--json", shell='"$0" "$@" | head -n 1', stdout=-1)
    assert (done.returncode, done.stdout, done.stderr) == (0, "{\n", "")


@pytest.mark.parametrize("arguments", [("--version",), ("doctor",), ("plans", "list")], ids=str)
def test_no_standard_output_at_all(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    """It was exit 0 with nothing written: a key would have been made that nobody saw."""
    done = run(tmp_path / "home", *arguments, shell='exec "$0" "$@" >&-')
    assert done.returncode == 1
    assert done.stderr == "tenantry: standard output is closed; nothing was done\n"
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize("arguments", [("--help",), ("doctor", "--json")], ids=str)
def test_a_disk_that_is_full(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    with Path("/dev/full").open("wb") as full:
        done = run(tmp_path, *arguments, stdout=full.fileno())
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1 and "No space left" in done.stderr


def test_a_connection_that_breaks_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    @click.command()
    def breaks() -> None:
        raise BrokenPipeError(32, "Broken pipe")

    monkeypatch.setitem(main_module.cli.commands, "breaks", breaks)
    monkeypatch.setattr(sys, "argv", ["tenantry", "breaks"])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 1
    assert capsys.readouterr().err == "tenantry: [Errno 32] Broken pipe\n"
