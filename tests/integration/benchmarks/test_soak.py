"""The soak itself, for half a minute: what it starts, drives, checks and ends."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from benchmarks.result import ROOT

TIMEOUT_S = 600  # settling and the last notices take longer than the traffic


@pytest.mark.slow
def test_a_short_soak_finds_nothing_and_leaves_nothing() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.soak"],
        cwd=ROOT,
        env={**os.environ, "SOAK_MINUTES": "0.5", "SOAK_SEED": "1"},
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-8_000:] + done.stderr[-8_000:]
    last = json.loads(done.stdout.splitlines()[-1])
    assert last["broke"] == []
    assert sum(last["soak"]["requests"]["converse"].values()) > 0
    assert sum(last["soak"]["mishaps"].values()) > 0
