"""`ports.round_marks.Marks` as files in the data folder, one for each round.

A file's time of change is the round's; its text has the pause after a round in seconds, and where
the round has failed, how often, when last and why. It never grows and is written over in place,
which most file systems do on a full disk, too. Who asks, the gateway's `/metrics` and `doctor`,
learns of a worker that hangs although that says nothing, and although the database does not answer.
A worker that ends in order takes its files away.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from tenantry.ports.round_marks import LastRound

_TEXT_BYTES = 512


class RoundMarks:
    """`folder` is made with the first mark."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def begin(self, pauses_s: Mapping[str, float]) -> None:
        for path in self._files():
            if path.name not in pauses_s:
                _remove(path)
        for name, every_s in pauses_s.items():
            last = self._last(name)
            self._write(replace(last or LastRound(name, every_s, time.time()), every_s=every_s))

    def ended(self, name: str, every_s: float) -> None:
        now = time.time()
        try:
            os.utime(self._folder / name, (now, now))
        except FileNotFoundError:  # another worker of this folder has ended
            self._write(LastRound(name, every_s, now))
        except OSError:
            return

    def failed(self, name: str, every_s: float, why: str) -> None:
        now = time.time()
        last = self._last(name) or LastRound(name, every_s, now)
        self._write(replace(last, failures=last.failures + 1, failed_at_s=now, failure=why))

    def forget(self) -> None:
        for path in self._files():
            _remove(path)

    def read(self) -> list[LastRound]:
        found = [self._last(path.name) for path in self._files()]
        return sorted((each for each in found if each is not None), key=lambda last: last.name)

    def _last(self, name: str) -> LastRound | None:
        """None where it was taken away, or is written just now."""
        with contextlib.suppress(OSError, ValueError):
            with (self._folder / name).open("rb") as file:
                lines = file.read(_TEXT_BYTES).decode("utf-8").splitlines()
                at_s = os.fstat(file.fileno()).st_mtime
            last = LastRound(name, float(lines[0] if lines else ""), at_s)
            if len(lines) < 2 or not lines[1].strip():
                return last
            count, failed_at_s, why = lines[1].split(" ", 2)
            return replace(
                last, failures=int(count), failed_at_s=float(failed_at_s), failure=why.strip()
            )
        return None

    def _write(self, last: LastRound) -> None:
        text = f"{last.every_s:g}\n"
        if last.failures:
            why = " ".join(last.failure.split())
            text += f"{last.failures} {last.failed_at_s!r} {why}"
        cut = text.encode("utf-8", "backslashreplace")[:_TEXT_BYTES]
        content = cut.decode("utf-8", "ignore").encode().ljust(_TEXT_BYTES)  # no half of a letter
        with contextlib.suppress(OSError):
            self._folder.mkdir(mode=0o700, exist_ok=True)
            file = os.open(self._folder / last.name, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                os.pwrite(file, content, 0)
                os.utime(file, (last.at_s, last.at_s))
            finally:
                os.close(file)

    def _files(self) -> list[Path]:
        try:
            return [path for path in self._folder.iterdir() if path.is_file()]
        except OSError:
            return []


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.unlink()
