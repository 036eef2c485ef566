"""A question that nobody answers, an answer that is no, and Ctrl-C."""

from __future__ import annotations

import contextlib
import io
import sys
from collections.abc import Callable, Iterator

import click
import pytest
from tests.support.command_line import StatusOf

from tenantry.entrypoints.cli.confirming import answer, confirm
from tenantry.entrypoints.cli.main import cli

_QUESTIONS = [
    ("tenants", "erase-user", "ann@example.com"),
    ("engines", "gone", "pinecone"),
    ("ledger", "write-off"),
]


@pytest.mark.parametrize("stdin", [io.StringIO(), None], ids=["ended", "closed"])
@pytest.mark.parametrize("arguments", _QUESTIONS, ids=" ".join)
def test_a_question_that_nobody_answers_is_told_and_1(
    arguments: tuple[str, ...],
    stdin: io.StringIO | None,
    status_of: StatusOf,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("TENANTRY_API_KEY", "tk_x")
    monkeypatch.setattr(sys, "stdin", stdin)
    assert status_of(*arguments) == 1
    told = "tenantry: broken off: nobody can be asked here; --yes needs no answer\n"
    assert capsys.readouterr().err.splitlines(keepends=True)[-1] == told


@pytest.mark.parametrize("stdin", [io.StringIO(), None], ids=["ended", "closed"])
def test_a_name_that_nobody_types_is_told(
    stdin: io.StringIO | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", stdin)
    with pytest.raises(click.ClickException, match="--yes NAME needs no answer"):
        answer("Type the tenant's name to go on", instead="--yes NAME")


def test_a_no_is_1(
    status_of: StatusOf, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("n\n"))
    assert status_of("ledger", "write-off") == 1
    assert capsys.readouterr().err.endswith("\ntenantry: broken off\n")


def _waits() -> None:
    raise KeyboardInterrupt


def _is_asked() -> None:
    confirm("Is it?")


def _is_asked_in_a_block() -> None:
    with _after_a_refusal():
        confirm("Is it?")


@contextlib.contextmanager
def _after_a_refusal() -> Iterator[None]:
    try:
        raise ValueError
    except ValueError:  # which Python makes the context of what ends the block
        yield


def _puts_away() -> None:
    try:
        raise KeyboardInterrupt
    except KeyboardInterrupt:
        raise click.ClickException("interrupted; canaries are left") from None


@pytest.mark.parametrize("doing", [_waits, _is_asked, _is_asked_in_a_block, _puts_away])
def test_what_is_interrupted_is_no_finding(
    status_of: StatusOf,
    doing: Callable[[], None],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def pressed(_: str) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr("click.termui.visible_prompt_func", pressed)
    monkeypatch.setitem(cli.commands, "does", click.command("does")(doing))
    assert status_of("does") == 130
    assert capsys.readouterr().err.splitlines()[-1].startswith("tenantry: ")
