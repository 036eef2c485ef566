"""What a soak has seen: how much of what, and everything that broke."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from dataclasses import dataclass
from pathlib import Path
from typing import Final

FINDINGS_MAX: Final = 20  # of a kind; further ones are counted: the first say what broke
MISHAPS_TOLD: Final = 3  # the latest, with what broke


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that must not be. `at_s`: since the start."""

    at_s: float
    what: str
    detail: str

    def __str__(self) -> str:
        return f"{clock(self.at_s)}  {self.what}: {self.detail}"


class Journal:
    """Written by all threads. `trail`: a file of every mishap as it happens, beside the calm lines
    that are printed."""

    def __init__(self, trail: Path | None = None) -> None:
        self.begun = time.monotonic()
        self._trail = trail
        self._latest: deque[str] = deque(maxlen=MISHAPS_TOLD)
        self.findings: list[Finding] = []
        self.kinds: Counter[str] = Counter()  # how often what broke, also where it is not kept
        self.mishaps: Counter[str] = Counter()
        self._ends: Counter[tuple[str, str]] = Counter()
        self._lock = threading.Lock()

    def elapsed_s(self) -> float:
        return time.monotonic() - self.begun

    def broke(self, what: str, detail: str) -> None:
        """`what` is one of few words; `detail` says which, and all that helps to find out why."""
        finding = Finding(self.elapsed_s(), what, detail[:2_000])
        with self._lock:
            self.kinds[what] += 1
            if self.kinds[what] > FINDINGS_MAX:
                return
            self.findings.append(finding)
            latest = "; ".join(self._latest)
        self.say(f"BROKE  {what}: {detail[:400]}")
        self.say(f"       after {latest or 'nothing'}")

    @property
    def broken(self) -> int:
        return self.kinds.total()

    def ended(self, kind: str, how: str) -> None:
        """A request of this kind was answered, refused, left or broken off."""
        with self._lock:
            self._ends[kind, how] += 1

    def happened(self, mishap: str, detail: str) -> None:
        line = f"{clock(self.elapsed_s())}  {mishap}{': ' if detail else ''}{detail}"
        with self._lock:
            self.mishaps[mishap] += 1
            self._latest.append(line)
            if self._trail is not None:
                with self._trail.open("a", encoding="utf-8") as file:
                    file.write(f"{line}\n")

    def requests(self) -> int:
        with self._lock:
            return sum(self._ends.values())

    def ends(self) -> dict[str, dict[str, int]]:
        """By kind of request, how many ended how."""
        with self._lock:
            found: dict[str, dict[str, int]] = {}
            for (kind, how), count in sorted(self._ends.items()):
                found.setdefault(kind, {})[how] = count
            return found

    def how_many(self, how: str) -> int:
        with self._lock:
            return sum(count for (_, end), count in self._ends.items() if end == how)

    def say(self, line: str) -> None:
        print(f"{clock(self.elapsed_s())}  {line}", flush=True)


def clock(seconds: float) -> str:
    """`07:30`: minutes and seconds since the start."""
    return f"{int(seconds) // 60:02d}:{int(seconds) % 60:02d}"
