"""How the command line prints: a table for people, JSON for programs."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import click

from tenantry.domain import money

PIPE_COLUMNS = 240  # where nobody's terminal sets a width
as_json = click.option("--json", "json_output", is_flag=True, help="Print JSON for programs.")


def print_json(value: object) -> None:
    click.echo(json.dumps(value, default=_plain, ensure_ascii=False, indent=2))


def print_table(
    columns: Sequence[str], rows: Iterable[Sequence[object]], *, title: str | None = None
) -> None:
    """A table without boxes; numbers to the right."""
    from rich.console import Console  # a third of the start of a command that prints none
    from rich.table import Table

    table = Table(box=None, title=title, title_justify="left", header_style="bold", pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    shown = [[_text(cell) for cell in row] for row in rows]
    for number, drawn in enumerate(table.columns):
        if shown and all(_is_number(row[number]) for row in shown):
            drawn.justify = "right"
    for row in shown:
        table.add_row(*row)
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=PIPE_COLUMNS)
    console.print(table)


def _text(cell: object) -> str:
    if cell is None:
        return "–"
    if isinstance(cell, Decimal):
        return money.plain(cell)
    if isinstance(cell, datetime):
        return cell.strftime("%Y-%m-%d %H:%M:%SZ")
    if isinstance(cell, (frozenset, set)):
        return " ".join(sorted(str(item) for item in cell)) or "–"
    if isinstance(cell, int) and not isinstance(cell, bool):
        return f"{cell:,}"
    return str(cell)


def _is_number(text: str) -> bool:
    return text == "–" or text.replace(",", "").replace(".", "").replace("-", "").isdigit()


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
