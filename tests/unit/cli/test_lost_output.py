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
# `tenantry` with commands that print so many lines, and one that writes a file.
WITH_MORE = """
import click, sys
from tenantry.entrypoints.cli import main as module
from tenantry.entrypoints.cli.output import print_json, print_table, say_lines

@module.cli.command("print")
@click.option("--table", is_flag=True)
@click.option("--json", is_flag=True)
@click.argument("lines", type=int)
def prints(table: bool, json: bool, lines: int) -> None:
    if table:
        print_table(["n"], [["x" * 40]] * lines)
    if json:
        print_json(["x" * 40] * lines)
    say_lines("x" * 40 * lines)
    print("was written", file=sys.stderr)

@module.cli.command("keep")
def keeps() -> None:
    open("/dev/full", "w", buffering=1).write("x\\n")

module.main()
"""
MORE = (sys.executable, "-c", WITH_MORE)
# Printed by click for all and for one command, as JSON, and as a table.
PRINTING = [
    (*COMMAND, "--version"),
    (*MORE, "print", "--help"),
    (*MORE, "print", "--json", "1"),
    (*MORE, "print", "--table", "1"),
    (*COMMAND, "--help"),
    (*COMMAND, "doctor", "--json"),
    (*COMMAND, "doctor"),
]


def run(
    home: Path, *command: str, stdout: int | None = None, shell: str | None = None
) -> subprocess.CompletedProcess[str]:
    clean = {k: v for k, v in os.environ.items() if not k.startswith("TENANTRY_")}
    return subprocess.run(
        ["/bin/sh", "-c", shell, *command] if shell else command,
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        timeout=120,
        env={**clean, "TENANTRY_HOME": str(home)},
        check=False,
    )


@pytest.mark.parametrize(
    "command",
    PRINTING,
    ids=["version", "help of one", "json", "table", "help", "doctor as json", "doctor"],
)
def test_a_reader_that_has_gone(tmp_path: Path, command: tuple[str, ...]) -> None:
    """It was exit 1 without a word, as of a failure."""
    read, write = os.pipe()
    os.close(read)
    try:
        done = run(tmp_path, *command, stdout=write)
    finally:
        os.close(write)
    assert (done.returncode, done.stderr) == (141, "")


def test_one_that_has_read_enough(tmp_path: Path) -> None:
    done = run(tmp_path, *COMMAND, "--help", shell='"$0" "$@" | head -n 1', stdout=-1)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("Usage: ") and done.stdout.count("\n") == 1


NEEDS_IT = [("--version",), ("doctor",), ("plans", "list"), ("serve", "--help")]
NEEDS_IT += [("serve", "--workers", "1", "--ready-json"), ("demo", "--help")]


@pytest.mark.parametrize("arguments", NEEDS_IT, ids=str)
def test_no_standard_output_at_all(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    """It was exit 0 with nothing written: a key would have been made that nobody saw."""
    done = run(tmp_path / "home", *COMMAND, *arguments, shell='exec "$0" "$@" >&-')
    assert done.returncode == 1
    assert done.stderr == "tenantry: standard output is closed; nothing was done\n"
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize("closed", [">&-", "<&- >&-"])
@pytest.mark.parametrize("name", ["serve", "worker", "demo"])
def test_what_stays_up_needs_no_standard_output(tmp_path: Path, name: str, closed: str) -> None:
    """Who watches over it may close it; nothing that is opened later gets its place."""
    script = f"""
import click, os, sys
from tenantry.entrypoints.cli import main as module

def stays() -> None:
    click.echo("to nobody")
    held = open(sys.executable)
    print(held.fileno() > 2, os.readlink("/proc/self/fd/1"), file=sys.stderr)
    os.system("echo to nobody && echo done >&2")

module.cli._modules = {{}}
module.cli.add_command(click.Command({name!r}, callback=stays))
module.main()
"""
    command = [sys.executable, "-c", script, name]
    done = subprocess.run(
        ["/bin/sh", "-c", f'exec "$0" "$@" {closed}', *command],
        stderr=subprocess.PIPE,
        text=True,
        timeout=120,
        env={**os.environ, "TENANTRY_HOME": str(tmp_path)},
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "True /dev/null\ndone\n")


UNWRITTEN = "tenantry: standard output could not be written: No space left on device\n"


def run_full(home: Path, *command: str) -> subprocess.CompletedProcess[str]:
    with Path("/dev/full").open("wb") as full:
        return run(home, *command, stdout=full.fileno())


@pytest.mark.parametrize(
    "arguments",
    [("--version",), ("print", "--json", "1"), ("--help",), ("doctor", "--json")],
    ids=str,
)
def test_a_disk_that_is_full(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    done = run_full(tmp_path, *MORE, *arguments)
    assert (done.returncode, done.stderr) == (1, UNWRITTEN)


@pytest.mark.parametrize("lines", ["1", "10_000"])
@pytest.mark.parametrize("form", [(), ("--table",)], ids=["lines", "table"])
def test_a_full_output_is_not_told_as_a_full_disk(
    tmp_path: Path, lines: str, form: tuple[str, ...]
) -> None:
    """`[Errno 28]` alone sent its reader to the data folder."""
    done = run_full(tmp_path, *MORE, "print", *form, lines)
    assert (done.returncode, done.stderr) == (1, UNWRITTEN)


def test_a_full_disk_is_not_told_as_a_full_output(tmp_path: Path) -> None:
    done = run_full(tmp_path, *MORE, "keep")
    assert done.returncode == 1
    assert done.stderr.startswith("tenantry: [Errno 28] No space")
    assert done.stderr.count("\n") == 1


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
