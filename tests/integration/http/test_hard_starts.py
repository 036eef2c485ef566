"""Workers that cannot be replaced at once, or whose successors never come to serve."""

import os
import resource
import signal
import urllib.request
from pathlib import Path

import pytest
from tests.support.http_make import make_or_die, make_unless
from tests.support.http_running import children, get, running, settings_in
from tests.support.http_supervisors import supervised
from tests.support.waiting import eventually

from tenantry.entrypoints.http import supervisor as supervising

NO_MORE = 3  # files: those that a process begins with


def test_a_service_outlives_a_moment_in_which_no_process_can_be_started(tmp_path: Path) -> None:
    with supervised(tmp_path) as supervisor:
        assert supervisor.stdout is not None and supervisor.stderr is not None
        admin_url = supervisor.stdout.readline().split()[0]
        before = resource.prlimit(supervisor.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(supervisor.pid, resource.RLIMIT_NOFILE, (NO_MORE, before[1]))
        (worker,) = children(supervisor.pid)
        os.kill(worker, signal.SIGKILL)
        assert "it is replaced in 1 s" in supervisor.stderr.readline()
        told = supervisor.stderr.readline()
        while "the TLS certificate was not looked after" in told:
            told = supervisor.stderr.readline()
        assert "tenantry-worker-0 could not be started, and will be in " in told
        assert "s: [Errno 24]" in told
        resource.prlimit(supervisor.pid, resource.RLIMIT_NOFILE, before)
        with urllib.request.urlopen(f"{admin_url}/healthz", timeout=60) as answer:
            assert answer.status == 200
        supervisor.terminate()
        supervisor.communicate(timeout=60)
        assert supervisor.returncode == 0


def test_a_successor_that_never_serves_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    hangs = tmp_path / "hangs"
    monkeypatch.setenv("HANGS", str(hangs))
    before = children()
    with running(settings_in(tmp_path), make_unless) as addresses:
        (worker,) = children() - before
        hangs.touch()
        monkeypatch.setattr(supervising, "START_S", 1.0)
        os.kill(worker, signal.SIGKILL)
        told = "tenantry-worker-0 was killed: it did not start in 1 s; it is replaced in"
        eventually(lambda: told in caplog.text)
        hangs.unlink()
        # One that only needs longer has longer each time.
        with urllib.request.urlopen(f"{addresses.admin_url}/healthz", timeout=60) as answer:
            assert answer.status == 200
        assert "memory" not in "".join(caplog.messages[1:])


def test_a_worker_that_dies_at_each_start_is_replaced_ever_later_and_the_others_serve(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    dies = tmp_path / "dies"
    monkeypatch.setenv("DIES", str(dies))
    before = children()
    with running(settings_in(tmp_path, workers=2), make_or_die) as addresses:
        worker = min(children() - before)
        dies.touch()
        os.kill(worker, signal.SIGKILL)
        eventually(lambda: "it is replaced in 4 s" in caplog.text)
        metrics = get(f"{addresses.admin_url}/metrics")
        assert "\ntenantry_workers_down 1\n" in metrics
        dies.unlink()
        eventually(
            lambda: "\ntenantry_workers_down 0\n" in get(f"{addresses.admin_url}/metrics"),
        )
        assert len(children() - before) == 2
    pauses = [told.rpartition("it is replaced in ")[2] for told in caplog.messages]
    assert pauses[:3] == ["1 s", "2 s", "4 s"]
