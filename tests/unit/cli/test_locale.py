"""In every locale the command line reads and prints UTF-8."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

TIMEOUT_S = 60
NAME = "Şirket – 株"
# `tenantry` with a gateway that answers with what it was asked.
PROGRAM = """
from tenantry.entrypoints.api_client import Reply
from tenantry.entrypoints.cli import knowledge, main

class Echo:
    def get(self, path):
        row = {"id": "doc_1", "title": None, "status": "ready", "replacement": None}
        return Reply(200, {}, {"data": [row]})

    def post(self, path, body):
        found = {"title": body["query"], "text": body["query"], "score": 0.5}
        return Reply(200, {}, {"passages": [found]})

    def upload(self, path, name, data, *_):
        row = {"id": name + data.decode(), "status": "ready", "replacement": None}
        return Reply(201, {}, {**row, "failure": None, "progress": None})

knowledge.tenant_api = Echo
main.main()
"""
ASCII = {"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


@pytest.fixture(params=["ascii", "turkish", "latin pipes", "utf-8"])
def environment(request: pytest.FixtureRequest, tmp_path: Path) -> Mapping[str, str]:
    if request.param == "ascii":
        return ASCII
    if request.param == "latin pipes":
        return {"LC_ALL": "C.UTF-8", "PYTHONIOENCODING": "latin-1"}
    if request.param == "utf-8":
        return {"LC_ALL": "C.UTF-8"}
    made = shutil.which("localedef") and subprocess.run(
        ["localedef", "-f", "ISO-8859-9", "-i", "tr_TR", str(tmp_path / "tr_TR.ISO-8859-9")],
        check=False,
        capture_output=True,
        timeout=TIMEOUT_S,
    )
    if not made or made.returncode:
        return ASCII  # a system that can make no locale is not run in another one either
    return {"LC_ALL": "tr_TR.ISO-8859-9", "LOCPATH": str(tmp_path)}


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


def test_an_argument_is_asked_for_and_printed_as_it_was_given(
    environment: Mapping[str, str],
) -> None:
    done = tenantry(environment, "search", NAME)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.decode() == f"[1] {NAME}  (0.500)\n    {NAME}\n"
    told = tenantry(environment, "search", NAME, "--json")
    assert json.loads(told.stdout)[0]["title"] == NAME


def test_what_a_table_has_no_word_for_is_printed(environment: Mapping[str, str]) -> None:
    done = tenantry(environment, "documents", "list")
    assert (done.returncode, done.stderr) == (0, b"")
    assert "–" in done.stdout.decode()


def test_a_file_is_found_by_its_name(environment: Mapping[str, str], tmp_path: Path) -> None:
    path = os.fsencode(tmp_path) + b"/" + NAME.encode()  # whatever the locale of the tests is
    Path(os.fsdecode(path)).write_bytes(b"!")
    done = tenantry(environment, "documents", "add", path)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.decode() == f"{NAME}!  ready  {NAME}\n"


def test_a_setting_is_read_as_utf_8(environment: Mapping[str, str], tmp_path: Path) -> None:
    home = str(tmp_path / NAME)
    done = tenantry(environment, "tenants", "list", TENANTRY_HOME=home)
    assert done.returncode == 1
    assert f"There is no deployment in {home} " in done.stderr.decode()


def test_what_is_not_utf_8_is_refused_in_one_line(environment: Mapping[str, str]) -> None:
    refused = tenantry(environment, "search", NAME.encode() + b"\xe9")
    assert refused.returncode == 2
    assert refused.stderr.decode() == f"Error: an argument is not UTF-8: {NAME}\\xe9\n"


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
