"""How a worker ended is told: who looks for a machine without memory must not guess."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time

import pytest

from tenantry.entrypoints.http.worker_ends import ended


@pytest.mark.parametrize(
    ("by", "words"),
    [
        (0, "ended by itself with status 0"),
        (3, "ended by itself with status 3"),
        (-signal.SIGKILL, "was ended by SIGKILL, as where memory runs out"),
        (-signal.SIGTERM, "was ended by SIGTERM"),
    ],
)
def test_the_end_of_a_worker_has_its_reason(by: int, words: str) -> None:
    context = multiprocessing.get_context("spawn")
    process = context.Process(
        target=os._exit if by >= 0 else time.sleep, args=(max(by, 0) if by >= 0 else 60,), name="w"
    )
    process.start()
    if by < 0:
        assert process.pid is not None
        os.kill(process.pid, -by)
    process.join(60)
    assert ended(process) == f"w (pid {process.pid}) {words}"
