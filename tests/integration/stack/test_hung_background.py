"""A background worker that hangs says nothing; `/metrics` and `doctor` do."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

import pytest
from tests.support.stack import Stack
from tests.support.stack_command import tenantry

LAST = "tenantry_background_last_round_timestamp_seconds"
WAIT_S = 60.0


def last_rounds(stack: Stack) -> dict[str, float]:
    text = stack.http("GET", "/metrics", admin=True)[2].decode()
    lines = [line for line in text.splitlines() if line.startswith(LAST + "{")]
    return {line.split('"')[1]: float(line.split()[-1]) for line in lines}


def still(stack: Stack) -> list[str]:
    told = json.loads(tenantry(stack.home, "doctor", "--json").stdout)
    assert "background worker" in told["facts"]
    return [line for line in told["problems"] if "background worker" in line]


def aged(folder: Path, seconds: float) -> float:
    at = time.time() - seconds
    for path in folder.iterdir():
        os.utime(path, (at, at))
    return at


def swept_after(stack: Stack, at_s: float) -> None:
    deadline = time.monotonic() + WAIT_S
    while last_rounds(stack).get("sweep", 0.0) <= at_s:
        assert time.monotonic() < deadline, "no round ended"
        time.sleep(0.1)


def test_a_worker_that_is_stopped_is_told(doomed: Stack) -> None:
    swept_after(doomed, time.time())
    assert still(doomed) == []
    worker = doomed.background_worker()
    os.kill(worker, signal.SIGSTOP)
    try:
        at = aged(doomed.home / "background", 200.0)
        time.sleep(1.1)  # an answer is held for a second
        assert last_rounds(doomed)["sweep"] == pytest.approx(at, abs=0.01)
        (problem,) = still(doomed)
    finally:
        os.kill(worker, signal.SIGCONT)
    assert problem.startswith("the background worker stands still")
    swept_after(doomed, at)
    assert still(doomed) == []
