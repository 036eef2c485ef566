"""A file that is no text goes to a terminal only where that is asked for; a pipe takes all."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from tenantry.entrypoints.cli.invoice_export import STANDARD_OUTPUT, write_out

EXPORT = ("-m", "tenantry.entrypoints.cli.main", "invoices", "export", "INV-2026-000001")
NO_TEXT = ("pdf", "focus-parquet")
TEXT = ("csv", "focus-csv", "json")


@pytest.fixture
def terminal() -> Iterator[int]:
    ours, theirs = pty.openpty()
    yield theirs
    os.close(theirs)
    os.close(ours)


def export(home: Path, stdout: int, *options: str) -> tuple[int, str]:
    clean = {k: v for k, v in os.environ.items() if not k.startswith("TENANTRY_")}
    done = subprocess.run(
        [sys.executable, *EXPORT, *options],
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        timeout=120,
        env={**clean, "TENANTRY_HOME": str(home)},
        check=False,
    )
    return done.returncode, done.stderr


@pytest.mark.parametrize("form", NO_TEXT)
def test_a_terminal_is_spared(tmp_path: Path, terminal: int, form: str) -> None:
    status, said = export(tmp_path, terminal, "--format", form)
    assert (status, f"{form} is no text: name a file with -o, or -o -" in said) == (2, True)


@pytest.mark.parametrize(
    "options",
    [("--format", "pdf", "-o", "-"), ("--format", "pdf", "-o", "x.pdf"), ("--format", "csv"), ()],
    ids=str,
)
def test_what_was_asked_for_is_tried(
    tmp_path: Path, terminal: int, options: tuple[str, ...]
) -> None:
    """There is no deployment here, which is what is told."""
    status, said = export(tmp_path, terminal, *options)
    assert (status, "no text" in said) == (1, False)


def test_a_pipe_takes_all(tmp_path: Path) -> None:
    for form in (*NO_TEXT, *TEXT):
        status, said = export(tmp_path, subprocess.PIPE, "--format", form)
        assert (status, "no text" in said) == (1, False)


def test_a_line_is_standard_output(
    tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    write_out(b"one", None)
    write_out(b"two", STANDARD_OUTPUT)
    write_out(b"three", tmp_path / "file")
    assert capfdbinary.readouterr().out == b"onetwo"
    assert (tmp_path / "file").read_bytes() == b"three"


def test_a_file_that_takes_no_more_is_named() -> None:
    with pytest.raises(click.ClickException, match=r"^/dev/full: No space left on device$"):
        write_out(b"one", Path("/dev/full"))
