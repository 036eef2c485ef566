"""`ports.round_marks.Marks` as files in the data folder, one for each round.

A file's time of change is the round's, its text the pause after a round in seconds. Who asks, the
gateway's `/metrics` and `doctor`, learns of a worker that hangs although that says nothing, and
although the database does not answer. A worker that ends in order takes its files away.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Mapping
from pathlib import Path

from tenantry.ports.round_marks import LastRound

_TEXT_BYTES_MAX = 32


class RoundMarks:
    """`folder` is made with the first mark."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def begin(self, pauses_s: Mapping[str, float]) -> None:
        for path in self._files():
            if path.name not in pauses_s:
                _remove(path)
        before = {each.name: each.at_s for each in self.read()}
        for name, every_s in pauses_s.items():
            self._write(name, every_s, before.get(name))

    def ended(self, name: str, every_s: float) -> None:
        now = time.time()
        try:
            os.utime(self._folder / name, (now, now))
        except FileNotFoundError:  # another worker of this folder has ended
            self._write(name, every_s)
        except OSError:
            return

    def forget(self) -> None:
        for path in self._files():
            _remove(path)

    def read(self) -> list[LastRound]:
        found = []
        for path in self._files():
            with contextlib.suppress(OSError, ValueError):  # taken away, or written just now
                with path.open("rb") as file:
                    every_s = float(file.read(_TEXT_BYTES_MAX))
                    at_s = os.fstat(file.fileno()).st_mtime
                found.append(LastRound(path.name, every_s, at_s))
        return sorted(found, key=lambda last: last.name)

    def _write(self, name: str, every_s: float, at_s: float | None = None) -> None:
        with contextlib.suppress(OSError):
            self._folder.mkdir(mode=0o700, exist_ok=True)
            path = self._folder / name
            path.write_text(f"{every_s:g}\n", "ascii")
            if at_s is not None:
                os.utime(path, (at_s, at_s))

    def _files(self) -> list[Path]:
        try:
            return [path for path in self._folder.iterdir() if path.is_file()]
        except OSError:
            return []


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.unlink()
