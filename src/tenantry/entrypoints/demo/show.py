"""What the demo prints: acts with their outcome, calm and in one voice."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from rich.console import RenderableType
from rich.padding import Padding
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table
from rich.text import Text

from tenantry.entrypoints.cli.output import lines_of, one_line, plain_console


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
        self._indented(Text(one_line(text)), 2)

    def quote(self, text: str) -> None:
        self._indented(Text(one_line(text), style="italic"), 4)

    def checked(self, text: str) -> None:
        line = Text("✓ ", style="green").append(one_line(text), style="default")
        self._indented(line, 2)

    def failed(self, text: str) -> None:
        self.console.print(f"✗ {one_line(text)}", style="bold red")

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[str]], right: int = 1) -> None:
        """Columns from number `right` on are figures."""
        table = Table(box=None, header_style="dim", pad_edge=False)
        for number, column in enumerate(columns):
            table.add_column(one_line(column), justify="right" if number >= right else "left")
        for row in rows:
            table.add_row(*map(one_line, row))
        self._indented(table, 2)

    def code(self, text: str) -> None:
        """Ready to paste: never wrapped."""
        self.console.print(lines_of(text), soft_wrap=True, style="cyan")

    def _indented(self, what: RenderableType, columns: int) -> None:
        """Not to the right edge, so that no line ends in spaces."""
        self.console.print(Padding(what, (0, 0, 0, columns), expand=False))

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
