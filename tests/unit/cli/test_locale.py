"""In every locale the command line reads and prints UTF-8."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

TIMEOUT_S = 60
NAME = "Şirket – 株"
# `tenantry` with a gateway that answers with what it was asked, and a command that runs others.
PROGRAM = """
import itertools
import click
from tenantry.entrypoints.cli import main

class Echo:
    def get(self, path):
        row = {"id": "doc_1", "title": None, "status": "ready", "replacement": None}
        return api_client.Reply(200, {}, {"data": [row]})

    def post(self, path, body):
        found = {"title": body["query"], "text": body["query"], "score": 0.5}
        return api_client.Reply(200, {}, {"passages": [found]})

    def upload(self, path, name, data, *_):
        row = {"id": name + data.decode(), "status": "ready", "replacement": None}
        return api_client.Reply(201, {}, {**row, "failure": None, "progress": None})

@main.cli.command(context_settings={"ignore_unknown_options": True})
@click.argument("words", nargs=-1)
def each(words):
    global api_client
    from tenantry.entrypoints import api_client
    from tenantry.entrypoints.cli import knowledge
    knowledge.tenant_api = Echo
    for ends, command in itertools.groupby(words, "then".__eq__):
        if not ends:
            main.cli.main(list(command), standalone_mode=False)
        else:
            click.echo("then")

main.main()
"""
ASCII = {"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


LOCALES = ["ascii", "turkish", "latin pipes", "utf-8"]


def environment_of(locale: str, folder: Path) -> Mapping[str, str]:
    """`folder`: where a locale can be made."""
    if locale == "ascii":
        return ASCII
    if locale == "latin pipes":
        return {"LC_ALL": "C.UTF-8", "PYTHONIOENCODING": "latin-1"}
    if locale == "utf-8":
        return {"LC_ALL": "C.UTF-8"}
    made = shutil.which("localedef") and subprocess.run(
        ["localedef", "-f", "ISO-8859-9", "-i", "tr_TR", str(folder / "tr_TR.ISO-8859-9")],
        check=False,
        capture_output=True,
        timeout=TIMEOUT_S,
    )
    if not made or made.returncode:
        return ASCII  # a system that can make no locale is not run in another one either
    return {"LC_ALL": "tr_TR.ISO-8859-9", "LOCPATH": str(folder)}


def tenantry(
    environment: Mapping[str, str], *arguments: str | bytes, **more: str
) -> subprocess.CompletedProcess[bytes]:
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("LC_", "LANG", "PYTHONUTF8"))}
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments],
        env={**clean, **environment, **more},
        capture_output=True,
        timeout=TIMEOUT_S,
        check=False,
    )


@dataclass
class Told:
    """What commands of one process printed, the last of which fails, and its home; and what was
    said of an argument that is not UTF-8."""

    printed: list[str]
    failed: subprocess.CompletedProcess[bytes]
    home: str
    refused: subprocess.CompletedProcess[bytes]


@pytest.fixture(scope="module", params=LOCALES)
def told(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Told:
    folder = tmp_path_factory.mktemp("locale")
    environment = environment_of(request.param, folder)
    path = os.fsencode(folder) + b"/" + NAME.encode()  # whatever the locale of the tests is
    Path(os.fsdecode(path)).write_bytes(b"!")
    home = f"{folder}/home of {NAME}"
    done = tenantry(
        environment,
        *("each", "search", NAME, "then", "search", NAME, "--json"),
        *("then", "documents", "list", "then", "documents", "add", path, "then", "tenants", "list"),
        TENANTRY_HOME=home,
    )
    printed = done.stdout.decode().split("then\n")
    return Told(printed, done, home, tenantry(environment, "search", NAME.encode() + b"\xe9"))


def test_an_argument_is_asked_for_and_printed_as_it_was_given(told: Told) -> None:
    assert told.printed[0] == f"[1] {NAME}  (0.500)\n    {NAME}\n"
    assert json.loads(told.printed[1])[0]["title"] == NAME


def test_what_a_table_has_no_word_for_is_printed(told: Told) -> None:
    assert "–" in told.printed[2]


def test_a_file_is_found_by_its_name(told: Told) -> None:
    assert told.printed[3] == f"{NAME}!  ready  {NAME}\n"


def test_a_setting_is_read_as_utf_8(told: Told) -> None:
    assert (told.failed.returncode, told.printed[4:]) == (1, [""])
    said = told.failed.stderr.decode()
    assert said.startswith(f"tenantry: There is no deployment in {told.home} ")
    assert said.count("\n") == 1, "the commands before it complain of nothing"


def test_what_is_not_utf_8_is_refused_in_one_line(told: Told) -> None:
    assert told.refused.returncode == 2
    assert told.refused.stderr.decode() == f"Error: an argument is not UTF-8: {NAME}\\xe9\n"


def test_a_program_that_calls_with_arguments_of_its_own_is_not_begun_again() -> None:
    code = "import sys; sys.argv = ['tenantry', '--version']; " + PROGRAM
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **ASCII},
        capture_output=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"version" in done.stdout
