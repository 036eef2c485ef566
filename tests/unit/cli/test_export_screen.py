"""A file that is no text goes to a terminal only where that is asked for; a pipe takes all."""

from __future__ import annotations

import os
import pty
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TextIO

import click
import pytest
from tests.support.command_line import StatusOf

from tenantry.entrypoints.cli.invoice_export import STANDARD_OUTPUT, write_out

EXPORT = ("invoices", "export", "INV-2026-000001")
NO_TEXT = ("pdf", "focus-parquet")
TEXT = ("csv", "focus-csv", "json")


Export = Callable[..., tuple[int, str]]


@pytest.fixture
def terminal() -> Iterator[TextIO]:
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "w") as screen:
        yield screen
    os.close(ours)


@pytest.fixture
def pipe() -> Iterator[TextIO]:
    ours, theirs = os.pipe()
    with os.fdopen(theirs, "w") as writer:
        yield writer
    os.close(ours)


@pytest.fixture
def export(
    status_of: StatusOf, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Export:
    """Status and errors of a home without a deployment."""

    def run(stdout: TextIO, *options: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "stdout", stdout)
        status = status_of(*EXPORT, *options)
        return status, capsys.readouterr().err

    return run


@pytest.mark.parametrize("form", NO_TEXT)
def test_a_terminal_is_spared(export: Export, terminal: TextIO, form: str) -> None:
    status, said = export(terminal, "--format", form)
    assert (status, f"{form} is no text: name a file with -o, or -o -" in said) == (2, True)


@pytest.mark.parametrize(
    "options",
    [("--format", "pdf", "-o", "-"), ("--format", "pdf", "-o", "x.pdf"), ("--format", "csv"), ()],
    ids=str,
)
def test_what_was_asked_for_is_tried(
    export: Export, terminal: TextIO, options: tuple[str, ...]
) -> None:
    """There is no deployment here, which is what is told."""
    status, said = export(terminal, *options)
    assert (status, "no text" in said) == (1, False)


def test_a_pipe_takes_all(export: Export, pipe: TextIO) -> None:
    for form in (*NO_TEXT, *TEXT):
        status, said = export(pipe, "--format", form)
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
