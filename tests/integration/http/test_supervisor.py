"""Worker processes on shared sockets: start, counters, replacement, and the end."""

import http.client
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.support.http_make import make_fixed, make_nothing

from tenantry.entrypoints.http.supervisor import (
    Addresses,
    MakeServices,
    ServeSettings,
    StartFailed,
    run,
)
from tenantry.entrypoints.http.wire.listeners import PortTaken, bind

START_S = 60.0


def settings_in(home: Path, **changes: int) -> ServeSettings:
    ports = {"http_port": 0, "https_port": 0, "admin_port": 0} | changes
    return ServeSettings(home, drain_s=2.0, **ports)


@contextmanager
def running(
    settings: ServeSettings,
    make: MakeServices = make_fixed,
    rolls: Callable[[], Collection[int]] = tuple,
) -> Iterator[Addresses]:
    ready, over = threading.Event(), threading.Event()
    found: list[Addresses] = []

    def announce(addresses: Addresses) -> None:
        found.append(addresses)
        ready.set()

    thread = threading.Thread(
        target=run,
        args=(settings, make),
        kwargs={"on_ready": announce, "stop": over.is_set, "rolls": rolls},
    )
    thread.start()
    try:
        assert ready.wait(START_S), "the workers did not start"
        yield found[0]
    finally:
        over.set()
        thread.join(START_S)
        assert not thread.is_alive()


def get(url: str) -> str:
    with urllib.request.urlopen(url, timeout=20) as answer:
        text: str = answer.read().decode()
        return text


def eventually(check: Callable[[], bool]) -> None:
    deadline = time.monotonic() + START_S
    while not check():
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.05)


def children(parent: int | None = None) -> set[int]:
    """The workers of a process, this one by default."""
    found = Path(f"/proc/{parent or os.getpid()}/task").glob("*/children")
    pids = {int(pid) for path in found for pid in path.read_text().split()}
    return {pid for pid in pids if is_worker(pid)}


def is_worker(pid: int) -> bool:
    try:
        return b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except FileNotFoundError:
        return False


def test_two_workers_share_ports_and_counters(tmp_path: Path) -> None:
    before = children()
    with running(settings_in(tmp_path, workers=2)) as addresses:
        for _ in range(20):
            assert "ok" in get(f"{addresses.admin_url}/healthz")
        line = 'route="/healthz",status="2xx"} 20'
        eventually(lambda: line in get(f"{addresses.admin_url}/metrics"))
        assert len(children() - before) == 2
        assert addresses.ca_bundle.exists()
    assert children() <= before


def test_a_killed_worker_is_replaced(tmp_path: Path) -> None:
    before = children()
    with running(settings_in(tmp_path)) as addresses:
        (worker,) = children() - before
        os.kill(worker, signal.SIGKILL)
        # The listening socket outlives the worker: the next answer comes from its successor.
        assert "ok" in get(f"{addresses.admin_url}/healthz")
        assert worker not in children()


def test_workers_roll_one_after_the_other_and_lose_nothing(tmp_path: Path) -> None:
    """Fresh connections all the while, and an idle one, which gets an answer and is told to go."""
    before, rolls = children(), set[int]()
    with running(settings_in(tmp_path, workers=2), rolls=lambda: rolls) as addresses:
        old = children() - before
        where = addresses.http_url.removeprefix("http://")
        # As many as it takes for each of the two workers to have some.
        idle = [http.client.HTTPConnection(where, timeout=20) for _ in range(16)]
        for connection in idle:
            assert _kept(connection) == "keep-alive"
        rolls |= old
        answers = [get(f"{addresses.admin_url}/healthz")]
        most = 0
        while old & children():
            answers.append(get(f"{addresses.admin_url}/healthz"))
            most = max(most, len(children() - before))
            if len(old & children()) < 2 or most == 3:
                for connection in idle:
                    told = _kept(connection)
                    if told == "close":
                        connection.close()
                    assert told in ("close", "keep-alive")
        assert all("ok" in answer for answer in answers)
        assert most == 3, "one more than there are, while one rolls"
        assert len(children() - before) == 2
        line = 'route="/healthz",status="2xx"} ' + str(len(answers))
        eventually(lambda: line in get(f"{addresses.admin_url}/metrics"))
    assert children() <= before


def _kept(connection: http.client.HTTPConnection) -> str:
    """Asks over a connection, whether it was used before or not; what it is told of its end."""
    connection.request("GET", "/openapi.json")
    answer = connection.getresponse()
    assert answer.status == 200
    answer.read()
    return "close" if answer.will_close else "keep-alive"


def test_a_worker_that_dies_while_it_rolls_has_one_successor(tmp_path: Path) -> None:
    before, rolls = children(), set[int]()
    with running(settings_in(tmp_path), rolls=lambda: rolls) as addresses:
        (old,) = children() - before
        rolls.add(old)
        eventually(lambda: len(children() - before) == 2)
        os.kill(old, signal.SIGKILL)
        eventually(lambda: old not in children())
        assert "ok" in get(f"{addresses.admin_url}/healthz")
        assert len(children() - before) == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_workers_end_with_their_supervisor(tmp_path: Path, number: signal.Signals) -> None:
    command = [sys.executable, "-m", "tests.support.http_supervised", str(tmp_path)]
    root = Path(__file__).parents[3]
    with subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, text=True) as supervisor:
        assert supervisor.stdout is not None
        url = supervisor.stdout.readline().strip()
        assert "ok" in get(f"{url}/healthz")
        workers = children(supervisor.pid)
        assert len(workers) == 1
        supervisor.send_signal(number)
        status = supervisor.wait(START_S)
    assert status == (-signal.SIGKILL if number is signal.SIGKILL else 0)
    eventually(lambda: not any(is_worker(pid) for pid in workers))
    with pytest.raises(OSError):
        get(f"{url}/healthz")


def test_a_taken_port_is_one_clear_line(tmp_path: Path) -> None:
    with bind("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        for name in ("http_port", "https_port", "admin_port"):
            with pytest.raises(PortTaken) as refused:
                run(settings_in(tmp_path, **{name: port}), make_fixed)
            told = str(refused.value)
            assert told.startswith(f"cannot listen on 127.0.0.1:{port}: Address already")
            assert f"TENANTRY_{name.upper()})" in told


def test_a_worker_that_cannot_start_says_why(tmp_path: Path) -> None:
    with pytest.raises(StartFailed, match="the database is gone"):
        run(settings_in(tmp_path), make_nothing)
