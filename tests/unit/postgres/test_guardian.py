"""The guardian is small: the standard library alone, a log within its bounds, and no full disk
ends its watch."""

import contextlib
import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest

from tenantry.adapters.postgres.guardian import __main__ as guardian
from tenantry.adapters.postgres.guardian.status import ClusterStatus, read_status, write_status

_NAMES_OF_STRANGERS = """
import sys
import tenantry.adapters.postgres.guardian.__main__
names = {name.partition(".")[0] for name in sys.modules}
site = {"sitecustomize", "usercustomize", "tenantry"}
print(*(n for n in names - sys.stdlib_module_names - site if not n.startswith("_")))
"""
_IN_A_HURRY = """
import sys
from tenantry.adapters.postgres.guardian import __main__ as guardian
guardian.RESTART_PAUSE_S, guardian.DISK_FULL_PAUSE_S = 0.001, 0.01
guardian.SOCKET_GONE_S = 0.1
guardian.processes.FAST_SHUTDOWN_S = 0.1  # `sleep` is deaf to both signals
guardian.processes.IMMEDIATE_SHUTDOWN_S = 0.1
sys.exit(guardian.main())
"""
_SERVER = """#!/bin/sh
echo start >> starts
if [ -e words ]; then cat words; exit 1; fi
for each; do case $each in
port=*) port=${each#*=};; unix_socket_directories=*) folder=${each#*=};;
esac; done
> $folder/.s.PGSQL.$port
printf '%s\\n' $$ 2 3 4 5 6 7 ready > postmaster.pid
if [ -e more ]; then cat more; fi
exec sleep 60
"""
PATIENCE_S = 60.0
Seen = TypeVar("Seen")


