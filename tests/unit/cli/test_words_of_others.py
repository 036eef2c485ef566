"""Words of tenants, files and the gateway are shown on a terminal and never obeyed."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from rich.progress import Progress, TextColumn

import tenantry.entrypoints
from tenantry.entrypoints.api_client import Api, Reply
from tenantry.entrypoints.cli import following, output
from tenantry.entrypoints.cli.main import _run
from tenantry.entrypoints.cli.output import print_json, print_table, say, say_lines
from tenantry.entrypoints.demo.show import Show

HOME = Path(tenantry.entrypoints.__file__).parent
TITLES = ["see [/etc/hosts] file", "Report [draft] v2", "job:key:1", "[link=x]y[/link]", r"a\[b]"]
RED = "\x1b[31mred\x1b[0m"
SET_TITLE = "\x1b]0;mine\x07"
OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\ud800-\udfff]")
HOSTILE = f"a{RED}{SET_TITLE}\x9b2J\u202eb\ud800\rc"
SPELT = "[U+001B]"


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> Callable[[Any], None]:
    """Sets what the gateway answers, whatever is asked."""
    monkeypatch.setenv("TENANTRY_API_KEY", "tk_x")

    def answer(body: Any, status: int = 200) -> None:
        for way in ("get", "post"):
            monkeypatch.setattr(Api, way, lambda *_: Reply(status, {}, body))

    return answer


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr("sys.argv", ["tenantry", *arguments])
    return _run()


def document(title: str) -> dict[str, Any]:
    return {"id": "doc_1", "title": title, "status": "ready", "replacement": None}


def test_what_looks_like_a_style_stands_in_a_table_as_it_is(
    capsys: pytest.CaptureFixture[str],
) -> None:
    print_table(["[b]name", "charge"], [(title, Decimal(1)) for title in TITLES], title="of [/x]")
    said = capsys.readouterr().out
    assert said.startswith("of [/x]")
    assert all(words in said for words in ("[b]name", *TITLES))


@pytest.mark.parametrize("title", TITLES)
def test_documents_are_listed_by_what_they_are_called(
    title: str,
    answers: Callable[[Any], None],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    answers({"data": [document(title)]})
    assert run(monkeypatch, "documents", "list") == 0
    assert title in capsys.readouterr().out


PASSAGE = {"title": HOSTILE, "text": HOSTILE, "score": 0.5}
ANSWER = {
    "answer": f"one\r\n\ttwo {HOSTILE}",
    "citations": [{"number": 1, "title": HOSTILE}],
    "charge": HOSTILE,
}


@pytest.mark.parametrize(
    ("arguments", "body"),
    [
        (["documents", "list"], {"data": [document(HOSTILE)]}),
        (["search", "x"], {"passages": [PASSAGE]}),
        (["ask", "x"], ANSWER),
    ],
    ids=["list", "search", "ask"],
)
def test_no_control_character_of_the_gateways_reaches_a_terminal(
    arguments: Sequence[str],
    body: Any,
    answers: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    answers(body)
    assert run(monkeypatch, *arguments) == 0
    said = capsys.readouterr()
    assert SPELT in said.out
    assert not OBEYED.search(said.out + said.err)
    assert run(monkeypatch, *arguments, "--json") == 0
    printed = capsys.readouterr().out
    assert not OBEYED.search(printed)
    assert json.loads(printed) == body.get("data", body.get("passages", body))
    answers({"detail": f"no\n{HOSTILE}"}, 400)
    assert run(monkeypatch, *arguments) == 1
    refused = capsys.readouterr().err
    assert refused.count("\n") == 1
    assert not OBEYED.search(refused)


def test_wrong_usage_is_shown_without_the_control_characters_that_were_typed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "ask", "x", SET_TITLE) == 2
    said = capsys.readouterr().err
    assert SPELT in said
    assert said.startswith("Usage: ")
    assert not OBEYED.search(said)


def test_an_answer_keeps_its_lines_and_a_line_stays_one(capsys: pytest.CaptureFixture[str]) -> None:
    say_lines("one\r\n\ttwo\n\nthree\n")
    assert capsys.readouterr().out == "one\n\ttwo\n\nthree\n\n"
    say("one\ntwo\u200d")
    assert capsys.readouterr().out == "one two\u200d\n"
    print_table(("a",), [("one\ntwo",)])
    assert capsys.readouterr().out.splitlines()[1].strip() == "one two"


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        ("co\xadop", "coop"),
        ("\u05d0\u200f!", "\u05d0\u200f!"),
        ("a\u200eb\u061cc", "a\u200eb\u061cc"),
        ("\u0645\u06cc\u200c\u0634\u0648\u062f", "\u0645\u06cc\u200c\u0634\u0648\u062f"),
        ("new \U0001fae9", "new \U0001fae9"),
        ("newer \U0001faff", "newer \U0001faff"),
        ("\u202eb", "[U+202E]b"),
        ("\u2066b\u2069", "[U+2066]b[U+2069]"),
        ("\ue000\U000f0000", "[U+E000][U+F0000]"),
        ("\uffff\U0001ffff", "[U+FFFF][U+1FFFF]"),
        ("\U000e0041", "[U+E0041]"),
    ],
)
def test_ordinary_text_of_every_script_stands_as_it_is(words: str, shown: str) -> None:
    assert output.one_line(words) == shown


def test_json_is_exact_where_it_is_escaped(capsys: pytest.CaptureFixture[str]) -> None:
    value = {HOSTILE: [HOSTILE, "Zürich \U0001f600"]}
    print_json(value)
    said = capsys.readouterr().out
    assert json.loads(said) == value
    assert "Zürich \U0001f600" in said
    assert not OBEYED.search(said)


def test_how_far_a_file_is_names_it_as_it_is_called(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(following, "LOOK_EVERY_S", 0)
    looks = iter([{"done": 1, "total": 2}, {}])
    title = f"[/x] job:key:1 {RED}"
    following.follow(title, lambda: next(looks), lambda found: found or None)
    said = capsys.readouterr().err
    assert f"[/x] job:key:1 {SPELT}[31mred{SPELT}[0m: 1 of 2 passages" in said
    assert not OBEYED.search(said)


def test_a_bar_draws_no_style_of_a_title(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(following, "LOOK_EVERY_S", 0)
    drawn: list[str] = []

    class Kept(Progress):
        def __exit__(self, *_: Any) -> None:
            column, task = self.columns[0], self.tasks[0]
            assert isinstance(column, TextColumn)
            drawn.append(str(column(task)))
            super().__exit__(*_)

    monkeypatch.setattr(following, "Progress", Kept)
    following.follow("[/x] job:key:1", lambda: {}, lambda _: None)
    assert drawn == ["[/x] job:key:1"]


def test_the_demo_prints_words_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    show = Show()
    for way in (show.act, show.say, show.quote, show.checked, show.failed, show.code):
        way(f"[/x] job:key:1 {HOSTILE}")
    show.table([f"[/h]{RED}"], [[f"[/x] job:key:1 {RED}"]])
    said = capsys.readouterr().out
    assert said.count("[/x] job:key:1") == 7
    assert "[/h]" in said
    assert not OBEYED.search(said)


def test_words_are_printed_in_one_place() -> None:
    files = [*(HOME / "cli").glob("*.py"), *(HOME / "demo").glob("*.py")]
    assert len(files) > 40
    own = Path(output.__file__)
    printing = re.compile(r"click\.s?echo\(|(?<!plain_)\b[Cc]onsole\(|(?<![\w.])print\(")
    for file in files:
        if file != own:
            code = re.sub(r"'print\(.*|\"print\(.*", "", file.read_text("utf-8"))  # of the farewell
            assert printing.search(code) is None, file.name
