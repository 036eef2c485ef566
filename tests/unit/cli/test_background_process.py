"""What `serve` says of a background worker that lives and does nothing."""

from __future__ import annotations

import logging
import signal
import subprocess
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import pytest

from tenantry.entrypoints import restart_pause
from tenantry.entrypoints.cli import background_process
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


def test_a_worker_that_does_not_end_is_killed_and_that_is_told(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    deaf = "import signal, sys, time, pathlib; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
    deaf += "pathlib.Path(sys.argv[1]).touch(); time.sleep(600)"
    begun = tmp_path / "begun"
    monkeypatch.setattr(background_process, "_COMMAND", ("-c", deaf, str(begun)))
    monkeypatch.setattr(background_process, "STOP_S", 0.1)
    with BackgroundProcess(lambda: []) as running:
        worker = running._process
        assert worker is not None
        while not begun.exists():
            assert worker.poll() is None
            time.sleep(0.01)
    assert worker.returncode == -signal.SIGKILL
    assert caplog.messages == ["the background worker did not end within 0 s and was killed"]


def test_one_that_keeps_ending_is_replaced_ever_later(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    lived_s = [0.0] * 8 + [60.0, 0.0]

    class Ended:
        def wait(self) -> int:
            now_s.append(now_s[-1] + lived_s.pop(0))
            return 3

    class Stop:
        def wait(self, pause_s: float) -> bool:
            pauses_s.append(pause_s)
            return not lived_s

    now_s, pauses_s = [0.0], list[float]()
    clock = SimpleNamespace(monotonic=lambda: now_s[-1])
    monkeypatch.setattr(background_process, "time", clock)
    process = BackgroundProcess(lambda: [])
    process._process, process._stop = Ended(), Stop()  # type: ignore[assignment]
    monkeypatch.setattr(process, "_start", Ended)
    process._watch()
    assert pauses_s == [1, 2, 4, 8, 16, 32, 60, 60, 1, 2]
    assert "the background worker ended with status 3; it is replaced" in caplog.messages


def test_one_that_cannot_be_started_now_is_started_later(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    failures = [OSError(12, "Cannot allocate memory"), OSError(24, "Too many open files")]
    again = threading.Event()

    class Ended:
        def wait(self) -> int:
            return -signal.SIGKILL

    def start(*_: object, **__: object) -> Ended:
        if failures:
            raise failures.pop(0)
        again.set()
        process._stop.set()
        return Ended()

    process = BackgroundProcess(lambda: [])
    process._process = Ended()  # type: ignore[assignment]
    monkeypatch.setattr(restart_pause, "FIRST_S", 0.001)
    monkeypatch.setattr(subprocess, "Popen", start)
    process._watch()
    assert again.is_set()
    assert "the background worker could not be started: [Errno 24] Too many open files" in (
        caplog.messages
    )