class Watched:
    """A guardian over a program that ends with `words` for as long as there are any."""

    def __init__(self, folder: Path) -> None:
        self._data, self.status_path = folder / "data", folder / "status" / "postgres.status"
        self._data.mkdir()
        self.status_path.parent.mkdir()
        self.socket_dir = folder / "run"
        self.program = folder / "postgres"
        self.program.write_text(_SERVER)
        self.program.chmod(0o755)

    def say(self, words: str | None) -> None:
        path = self._data / "words"
        path.unlink() if words is None else path.write_text(f"{words}\n")

    def starts(self) -> int:
        path = self._data / "starts"
        return len(path.read_text().splitlines()) if path.exists() else 0

    def reaches(self, state: str) -> ClusterStatus:
        def look() -> ClusterStatus | None:
            said = read_status(self.status_path)
            return said if said is not None and said.state == state else None

        return wait_for(look)

    @contextlib.contextmanager
    def running(self) -> Iterator["subprocess.Popen[bytes]"]:
        orders = guardian.Orders(
            parent_pid=os.getpid(),
            postgres=str(self.program),
            data=str(self._data),
            uuid="none",
            uid=os.geteuid(),
            gid=os.getegid(),
            port=0,
            socket_dir=str(self.socket_dir),
            status_path=str(self.status_path),
            log_path=str(self._data / "log"),
        )
        process = subprocess.Popen(
            [sys.executable, "-c", _IN_A_HURRY, json.dumps(dataclasses.asdict(orders))],
            stdin=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        assert process.stdin is not None
        with process.stdin:
            try:
                yield process
            finally:
                process.stdin.close()
                process.wait(PATIENCE_S)


def wait_for(look: Callable[[], Seen | None]) -> Seen:
    deadline = time.monotonic() + PATIENCE_S
    while not (seen := look()):
        assert time.monotonic() < deadline, "it never came about"
        time.sleep(0.01)
    return seen


def test_it_imports_nothing_but_the_standard_library() -> None:
    command = [sys.executable, "-S", "-c", _NAMES_OF_STRANGERS]
    source_root = Path(guardian.__file__).parents[4]
    done = subprocess.run(
        command, env={"PYTHONPATH": str(source_root)}, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == []


def test_its_log_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guardian, "LOG_BYTES_MAX", 1_000)
    log = guardian.BoundedLog(tmp_path / "postgres.log")
    for number in range(1_000):
        log.write(f"line {number}\n".encode())
    sizes = {path.name: path.stat().st_size for path in tmp_path.iterdir()}
    assert sizes.keys() == {"postgres.log", "postgres.log.1"}
    assert sum(sizes.values()) < 2_100
    assert log.tail().splitlines() == [
        f"line {number}" for number in range(1_000 - guardian.TAIL_LINES_MAX, 1_000)
    ]


def test_a_log_that_cannot_be_written_does_not_stop_the_watch(tmp_path: Path) -> None:
    log = guardian.BoundedLog(tmp_path / "no such folder" / "postgres.log")
    log.write(b"FATAL: out of luck\n")
    assert log.tail().startswith("FATAL: out of luck\n(the log could not be written")


def test_the_status_is_read_as_written_and_rubbish_is_nothing(tmp_path: Path) -> None:
    path = tmp_path / "postgres.status"
    assert read_status(path) is None
    status = ClusterStatus("ready", 1, 2, 5432, "/run/x", restarts=3, reason="because")
    write_status(path, status)
    assert read_status(path) == status
    for rubbish in ("{", "[]", '{"state": "ready"}'):
        path.write_text(rubbish)
        assert read_status(path) is None


@pytest.mark.parametrize("words", ["No space left on device", "Disk quota exceeded"])
def test_a_server_without_room_is_tried_until_there_is_some(tmp_path: Path, words: str) -> None:
    watched = Watched(tmp_path)
    watched.say(f"FATAL: could not write to file: {words}")
    with watched.running():
        wait_for(lambda: watched.starts() > guardian.RESTARTS_MAX + 2)
        watched.say(None)
        assert watched.reaches("ready").restarts > guardian.RESTARTS_MAX


def test_a_server_that_ends_for_another_reason_is_given_up(tmp_path: Path) -> None:
    watched = Watched(tmp_path)
    watched.say("FATAL: no such setting")
    with watched.running() as process:
        assert process.wait(PATIENCE_S) == 1
    assert watched.reaches("failed").reason == "FATAL: no such setting"
    assert watched.starts() == guardian.RESTARTS_MAX + 1


def test_what_cannot_be_said_now_is_said_later(tmp_path: Path) -> None:
    watched = Watched(tmp_path)
    watched.status_path.parent.rmdir()  # no word can be written, as on a full disk
    with watched.running() as process:
        wait_for(lambda: watched.starts())
        watched.status_path.parent.mkdir()
        assert watched.reaches("ready").guardian_pid == process.pid


def test_a_program_that_is_gone_is_named(tmp_path: Path) -> None:
    watched = Watched(tmp_path)
    watched.program.unlink()
    with watched.running() as process:
        assert process.wait(PATIENCE_S) == 1
    assert str(watched.program) in watched.reaches("failed").reason


def test_a_full_disk_of_the_log_is_none_of_the_servers(tmp_path: Path) -> None:
    """Else a server that ends for another reason would be tried for ever."""
    log = guardian.BoundedLog(tmp_path / "no such folder" / "postgres.log")
    log.write(b"FATAL: out of luck\n")
    assert log.tells_of(("out of luck",))
    assert not log.tells_of(("No such file",))
    log.forget()
    assert log.tail() == ""


def test_a_server_that_is_killed_leaves_a_reason_behind(tmp_path: Path) -> None:
    watched = Watched(tmp_path)
    with watched.running():
        before = watched.reaches("ready")
        assert before.reason == ""
        os.kill(before.postmaster_pid, signal.SIGKILL)
        wait_for(lambda: watched.reaches("ready").restarts == 1)
        assert watched.reaches("ready").reason == "(it was ended by signal 9)"


@pytest.mark.parametrize("folder_too", [False, True])
def test_a_server_whose_socket_is_removed_is_started_again(
    tmp_path: Path, folder_too: bool
) -> None:
    watched = Watched(tmp_path)
    with watched.running():
        before = watched.reaches("ready")
        socket = watched.socket_dir / f".s.PGSQL.{before.port}"
        if folder_too:
            watched.socket_dir.rename(tmp_path / "elsewhere")  # at one stroke, as it starts at once
        else:
            socket.unlink()
        after = wait_for(lambda: (now := watched.reaches("ready")).restarts and now)
        assert after.postmaster_pid != before.postmaster_pid
        assert after.reason == f"(its socket is gone: {socket})"


CRASH = "server process (PID 77) was terminated by signal 9: Killed"


def test_a_crash_of_a_backend_is_passed_on(tmp_path: Path) -> None:
    watched = Watched(tmp_path)
    (tmp_path / "data" / "more").write_text(f"AT [7] LOG:  {CRASH}\n")
    with watched.running():
        said = wait_for(lambda: (now := watched.reaches("ready")).crashes and now)
    assert (said.crashes, said.crash, said.restarts) == (1, CRASH, 0)


def test_a_line_that_comes_in_pieces_is_one(tmp_path: Path) -> None:
    log = guardian.BoundedLog(tmp_path / "postgres.log")
    for piece in (f"LOG:  {CRASH[:9]}", f"{CRASH[9:]}\nLOG:  and", f" then\nLOG:  {CRASH}"):
        log.write(piece.encode())
    assert (log.crashes, log.crash) == (1, CRASH), "the second is not whole yet"


def test_a_reason_is_short_and_has_no_statement() -> None:
    words = ["AT [7] a@b PANIC:  no room", "AT [7] a@b STATEMENT:  SELECT 1", "\tFROM x", "\t, y"]
    told = guardian.useful_end([*words, "AT [7] LOG:  bye", "\tand more"])
    assert told == "AT [7] a@b PANIC:  no room\nAT [7] LOG:  bye\n\tand more"
    many = [f"line {number} " + "x" * 90 for number in range(100)]
    told = guardian.useful_end(many)
    assert told.splitlines() == many[-len(told.splitlines()) :]
    assert len(told) <= guardian.REASON_CHARS_MAX < len(told) + 100
    assert guardian.useful_end(["y" * 9_000]) == "y" * guardian.REASON_CHARS_MAX
