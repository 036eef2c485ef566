"""What the demo prints: acts with their outcome, calm and in one voice."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.text import Text

from tenantry.entrypoints.cli.layout import folded
from tenantry.entrypoints.cli.output import (
    PIPE_COLUMNS,
    drawn_table,
    lines_of,
    one_line,
    plain_console,
    print_drawn,
)

INDENT = 2


class Failed(Exception):
    """An act did not show what it promises."""


class Show:
    """The terminal of the walk."""

    def __init__(self) -> None:
        self.console = plain_console()

    def act(self, title: str) -> None:
        self.console.print()
        self.console.print(Text(one_line(title), style="bold"))

    def say(self, text: str) -> None:
        self._folded(text, INDENT)

    def quote(self, text: str) -> None:
        self._folded(text, 2 * INDENT, style="italic")

    def checked(self, text: str) -> None:
        self._folded(text, 2 * INDENT, mark=Text("  ✓ ", style="green"))

    def failed(self, text: str) -> None:
        self.console.print(f"✗ {one_line(text)}", style="bold red")

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[str]], right: int = 1) -> None:
        """Columns from number `right` on are figures."""
        room = (self.console.width if self.console.is_terminal else PIPE_COLUMNS) - INDENT
        figures = range(right, len(columns))
        drawn = drawn_table(columns, list(rows), room, blocks=True, right=figures)
        print_drawn(self.console, drawn, style="dim", indent=INDENT)

    def code(self, text: str) -> None:
        """Ready to paste: never wrapped."""
        self.console.print(lines_of(text), soft_wrap=True, style="cyan")

    def _folded(self, text: str, indent: int, *, style: str = "", mark: Text | None = None) -> None:
        """Every line begins where the first does, and none ends in blanks. A file has it on one."""
        words = one_line(text)
        room = self.console.width - indent
        lines = folded(words, room) if self.console.is_terminal else [words]
        margin = Text(" " * indent)
        for number, line in enumerate(lines):
            start = margin if number or mark is None else mark
            shown = start.copy().append(line.rstrip(), style=style or "default")
            shown.rstrip()
            self.console.print(shown, soft_wrap=True)

    @contextmanager
    def progress(self, label: str, total: int) -> Iterator[Progress]:
        """A bar with one task; the caller advances it."""
        bar = Progress(
            TextColumn("  {task.description}", markup=False),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            console=self.console,
            transient=True,
            disable=not self.console.is_terminal,  # a file would keep an empty line of it
        )
        with bar:
            bar.add_task(label, total=total)
            yield bar


def expect(condition: bool, promise: str) -> None:
    """Raises `Failed` where a promise is not kept; holds under `python -O` too."""
    if not condition:
        raise Failed(promise)
