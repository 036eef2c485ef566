"""The deployment's processes: their memory and open files, and who is left at the end."""

from __future__ import annotations

import os
import statistics
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.support.stack import Stack

SAMPLE_EVERY_S: Final = 5.0
WARM_UP_S: Final = 120.0  # of a process: caches fill, pools open
# A slope is a verdict where it is long enough, and a leak where more came than these. They are
# generous: what is looked for grows for as long as it runs.
SPAN_MIN_S: Final = 600.0
GROWTH_MAX_MB: Final = 48.0
GROWTH_MAX_SHARE: Final = 0.4
_PAGE_MB: Final = os.sysconf("SC_PAGE_SIZE") / 1e6


@dataclass(slots=True)
class Life:
    """One process, as it was seen."""

    kind: str
    pid: int
    begun: float
    samples: list[tuple[float, float]] = field(default_factory=list)  # seconds of its life, MB

    def warm(self) -> list[tuple[float, float]]:
        return [sample for sample in self.samples if sample[0] >= WARM_UP_S]

    @property
    def span_s(self) -> float:
        """For how long it was seen after it was warm."""
        warm = self.warm()
        return warm[-1][0] - warm[0][0] if warm else 0.0

    def slope_mb_per_h(self) -> float:
        """Of a line through what was seen of it while warm."""
        warm = self.warm()
        if len(warm) < 3:
            return 0.0
        line = statistics.linear_regression([at for at, _ in warm], [mb for _, mb in warm])
        return line.slope * 3_600

    def leaks(self) -> bool:
        if self.span_s < SPAN_MIN_S:
            return False
        growth = self.slope_mb_per_h() * self.span_s / 3_600
        return growth > max(GROWTH_MAX_MB, GROWTH_MAX_SHARE * self.warm()[0][1])

    def __str__(self) -> str:
        last = self.samples[-1][1] if self.samples else 0.0
        return f"{self.kind} {self.pid}: {last:.0f} MB, {self.slope_mb_per_h():+.0f} MB/h"


class Census(threading.Thread):
    """Looks every few seconds, whoever lives then."""

    def __init__(self, stack: Stack) -> None:
        super().__init__(name="census", daemon=True)
        self.lives: dict[int, Life] = {}
        self._stack = stack
        self._over = threading.Event()

    def run(self) -> None:
        while not self._over.wait(SAMPLE_EVERY_S):
            for kind, pid in living(self._stack):
                life = self.lives.setdefault(pid, Life(kind, pid, time.monotonic()))
                with suppress(OSError):  # it has just ended
                    life.samples.append((time.monotonic() - life.begun, rss_mb(pid)))

    def end(self) -> None:
        self._over.set()
        self.join()

    def alive(self) -> list[Life]:
        now = {pid for _, pid in living(self._stack)}
        return [life for pid, life in self.lives.items() if pid in now]


def living(stack: Stack) -> list[tuple[str, int]]:
    """Kind and pid of the product's own processes."""
    if stack.serve.poll() is not None:
        return []
    found = [("supervisor", stack.serve.pid)]
    found += [("gateway", pid) for pid in stack.gateway_workers()]
    found += [("background", pid) for pid in stack.background_workers()]
    return found


def rss_mb(pid: int) -> float:
    """Resident memory, in megabytes of 10**6 bytes (proc(5))."""
    return int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]) * _PAGE_MB


def open_files(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def of_home(places: Sequence[Path]) -> Iterator[str]:
    """What still runs for a home: `pid command` of each process whose command line or environment
    names one of the places."""
    words = [os.fsencode(place) for place in places]
    for folder in Path("/proc").iterdir():
        if not folder.name.isdecimal() or int(folder.name) == os.getpid():
            continue
        try:
            command = (folder / "cmdline").read_bytes()
            known = command + (folder / "environ").read_bytes()
        except OSError:
            continue  # it has just ended, or is none of ours
        if command and any(word in known for word in words):
            yield f"{folder.name} {command.replace(bytes(1), b' ').decode(errors='replace')[:200]}"
