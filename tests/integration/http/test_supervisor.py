"""Worker processes on shared sockets: start, counters, replacement, and the end."""

import asyncio
import dataclasses
import hashlib
import http.client
import os
import signal
import socket
import ssl
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.support.http_make import make_fixed, make_nothing
from tests.support.http_running import children, get, is_worker, running, settings_in
from tests.support.http_services import FixedServices
from tests.support.http_supervisors import START_S, supervised
from tests.support.waiting import eventually

from tenantry.entrypoints.http.supervisor import (
    Addresses,
    StartFailed,
    run,
)
from tenantry.entrypoints.http.tls import ensure_local_tls
from tenantry.entrypoints.http.wire.listeners import Listeners, PortTaken, bind
from tenantry.entrypoints.http.worker import serve_worker


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


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_workers_end_with_their_supervisor(tmp_path: Path, number: signal.Signals) -> None:
    with supervised(tmp_path) as supervisor:
        assert supervisor.stdout is not None
        url = supervisor.stdout.readline().split()[0]
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


def test_a_terminal_that_is_closed_tells_all_and_the_supervisor_ends_them(tmp_path: Path) -> None:
    with supervised(tmp_path) as supervisor:
        assert supervisor.stdout is not None
        assert supervisor.stdout.readline()
        for _ in range(2):  # the shell and the kernel
            os.killpg(supervisor.pid, signal.SIGHUP)
        assert supervisor.communicate(timeout=START_S) == ("", "")
    assert supervisor.returncode == 0


def test_what_nohup_started_stays(tmp_path: Path) -> None:
    with supervised(tmp_path, hangup=signal.SIG_IGN) as supervisor:
        assert supervisor.stdout is not None
        url = supervisor.stdout.readline().split()[0]
        workers = children(supervisor.pid)
        os.killpg(supervisor.pid, signal.SIGHUP)
        for _ in range(3):
            assert "ok" in get(f"{url}/healthz")
        assert children(supervisor.pid) == workers
        supervisor.terminate()
        assert supervisor.communicate(timeout=START_S) == ("", "")
    assert supervisor.returncode == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_a_worker_that_has_just_begun_does_not_hear_the_terminal(
    tmp_path: Path, number: signal.Signals
) -> None:
    """Its supervisor does, and ends it before it serves."""
    with supervised(tmp_path) as supervisor:
        eventually(lambda: bool(children(supervisor.pid)))
        os.killpg(supervisor.pid, number)
        assert supervisor.communicate(timeout=START_S) == ("", "")
    assert supervisor.returncode == 0


@pytest.mark.parametrize("making_s", ["0.5", "3600"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_who_is_told_to_end_while_it_starts_says_nothing(
    tmp_path: Path, number: signal.Signals, making_s: str
) -> None:
    with supervised(tmp_path, MAKE_S=making_s) as supervisor:
        assert supervisor.stdout is not None
        assert supervisor.stdout.readline() == "making\n"
        os.killpg(supervisor.pid, number) if number != signal.SIGTERM else supervisor.terminate()
        assert supervisor.communicate(timeout=START_S)[1] == ""
    assert supervisor.returncode == 0


def served(url: str, bundle: Path) -> tuple[str, socket.socket]:
    """A hash of the certificate of a new connection, which stays open."""
    where = url.removeprefix("https://").split(":")
    raw = socket.create_connection((where[0], int(where[1])), timeout=20)
    context = ssl.create_default_context(cafile=str(bundle))
    client = context.wrap_socket(raw, server_hostname=where[0])
    found = client.getpeercert(binary_form=True)
    assert found is not None
    return hashlib.sha256(found).hexdigest(), client


def certificates(addresses: Addresses, workers: set[int]) -> set[str]:
    """What each worker serves while the others stand still."""
    found = set()
    for worker in workers:
        for other in workers - {worker}:
            os.kill(other, signal.SIGSTOP)
        try:
            certificate, client = served(addresses.https_url, addresses.ca_bundle)
        finally:
            for other in workers - {worker}:
                os.kill(other, signal.SIGCONT)
        client.close()
        found.add(certificate)
    return found


def end_told(addresses: Addresses) -> float:
    for line in get(f"{addresses.admin_url}/metrics").splitlines():
        name, _, value = line.partition(" ")
        if name == "tenantry_tls_certificate_end_timestamp_seconds":
            return float(value)
    raise AssertionError("/metrics does not tell when the certificate ends")


def test_all_workers_serve_the_renewed_certificate_and_who_is_connected_stays(
    tmp_path: Path,
) -> None:
    at, before = [datetime.now(UTC) - timedelta(days=380)], children()  # clients live now
    settings = settings_in(tmp_path, workers=2)
    with running(settings, now=lambda: at[0]) as addresses, ExitStack() as stack:
        workers = children() - before
        (first,) = certificates(addresses, workers)
        ended = end_told(addresses)
        _, open_before = served(addresses.https_url, addresses.ca_bundle)
        stack.enter_context(open_before)
        at[0] += timedelta(days=380)
        eventually(lambda: first not in (now := certificates(addresses, workers)) and len(now) == 1)
        eventually(lambda: end_told(addresses) > ended + timedelta(days=360).total_seconds())
        open_before.sendall(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
        assert open_before.recv(4_096).startswith(b"HTTP/1.1 200 ")


def test_a_workers_successor_serves_no_other_certificate_than_the_rest(tmp_path: Path) -> None:
    before = children()
    with running(settings_in(tmp_path, workers=2)) as addresses:
        old = children() - before
        (first,) = certificates(addresses, old)
        # As another `serve` of this home does.
        ensure_local_tls(tmp_path, ("gateway.internal", "127.0.0.1"), now=datetime.now(UTC))
        assert certificates(addresses, old) == {first}
        os.kill(min(old), signal.SIGKILL)
        eventually(lambda: len(children() - before - {min(old)}) == 2)
        workers = children() - before
        eventually(lambda: first not in (now := certificates(addresses, workers)) and len(now) == 1)


@pytest.mark.parametrize("secure", [False, True])
def test_connections_that_say_nothing_leave_files_for_everybody_else(
    tmp_path: Path, secure: bool
) -> None:
    """In clear, and before a TLS handshake, which no connection is counted for."""
    with supervised(tmp_path, 256) as supervisor, ExitStack() as stack:
        assert supervisor.stdout is not None
        admin, *urls = supervisor.stdout.readline().split()
        host, port = urls[secure].partition("://")[2].split(":")
        for _ in range(400):
            stack.enter_context(socket.create_connection((host, int(port)), timeout=20))
        assert "ok" in get(f"{admin}/healthz")
        (worker,) = children(supervisor.pid)
        assert len(list(Path(f"/proc/{worker}/fd").iterdir())) < 128
        supervisor.terminate()
        told = supervisor.communicate(timeout=START_S)[1]
    assert "connections are open, and no more may be" in told


def test_what_a_worker_opened_is_closed_where_it_cannot_serve(tmp_path: Path) -> None:
    closed: list[bool] = []

    async def run() -> None:
        made = FixedServices().services()
        close = made.close

        async def noted() -> None:
            closed.append(True)
            await close()

        tls = ensure_local_tls(tmp_path, (), now=datetime.now(UTC))
        gone = [bind("127.0.0.1", 0) for _ in range(3)]
        for listener in gone:
            listener.close()
        services = dataclasses.replace(made, close=noted)
        await serve_worker(services, Listeners(*gone), tls.context(), asyncio.Event())

    with pytest.raises((OSError, ValueError)):
        asyncio.run(run())
    assert closed == [True]
