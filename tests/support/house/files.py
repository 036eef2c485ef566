"""Which files the rules speak of."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
CODE = ("src/", "tests/", "benchmarks/", "tools/")
FROZEN = "src/tenantry/data/corpus/"  # other projects' texts, never edited
_NOT_OURS = {
    ".git",
    ".hypothesis",
    ".mypy_cache",
    ".pytest_cache",
    ".ruff_cache",
    ".tenantry",
    ".venv",
    ".venv-bootstrap",
    "__pycache__",
    "node_modules",
}


@cache
def tracked() -> tuple[str, ...]:
    """Paths of the repository's files, relative to its root; all files where git is not there."""
    try:
        listed = subprocess.run(
            ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, timeout=60
        )
        names: Iterable[str] = listed.stdout.decode("utf-8").split("\0")
    except (FileNotFoundError, subprocess.CalledProcessError):
        found = (p.relative_to(ROOT) for p in ROOT.rglob("*") if p.is_file())
        names = (p.as_posix() for p in found if not _NOT_OURS & set(p.parts))
    return tuple(sorted(name for name in names if name and (ROOT / name).is_file()))


def code(*suffixes: str, under: tuple[str, ...] = CODE) -> tuple[str, ...]:
    """Tracked files of these suffixes below these folders."""
    return tuple(name for name in tracked() if name.startswith(under) and name.endswith(suffixes))


def text_of(name: str) -> str:
    return (ROOT / name).read_text("utf-8")


def violations(names: Iterable[str], rule: object) -> list[str]:
    """`file: what is wrong` for every file that breaks the rule."""
    assert callable(rule)
    return [f"{name}: {wrong}" for name in names for wrong in rule(text_of(name))]
