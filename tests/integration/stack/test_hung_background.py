"""A background worker that hangs says nothing, and one that fails only its log; `/metrics` and
`doctor` tell of both."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from pathlib import Path

import asyncpg
import pytest
from tests.support.stack import Stack
from tests.support.stack_command import tenantry

LAST = "tenantry_background_last_round_timestamp_seconds"
FAILED = "tenantry_background_round_failures_total"
WAIT_S = 60.0


def last_rounds(stack: Stack, metric: str = LAST) -> dict[str, float]:
    text = stack.http("GET", "/metrics", admin=True)[2].decode()
    lines = [line for line in text.splitlines() if line.startswith(metric + "{")]
    return {line.split('"')[1]: float(line.split()[-1]) for line in lines}


def still(stack: Stack) -> list[str]:
    told = json.loads(tenantry(stack.home, "doctor", "--json").stdout)
    assert "background worker" in told["facts"]
    return [line for line in told["problems"] if "background worker" in line]


def aged(folder: Path, seconds: float) -> float:
    """As if the rounds had ended so long ago, and what failed before, so long before."""
    at = time.time() - seconds
    for path in folder.iterdir():
        every, *failed = path.read_text("ascii").splitlines()
        if failed and failed[0].strip():
            count, failed_at, why = failed[0].split(" ", 2)
            path.write_text(f"{every}\n{count} {float(failed_at) - seconds!r} {why}", "ascii")
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


def as_owner(stack: Stack, statement: str) -> None:
    async def run() -> None:
        connection = await asyncpg.connect(stack.cluster().dsn("superuser"))
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    asyncio.run(run())


def test_rounds_that_fail_are_counted_and_named_until_they_end(doomed: Stack) -> None:
    swept_after(doomed, time.time())
    before = last_rounds(doomed, FAILED)
    assert set(before) == set(last_rounds(doomed))
    as_owner(doomed, "ALTER TABLE tenantry.open_request RENAME TO lost")
    try:
        deadline = time.monotonic() + WAIT_S
        while last_rounds(doomed, FAILED)["sweep"] < before["sweep"] + 2:
            assert time.monotonic() < deadline, "no round failed"
            time.sleep(0.1)
        told = still(doomed)
    finally:
        as_owner(doomed, "ALTER TABLE tenantry.lost RENAME TO open_request")
    (problem,) = [line for line in told if "sweep" in line]
    assert problem.startswith("rounds of the background worker failed when they came last (")
    assert 'relation "tenantry.open_request" does not exist' in problem
    swept_after(doomed, time.time())
    assert [line for line in still(doomed) if "sweep" in line] == []
