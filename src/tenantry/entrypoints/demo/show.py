"""What the demo prints: acts with their outcome, calm and in one voice."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table
from rich.text import Text


class Failed(Exception):
    """An act did not show what it promises."""


class Show:
    """The terminal of the walk."""

    def __init__(self) -> None:
        self.console = Console(highlight=False, width=None)

    def act(self, title: str) -> None:
        self.console.print()
        self.console.print(Text(title, style="bold"))

    def say(self, text: str) -> None:
        self._indented(Text(text), 2)

    def quote(self, text: str) -> None:
        self._indented(Text(text, style="italic"), 4)

    def checked(self, text: str) -> None:
        line = Text("✓ ", style="green").append(text, style="default")
        self._indented(line, 2)

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[str]], right: int = 1) -> None:
        """Columns from number `right` on are figures."""
        table = Table(box=None, header_style="dim", pad_edge=False)
        for number, column in enumerate(columns):
            table.add_column(column, justify="right" if number >= right else "left")
        for row in rows:
            table.add_row(*row)
        self._indented(table, 2)

    def code(self, text: str) -> None:
        """Ready to paste: never wrapped, no markup."""
        self.console.print(text, markup=False, soft_wrap=True, style="cyan")

    def _indented(self, what: RenderableType, columns: int) -> None:
        """Not to the right edge, so that no line ends in spaces."""
        self.console.print(Padding(what, (0, 0, 0, columns), expand=False))

    @contextmanager
    def progress(self, label: str, total: int) -> Iterator[Progress]:
        """A bar with one task; the caller advances it."""
        bar = Progress(
            TextColumn("  {task.description}"),
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
