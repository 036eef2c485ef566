"""Every error that is made in the gate's SQL is found by a test of the ledger."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.mutation.sql import MUTANTS, Mutant

ROOT = Path(__file__).parents[2]
SUITES = (
    "test_settle.py",
    "test_true_up.py",
    "test_admit.py",
    "test_minute_waits.py",
    "test_workers.py",
)
TIMEOUT_S = 300  # the suites take one tenth of it
FAILED = 1  # pytest's status where tests ran and failed


@pytest.mark.slow
@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_the_mutant_is_killed(mutant: Mutant, tmp_path: Path) -> None:
    path = tmp_path / "mutant.sql"
    path.write_text(mutant.statement(), encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider"]
    command += [f"tests/integration/ledger/{suite}" for suite in SUITES]
    try:
        run = subprocess.run(
            command,
            cwd=ROOT,
            env={**os.environ, "TENANTRY_TEST_SQL": str(path)},
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return  # a test that waits for ever has found it too
    assert run.returncode == FAILED, f"it lives:\n{run.stdout[-2_000:]}"


def test_each_mutant_is_a_change_of_what_is_there() -> None:
    """Here, so that a change of the SQL tells at once which mutants are to be looked at again."""
    for mutant in MUTANTS:
        assert mutant.statement().startswith("CREATE OR REPLACE FUNCTION")
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS)
