"""Mutation testing of rating, reservation, settlement and invoicing: `make mutation`.

Runs mutmut over the modules that pyproject.toml names, for at most MUTATION_MINUTES, on one core
beside other work; a run that was cut short goes on where it ended. Prints what was killed by
module and what survived; fails where less than KILLED_MIN of what was tried was killed, or
where nothing was. `tests/mutation/survivors.md` says why those that are left are no errors.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[1]
KILLED_MIN = 0.95
MINUTES = 30.0  # where MUTATION_MINUTES says nothing else
# mutmut's exit codes (its stats.py); any other is a kill, a time-out too.
_LIVED = frozenset({0, 5, 33})  # survived, or no test reaches it
_UNTRIED = frozenset({None, 2, 34})  # no time, interrupted, skipped
_LAST_BYTES = 4_000


def run(minutes: float) -> str:
    """mutmut, ended after so many minutes. Returns what it said last."""
    command = [sys.executable, "-m", "mutmut", "run", "--max-children", "1"]
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(
            ["nice", *command], cwd=ROOT, stdout=said, start_new_session=True
        )
        try:
            process.wait(minutes * 60)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGINT)
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        said.seek(-min(said.tell(), _LAST_BYTES), os.SEEK_END)
        return said.read().decode("utf-8", "replace")


def results() -> dict[str, dict[str, int | None]]:
    """Exit code by mutant, by module; None where there was no time for it."""
    found = {}
    for path in sorted((ROOT / "mutants").rglob("*.py.meta")):
        codes: dict[str, int | None] = json.loads(path.read_text("utf-8"))["exit_code_by_key"]
        if codes:
            found[path.name.removesuffix(".py.meta")] = codes
    return found


def verdict(found: dict[str, dict[str, int | None]]) -> tuple[float, list[str]]:
    """The share that was killed of what was tried, and the report's lines."""
    lines, total, survivors = [], Counter[str](), []
    for module, codes in found.items():
        tried = {name: code for name, code in codes.items() if code not in _UNTRIED}
        lived = [name for name, code in tried.items() if code in _LIVED]
        survivors += lived
        total.update(mutants=len(codes), tried=len(tried), killed=len(tried) - len(lived))
        lines.append(
            f"{module:<12} {len(codes):>5} mutants {len(tried):>5} tried "
            f"{len(tried) - len(lived):>5} killed {len(lived):>4} survived"
        )
    share = total["killed"] / total["tried"] if total["tried"] else 0.0
    lines += [f"survived: {name}" for name in sorted(survivors)]
    lines.append(
        f"{total['killed']} of {total['tried']} tried were killed: {share:.1%}; "
        f"{total['mutants'] - total['tried']} of {total['mutants']} were not tried for want of time"
    )
    return share, lines


def main() -> int:
    said = run(float(os.environ.get("MUTATION_MINUTES", MINUTES)))
    found = results()
    share, lines = verdict(found)
    if all(code in _UNTRIED for codes in found.values() for code in codes.values()):
        lines.insert(0, said)  # why: a test that fails before anything is changed, for one
    sys.stdout.write("\n".join([*lines, ""]))
    return 0 if share >= KILLED_MIN else 1


if __name__ == "__main__":
    sys.exit(main())
