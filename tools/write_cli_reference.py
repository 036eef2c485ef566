"""Writes the reference of the command line from the commands themselves.

`python -m tools.write_cli_reference`; a test holds that every command and option is in the file.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import click

TARGET = Path(__file__).resolve().parent.parent / "docs" / "reference" / "cli.md"

HEAD = """# Command line

`tenantry COMMAND …`. Every read takes `--json`; `--help` shows an example. Exit status: 0 done, 1
refused, failed or found something, with one clear line on stderr, 2 wrong usage, 130 interrupted (Ctrl-C). A question
that is answered with no is 1, and so is one that nobody can answer: `--yes` needs no answer. What a value can be and where it is
set: [settings](settings.md). A fault of Tenantry's own is 1 too: its line names the file with the traceback.

A table that is wider than the terminal is printed as a block for each row, `field  value` on each
line: figures, instants and ids are never broken, texts are between words. A file or a program gets
240 columns, or as many as that takes.

Where nobody reads what is printed any more, as after `| head`, a command ends at once and says nothing;
its status is 141, as that of other tools. Without a standard output (`>&-`) nothing is begun, but for
`serve`, `worker` and `demo`: what they would print goes nowhere. `serve --ready-json` needs one. A standard output that
takes no more is 1: `standard output could not be written: No space left on device`.

A list is printed to its end. Where a `--limit` ends it before, stderr says that there are more, and how to
see them.
"""


def cli_reference(group: click.Command) -> str:
    """The whole page."""
    return HEAD + "".join(f"\n{section}" for section in _sections(group, ()))


def _sections(command: click.Command, path: tuple[str, ...]) -> Iterator[str]:
    if not isinstance(command, click.Group):
        yield _section(command, " ".join(path))
        return
    context = click.Context(command)
    for name in command.list_commands(context):
        inner = command.get_command(context, name)
        assert inner is not None, f"{name} is listed and not there"
        yield from _sections(inner, (*path, name))


def _section(command: click.Command, words: str) -> str:
    arguments = [each for each in command.params if isinstance(each, click.Argument)]
    shown = "".join(f" {each.make_metavar(click.Context(command))}" for each in arguments)
    about = re.sub(r"\n{2,}", "\n\n", inspect.cleandoc(command.help or "").replace("\b", ""))
    lines = [f"## `tenantry {words}`", ""]
    if shown:
        lines += [f"`tenantry {words}{shown}`", ""]
    lines += [about, ""]
    options = [each for each in command.params if isinstance(each, click.Option)]
    rows = [_row(command, each) for each in options if not each.hidden]
    if rows:
        lines += ["| option | what it does |", "|---|---|", *rows, ""]
    return "\n".join(lines)


def _row(command: click.Command, option: click.Option) -> str:
    names = "/".join([*option.opts, *option.secondary_opts])
    metavar = "" if option.is_flag else f" {option.make_metavar(click.Context(command))}"
    text = f"{names}{metavar}".replace("|", " or ")
    return f"| `{text}` | {(option.help or '').replace('|', 'or')} |"


if __name__ == "__main__":
    from tenantry.entrypoints.cli.main import cli

    TARGET.write_text(cli_reference(cli), "utf-8")
