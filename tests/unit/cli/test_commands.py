"""Every command shows an example that is one, and every read prints JSON when asked."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

import click
import pytest

from tenantry.entrypoints.cli.main import cli

READS = {
    "list",
    "mutes",
    "show",
    "search",
    "ask",
    "usage",
    "draft",
    "reconcile",
    "doctor",
    "economics",
    "advise",
}


def leaves(command: click.Command, *path: str) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    if not isinstance(command, click.Group):
        yield path, command
        return
    context = click.Context(command)
    for name in command.list_commands(context):
        inner = command.get_command(context, name)
        assert inner is not None
        yield from leaves(inner, *path, name)


LEAVES = list(leaves(cli))
IDS = [" ".join(path) for path, _ in LEAVES]


@pytest.mark.parametrize(("path", "command"), LEAVES, ids=IDS)
def test_the_example_of_a_command_is_understood_by_it(
    path: tuple[str, ...], command: click.Command
) -> None:
    shown = re.search(r"Example: `([^`]+)`", command.help or "")
    assert shown, "its help shows an example"
    words = shlex.split(shown[1])
    while "=" in words[0]:  # a variable in front of the command
        words.pop(0)
    assert words[: 1 + len(path)] == ["tenantry", *path]
    given = words[1 + len(path) :]
    known = {option for item in command.params for option in (*item.opts, *item.secondary_opts)}
    if not command.context_settings.get("ignore_unknown_options"):
        assert {word.partition("=")[0] for word in given if word.startswith("--")} <= known


@pytest.mark.parametrize(
    "command",
    [c for p, c in LEAVES if p[-1] in READS],
    ids=[i for i in IDS if i.split()[-1] in READS],
)
def test_every_read_has_json(command: click.Command) -> None:
    assert "--json" in {option for item in command.params for option in item.opts}


@pytest.mark.parametrize("command", [c for _, c in LEAVES], ids=IDS)
def test_every_option_says_what_it_does(command: click.Command) -> None:
    options = [option for option in command.params if isinstance(option, click.Option)]
    assert [option.opts[0] for option in options if not option.help] == []


def test_there_are_reads() -> None:
    assert {path[-1] for path, _ in LEAVES} >= READS - {"economics"}


WORDS = [
    pytest.param(path, command, option, id=f"{' '.join(path)} {option.opts[0]}")
    for path, command in LEAVES
    for option in command.params
    if isinstance(option, click.Option)
    and not option.required
    and not isinstance(option.get_default(click.Context(command)), str)
    and isinstance(option.type, click.types.StringParamType)
]


@pytest.mark.parametrize("nothing", ["", " "])
@pytest.mark.parametrize(("path", "command", "option"), WORDS)
def test_an_option_that_can_be_left_out_takes_no_empty_name(
    path: tuple[str, ...], command: click.Command, option: click.Option, nothing: str
) -> None:
    """An empty name would stand for all, or for the default."""
    words = [option.opts[0], *[nothing] * option.nargs]
    context = click.Context(command)
    given, _, _ = command.make_parser(context).parse_args(words)
    with pytest.raises(click.BadParameter, match="must not be empty"):
        option.type_cast_value(context, given[option.name])


def test_there_are_options_that_can_be_left_out() -> None:
    assert len(WORDS) > 40
