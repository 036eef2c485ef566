"""`make lint` refuses whatever rounds a decimal without a word, and nothing else."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from tests.support.house.files import ROOT

PLUGIN = "tools/exact_decimals.py"
ROUNDS = (
    "-a", "+a", "a + b", "a - b", "a * b", "a / b", "a % b", "a // b", "a ** 2", "1 - a", "2 * a",
    "abs(a)", "round(a, 2)", "sum([a, b])", "sum(x for x in rows)", "divmod(a, b)",
    "a.quantize(b)", "a.scaleb(2)", "a.normalize()", "a.sqrt()", "a.fma(a, b)",
)  # fmt: skip
IS_EXACT = (
    "a == b", "a != b", "a < b", "a >= b", "max(a, b)", "min(rows)", "sorted(rows)", "bool(a)",
    "int(a)", "float(a)", "str(a)", 'format(a, "f")', "Decimal(str(a))",
    "Fraction(a) - Fraction(b)",
    "hash(a)", "a.is_finite()", "a.as_tuple()", "a.quantize(b, context=EXACT)",
    "a.scaleb(2, context=EXACT)", "EXACT.subtract(a, b)", "sum(len(str(x)) for x in rows)",
    "abs(-3)", "any(x > 0 for x in rows)",
)  # fmt: skip
HEAD = """from decimal import Context, Decimal
from fractions import Fraction

EXACT = Context(prec=120)


def planted(a: Decimal, b: Decimal, rows: list[Decimal]) -> None:
"""


def test_mypy_runs_with_it() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    assert settings["tool"]["mypy"]["plugins"] == [PLUGIN]


@pytest.fixture(scope="module")
def refused(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What is said of each expression that is not let through."""
    folder: Path = tmp_path_factory.mktemp("planted")
    every = [*ROUNDS, *IS_EXACT]
    (folder / "planted.py").write_text(HEAD + "".join(f"    {one}\n" for one in every))
    (folder / "added.py").write_text(HEAD + "    a += b\n    a -= b\n")
    (folder / "mypy.ini").write_text(f"[mypy]\nstrict = True\nplugins = {ROOT / PLUGIN}\n")
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--cache-dir", "cache", "planted.py", "added.py"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
    )
    first = HEAD.count("\n") + 1
    found = {}
    for line in done.stdout.splitlines():
        place, _, said = line.partition(": error: ")
        name, _, number = place.partition(":")
        if said:
            at = int(number) - first
            found[every[at] if name == "planted.py" else f"added {at}"] = said
    assert found, done.stdout + done.stderr
    return found


def test_what_rounds_is_refused(refused: dict[str, str]) -> None:
    assert set(ROUNDS) <= refused.keys()
    assert {"added 0", "added 1"} <= refused.keys()
    assert refused["-a"].startswith("__neg__ rounds a decimal to 28 digits")


def test_what_is_exact_is_let_through(refused: dict[str, str]) -> None:
    assert refused.keys().isdisjoint(IS_EXACT)
