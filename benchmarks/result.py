"""The last line of every benchmark: one JSON object that says what was measured, where, on what."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, slots=True)
class Bar:
    """A figure and what it must not pass, or must reach."""

    value: float
    bar: float
    sense: Literal["at most", "at least"] = "at most"

    @property
    def holds(self) -> bool:
        return self.value <= self.bar if self.sense == "at most" else self.value >= self.bar


def result_line(bench: str, figures: Mapping[str, Any], bars: Mapping[str, Bar]) -> str:
    """`{"bench", "machine", "commit", "figures", "bars": {name: {"value", "bar", "holds"}}}`."""
    return json.dumps(
        {
            "bench": bench,
            "machine": machine(),
            "commit": commit(),
            "figures": figures,
            "bars": {
                name: {"value": bar.value, "bar": bar.bar, "holds": bar.holds}
                for name, bar in bars.items()
            },
        }
    )


def machine() -> str:
    """Cores, processor, memory, kernel and Python."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (
        f"{os.cpu_count()} cores {_processor()}, {memory:.0f} GiB,"
        f" {platform.system()} {platform.release()}, Python {platform.python_version()}"
    )


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.machine()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


def commit() -> str:
    """The commit that was measured, with `-dirty` where the tree held more; empty without git."""
    asked = subprocess.run(
        ["git", "describe", "--always", "--dirty", "--abbrev=10", "--exclude=*"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return asked.stdout.strip()
