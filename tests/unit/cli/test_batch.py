"""`batch submit` refuses a file that cannot be sent whole by its line; `batch list` asks once."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from tests.support.batch_world import JOB

from tenantry.bootstrap.commands import control
from tenantry.entrypoints.cli import batch as command
from tenantry.entrypoints.cli.batch import batch

BODY = {"messages": [{"role": "user", "content": [{"text": "hello"}]}]}
GOOD = json.dumps({"modelInput": BODY})


def refusal(folder: Path, *lines: str, operation: str = "Converse") -> str:
    file = folder / "records.jsonl"
    file.write_text("\n".join(lines), encoding="utf-8")
    arguments = ["submit", str(file), "--model", "m", "--operation", operation]
    done = CliRunner().invoke(batch, arguments)
    assert isinstance(done.exception, SystemExit), done.exception
    assert done.exit_code == 1
    return done.output


def holding(value: str) -> str:
    """A record of either operation, with a value that Tenantry does not look into."""
    return f'{{"modelInput": {{"additionalModelRequestFields": {{"x": {value}}}}}}}'


@pytest.mark.parametrize("operation", ["Converse", "InvokeModel"])
@pytest.mark.parametrize(
    "line",
    [
        pytest.param(holding("NaN"), id="no number"),
        pytest.param(holding("-Infinity"), id="infinite"),
        pytest.param(holding("1e999"), id="infinite once read"),
        pytest.param(holding('"\\ud83d"'), id="half of a surrogate pair"),
        pytest.param(holding('"\\u0000"'), id="NUL"),
        pytest.param(holding("[" * 200 + "]" * 200), id="nested too deep"),
        pytest.param("[" * 100_000, id="nested deeper than Python reads"),
        pytest.param("{", id="cut"),
        pytest.param("[]", id="no object"),
        pytest.param('{"modelInput": []}', id="no body"),
        pytest.param(holding("1" * 30), id="more than 64 bits"),
        pytest.param(holding('{"a": 1, "a": 2}'), id="a member twice"),
        pytest.param(holding('[{"a": 1, "\\u0061": 1}]'), id="a member twice, written otherwise"),
        pytest.param('{"modelInput": {}, "modelInput": {}}', id="two bodies"),
        pytest.param("\ufeff" + GOOD, id="a mark of the file's beginning elsewhere"),
    ],
)
def test_what_is_not_json_for_everybody_is_refused(
    tmp_path: Path, line: str, operation: str
) -> None:
    said = refusal(tmp_path, GOOD, "", line, GOOD, operation=operation)
    assert "records.jsonl, line 3: " in said
    assert len(said.splitlines()) == 1
    assert "request body" not in said
    assert "line 1" not in said


def test_a_mark_at_the_beginning_of_a_file_is_no_part_of_its_first_line(tmp_path: Path) -> None:
    said = refusal(tmp_path, "\ufeff" + GOOD, "{")
    assert "records.jsonl, line 2: the record is not valid JSON" in said
    said = refusal(tmp_path, "\ufeff", "", "{")
    assert "records.jsonl, line 3: " in said


def test_two_records_of_one_name_are_refused(tmp_path: Path) -> None:
    def named(name: object) -> str:
        return json.dumps({"recordId": name, "modelInput": BODY})

    said = refusal(tmp_path, named("A1"), named("A2"), GOOD, GOOD, named("A1"))
    assert "line 5: its `recordId` is that of line 1" in said
    assert "line 2: `recordId` must be a string" in refusal(tmp_path, GOOD, named(7))


def test_the_list_says_nothing_where_nothing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    refused = replace(JOB, state="refused", message="not admitted")
    monkeypatch.setattr(command, "run_with_batches", lambda _: [JOB, refused])
    done = CliRunner().invoke(batch, ["list", "acme"])
    assert [line.rstrip().split(maxsplit=4) for line in done.output.splitlines()] == [
        ["id", "state", "model", "records", "message"],
        [str(JOB.request_id), "running", "claude", "4", "–"],
        [str(JOB.request_id), "refused", "claude", "4", "not admitted"],
    ]


def test_the_list_asks_in_one_go(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[Any] = []

    def run(work: Any) -> list[Any]:
        opened.append(work)
        return []

    monkeypatch.setattr(control, "run", run)
    done = CliRunner().invoke(batch, ["list", "acme", "--json"])
    assert (done.exit_code, done.output.strip(), len(opened)) == (0, "[]", 1), done.exception
