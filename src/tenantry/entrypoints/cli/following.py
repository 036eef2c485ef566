"""Long work of the gateway's, followed until it has ended: how far it is goes to stderr."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from tenantry.entrypoints.cli.output import one_line, plain_console

LOOK_EVERY_S = 0.5


def follow(
    title: str,
    look: Callable[[], dict[str, Any]],
    progress: Callable[[dict[str, Any]], dict[str, int] | None],
) -> dict[str, Any]:
    """What `look` finds once `progress` of it is None: the work has ended.

    A bar on a terminal; elsewhere a line whenever more is done.
    """
    title, console = one_line(title), plain_console(stderr=True)
    described = TextColumn("{task.description}", markup=False)
    columns = (described, BarColumn(), MofNCompleteColumn())
    told = -1
    with Progress(*columns, TimeElapsedColumn(), console=console, transient=True) as bar:
        task = bar.add_task(title, total=None)
        while True:
            found = look()
            how_far = progress(found)
            if how_far is None:
                return found
            done, total = how_far["done"], how_far["total"]
            bar.update(task, completed=done, total=total or None)
            if not console.is_terminal and done > told:
                console.print(f"{title}: {done:,} of {total:,} passages", soft_wrap=True)
                told = done
            time.sleep(LOOK_EVERY_S)
