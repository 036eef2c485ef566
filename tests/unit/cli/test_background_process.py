"""What `serve` says of a background worker that lives and does nothing."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence

import pytest

from tenantry.entrypoints.cli.background_process import BackgroundProcess
from tenantry.ports.round_marks import LastRound


def test_a_worker_that_ends_no_round_is_told_once_each_time(
    caplog: pytest.LogCaptureFixture,
) -> None:
    now_s = time.time()
    still, goes = [LastRound("sweep", 2.0, 0.0)], [LastRound("sweep", 2.0, now_s + 3_600)]
    looks: list[Sequence[LastRound]] = [[], still, still, goes, still, still]

    def last_rounds() -> Sequence[LastRound]:
        found = looks.pop(0)
        if not looks:
            process._stop.set()
        return found

    process = BackgroundProcess(last_rounds, look_every_s=0.001)
    with caplog.at_level(logging.ERROR):
        process._look()
    assert len(caplog.records) == 2
    assert "the background worker has ended no round for 60 s" in caplog.text
