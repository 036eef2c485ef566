"""`ports.sorting.LineSorter` on disk: sorted runs, merged."""

from __future__ import annotations

import contextlib
import heapq
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

RUN_CHARS_MAX = 16_000_000  # in memory before a run is written; with its objects some 60 MB
RUNS_MAX = 64  # open at once; so many are first merged into one


class DiskSorter:
    """A context: its folder, with everything in it, is gone at its end."""

    def __init__(self, *, run_chars_max: int = RUN_CHARS_MAX, runs_max: int = RUNS_MAX) -> None:
        assert runs_max >= 2, "merging takes two runs"
        self._run_chars_max = run_chars_max
        self._runs_max = runs_max
        self._folder = tempfile.TemporaryDirectory(prefix="tenantry-sort-")
        self._lines: list[str] = []
        self._chars = 0
        self._runs: list[Path] = []
        self._written = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self._folder.cleanup()

    def add(self, line: str) -> None:
        assert "\n" not in line, "a line has no line break"
        self._lines.append(line)
        self._chars += len(line)
        if self._chars >= self._run_chars_max:
            self._write_run()

    def in_order(self) -> Iterator[str]:
        self._lines.sort()
        with contextlib.ExitStack() as files:
            yield from heapq.merge(*(_lines_of(run, files) for run in self._runs), self._lines)

    def _write_run(self) -> None:
        self._lines.sort()
        run = self._write(self._lines)
        self._lines, self._chars = [], 0
        self._runs.append(run)
        if len(self._runs) >= self._runs_max:
            with contextlib.ExitStack() as files:
                merged = self._write(heapq.merge(*(_lines_of(one, files) for one in self._runs)))
            for one in self._runs:
                one.unlink()
            self._runs = [merged]

    def _write(self, lines: Iterable[str]) -> Path:
        path = Path(self._folder.name, f"{self._written:08d}")
        self._written += 1
        with path.open("w", encoding="utf-8", newline="\n") as file:
            file.writelines(f"{line}\n" for line in lines)
        return path


def _lines_of(path: Path, files: contextlib.ExitStack) -> Iterator[str]:
    file = files.enter_context(path.open(encoding="utf-8", newline="\n"))
    return (line[:-1] for line in file)
