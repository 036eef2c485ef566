"""How the command line prints: lines and tables for people, JSON for programs.

Words of tenants, of files and of the gateway are shown and never obeyed: no control character
reaches a terminal, no bracket is a style, no name between colons a picture.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import UUID

import click

from tenantry.domain import money
from tenantry.domain.printable import printable

if TYPE_CHECKING:
    from rich.console import Console

    from tenantry.entrypoints.cli.layout import Line

NOTHING = "–"  # in a cell
PIPE_COLUMNS = 240  # where nobody's terminal sets a width
as_json = click.option("--json", "json_output", is_flag=True, help="Print JSON for programs.")


# What JSON leaves as it is and a terminal obeys, or cannot be written at all.
_UNSAFE = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def say(text: str = "", *, err: bool = False) -> None:
    """One line, whatever is in it."""
    click.echo(one_line(text), err=err)


def say_lines(text: str, *, err: bool = False) -> None:
    """A text of several lines, such as an answer."""
    click.echo(lines_of(text), err=err)


def one_line(text: str) -> str:
    """As a terminal may have it: a control character is spelt, the end of a line a blank."""
    return text if text.isascii() and text.isprintable() else printable(text, len(text))


def lines_of(text: str) -> str:
    """The same of each line; tabs stay too."""
    lines = text.replace("\r\n", "\n").split("\n")
    return "\n".join("\t".join(map(one_line, line.split("\t"))) for line in lines)


def write_exact(content: bytes) -> None:
    """A document, byte by byte: it is for a file or a program."""
    click.echo(content, nl=False)


def print_json(value: object) -> None:
    """The values are exact; what JSON need not escape and a terminal obeys is escaped too."""
    text = json.dumps(value, default=_plain, ensure_ascii=False, indent=2)
    click.echo(_UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", text))


def plain_console(**options: Any) -> Console:
    """Rich's console, to which words are words."""
    from rich.console import Console  # a third of the start of a command that prints none

    class Plain(Console):
        def on_broken_pipe(self) -> None:
            raise  # what broke: `main` knows what to do where nobody reads any more

    return Plain(markup=False, emoji=False, highlight=False, **options)


def print_table(
    columns: Sequence[str],
    rows: Iterable[Sequence[object]],
    *,
    title: str | None = None,
    without_empty: bool = False,
) -> None:
    """A line for each row, without boxes, figures to the right; a block for each row where no
    line of the terminal can hold it. No figure, instant or id is ever broken.

    `without_empty`: columns in which no row has anything are left out, unless that is all of them.
    """
    from tenantry.entrypoints.cli.layout import folded

    shown = [[_text(cell) for _, cell in zip(columns, row, strict=True)] for row in rows]
    places = range(len(columns))
    told = [at for at in places if any(row[at] not in ("", NOTHING) for row in shown)]
    if without_empty and told:
        columns = [columns[at] for at in told]
        shown = [[row[at] for at in told] for row in shown]
    console = plain_console()
    room = console.width if console.is_terminal else PIPE_COLUMNS
    if title is not None:
        for line in folded(one_line(title), room):
            console.print(line, style="table.title", soft_wrap=True)
    print_drawn(console, drawn_table(columns, shown, room, blocks=console.is_terminal))


def drawn_table(
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    room: int,
    *,
    blocks: bool,
    right: Collection[int] | None = None,
) -> list[Line]:
    """All its lines, each as wide as the widest, even where that is wider than the terminal.
    `right`: which columns, by default those of figures.
    """
    from tenantry.entrypoints.cli import layout

    headings = [one_line(column) for column in columns]
    shown = [[one_line(cell) for cell in row] for row in rows]
    widths = layout.column_widths(headings, shown, room)
    if widths is None and blocks:
        return list(layout.lines_of_blocks(headings, shown, room))
    if widths is None:
        widths = layout.least_widths(headings, shown)
    if right is None:
        places = range(len(headings)) if shown else ()
        right = [at for at in places if all(_is_number(row[at]) for row in shown)]
    return list(layout.lines_of_rows(headings, shown, widths, right))


def print_drawn(
    console: Console, lines: Iterable[Line], *, style: str = "bold", indent: int = 0
) -> None:
    """The lines of a table as they are, `indent` blanks before each. `style`: of what stands out,
    where the console has styles."""
    styled = {"": ""}
    printed = []
    for words, rest in lines:
        if words not in styled:
            with console.capture() as captured:
                console.print(words, style=style, end="", soft_wrap=True)
            styled[words] = captured.get()
        printed.append(f"{' ' * indent}{styled[words]}{rest}")
    click.echo("\n".join(printed), color=True)  # no style is in it but those of the console


def _text(cell: object) -> str:
    if cell is None:
        return NOTHING
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    if isinstance(cell, Decimal):
        return money.plain(cell)
    if isinstance(cell, datetime):
        return cell.strftime("%Y-%m-%d %H:%M:%SZ")
    if isinstance(cell, (frozenset, set)):
        return " ".join(sorted(str(item) for item in cell)) or NOTHING
    if isinstance(cell, int):
        return f"{cell:,}"
    return str(cell)


def _is_number(text: str) -> bool:
    return text == NOTHING or text.replace(",", "").replace(".", "").replace("-", "").isdigit()


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return money.plain(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, (frozenset, set)):
        return sorted(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, UUID):
        return str(value)
    raise TypeError(type(value).__name__)
