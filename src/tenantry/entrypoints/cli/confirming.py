"""What is asked before something that cannot be taken back, on stderr, so that JSON stays JSON; and
who answered."""

from __future__ import annotations

import getpass
import sys
from collections.abc import Callable
from typing import TypeVar

import click

from tenantry.entrypoints.cli.output import say

T = TypeVar("T")


def confirm(question: str) -> None:
    """Returns for a yes alone. Raises `click.Abort` for a no, and as `answer`."""
    if not _heard(lambda: click.confirm(question, err=True), "--yes"):
        raise click.Abort


def answer(question: str, *, instead: str) -> str:
    """What somebody types. `instead`: the option that needs nobody, which is named where nobody
    can answer. Raises `click.Abort` for Ctrl-C, else `click.ClickException`."""
    given: str = _heard(
        lambda: click.prompt(question, default="", show_default=False, err=True), instead
    )
    return given


def who() -> str:
    """Who is at the command line, for what is kept of it."""
    try:
        return f"{getpass.getuser()}, on the command line"
    except (KeyError, OSError):  # a user without a name
        return "an operator, on the command line"


def interrupted(broken: BaseException | None) -> bool:
    """Whether it was Ctrl-C, which click does not tell from the end of the input."""
    while broken is not None:
        if isinstance(broken, KeyboardInterrupt):
            return True
        broken = broken.__cause__ or broken.__context__
    return False


def _heard(ask: Callable[[], T], instead: str) -> T:
    if sys.stdin is not None:  # it is closed
        try:
            return ask()
        except click.Abort as broken:
            if interrupted(broken):  # told by its cause, which no block that it ends replaces
                raise click.Abort from KeyboardInterrupt()
            say(err=True)  # ends the line of the question
    raise click.ClickException(f"broken off: nobody can be asked here; {instead} needs no answer")
