"""The guardian: `python -m tenantry.adapters.postgres.guardian '<orders as JSON>'`.

It starts the postmaster, starts it again when it dies, keeps its log within bounds, and shuts
it down when Tenantry ends, however that happens:

1. Tenantry asks, or its end of the pipe closes, or it is no longer our parent: fast shutdown.
2. The guardian itself is killed: the kernel sends the postmaster SIGINT, which is the same.
3. Both die with the machine: the next start finds the leftovers (`processes.end_leftovers`).

A server whose socket somebody removed is started again too: nobody new reaches it.

A postmaster that keeps dying is given up, unless it is for want of room on its disk: then it is
tried again until there is some.
"""

import contextlib
import ctypes
import dataclasses
import json
import os
import re
import select
import signal
import subprocess
import sys
import time
from collections import deque
from pathlib import Path
from types import FrameType

from tenantry.adapters.postgres.guardian import ports, processes
from tenantry.adapters.postgres.guardian.status import (
    DISK_FULL,
    LOG_TROUBLE,
    SOCKET_GONE,
    ClusterStatus,
    State,
    write_status,
)

RESTARTS_MAX = 5
RESTART_PAUSE_S = 0.1  # doubled with each restart in a row
STEADY_AFTER_S = 60.0  # a server up this long has its restarts forgiven
DISK_FULL_PAUSE_S = 5.0  # between two tries on a full disk, of which there is no end
LOG_BYTES_MAX = 8 * 1024 * 1024  # of which one older file is kept
TAIL_LINES_MAX = 40
REASON_CHARS_MAX = 2_000
# Of a client's backend or a process of the server's own; where the startup process does, all end.
_CRASH = re.compile(r"LOG:  ((?!startup)[a-z][a-z ]*\(PID [0-9]+\) was terminated by .*)")
_STATEMENT = re.compile(r"(?:^| )STATEMENT:  ")
SOCKET_GONE_S = 1.0  # a server that ends by itself removes its own, and is over by then
_TICK_S = 0.25
_STARTING_TICK_S = 0.01
_READ_BYTES = 65_536
_PR_SET_PDEATHSIG = 1  # prctl(2)


@dataclasses.dataclass(frozen=True, slots=True)
class Orders:
    """What Tenantry tells its guardian. `uid` and `gid` are PostgreSQL's."""

    parent_pid: int
    postgres: str
    data: str
    uuid: str
    uid: int
    gid: int
    port: int
    socket_dir: str
    status_path: str
    log_path: str


class Guardian:
    """Watches one postmaster until told to stop or out of restarts."""

    def __init__(self, orders: Orders) -> None:
        self._orders = orders
        self._data = Path(orders.data)
        self._port = orders.port
        self._postmaster: subprocess.Popen[bytes] | None = None
        self._log = BoundedLog(Path(orders.log_path))
        self._restarts = 0
        self._in_a_row = 0
        self._told_to_stop = False
        self._ended_by = ""  # why the server ended last
        self._socket_gone = False
        self._word: ClusterStatus | None = None  # what could not be written yet
        self._last: tuple[State, str] | None = None  # state and reason that were said last
        self._crashes_said = 0

    def run(self) -> int:
        """Serve until the end; return the exit status."""
        try:
            return self._serve()
        except Exception as problem:  # programs or data that are gone: nobody else would tell
            self._say("failed", f"{type(problem).__name__}: {problem}")
            raise

    def _serve(self) -> int:
        signal.signal(signal.SIGTERM, self._on_sigterm)
        for ignored in (signal.SIGINT, signal.SIGHUP, signal.SIGPIPE):
            signal.signal(ignored, signal.SIG_IGN)
        while not self._must_stop(0):
            self._launch()
            began = time.monotonic()
            self._attend()
            if self._told_to_stop:
                break
            if time.monotonic() - began > STEADY_AFTER_S:
                self._in_a_row = 0
            is_full = self._log.tells_of(DISK_FULL)
            self._ended_by = self._why_it_ended()
            if self._in_a_row >= RESTARTS_MAX and not is_full:
                self._say("failed", self._ended_by)
                return 1
            self._say("restarting", self._ended_by)
            self._pause(DISK_FULL_PAUSE_S if is_full else RESTART_PAUSE_S * 2**self._in_a_row)
            self._in_a_row += not is_full
            self._restarts += 1
        self._shut_down()
        self._say("stopped", "")
        return 0

    def _launch(self) -> None:
        orders = self._orders
        processes.end_leftovers(orders.uuid, orders.uid, self._data)
        self._port = ports.free_port(self._port)
        self._log.forget()
        guardian_pid = os.getpid()

        def die_with_guardian() -> None:
            # After the change of user, which would clear it, and before exec, which keeps it.
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGINT)
            if os.getppid() != guardian_pid:
                os._exit(1)

        as_root = os.geteuid() == 0
        self._make_socket_dir(as_root)
        self._postmaster = subprocess.Popen(  # noqa: S603 - verified program, no shell
            [
                orders.postgres,
                *("-D", orders.data),
                *("-c", f"cluster_name={processes.cluster_name(orders.uuid)}"),
                *("-c", f"port={self._port}"),
                *("-c", f"unix_socket_directories={orders.socket_dir}"),
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=orders.data,
            env=processes.PROGRAM_ENVIRONMENT,
            user=orders.uid if as_root else None,
            group=orders.gid if as_root else None,
            extra_groups=[] if as_root else None,
            preexec_fn=die_with_guardian,  # safe: this process has one thread
            start_new_session=True,
        )
        self._say("starting", self._ended_by)

    def _make_socket_dir(self, as_root: bool) -> None:
        """Where somebody removed it; it was checked when Tenantry started."""
        orders = self._orders
        with contextlib.suppress(OSError):  # the server says why it cannot use it
            Path(orders.socket_dir).mkdir(mode=0o700)
            if as_root:
                os.chown(orders.socket_dir, orders.uid, orders.gid)

    def _why_it_ended(self) -> str:
        """The server's last words, and the signal that ended it where one did."""
        assert self._postmaster is not None
        code = self._postmaster.returncode
        last = [f"(it was ended by signal {-code})"] if code is not None and code < 0 else []
        if self._socket_gone:
            last = [f"{SOCKET_GONE}: {self._socket()})"]
        return useful_end([*self._log.tail().splitlines(), *last])

    def _socket(self) -> Path:
        return Path(self._orders.socket_dir, f".s.PGSQL.{self._port}")

    def _attend(self) -> None:
        """Pump the log until the postmaster ends or we must."""
        assert self._postmaster is not None
        ready = self._socket_gone = False
        seen_at = 0.0  # the socket
        while self._postmaster.poll() is None:
            if self._must_stop(_TICK_S if ready else _STARTING_TICK_S):
                return
            if not ready and processes.is_ready(self._data, self._postmaster.pid):
                ready, seen_at = True, time.monotonic()
                self._say("ready", self._ended_by)
            elif ready and self._socket().exists():
                seen_at = time.monotonic()
            elif ready and time.monotonic() - seen_at > SOCKET_GONE_S:
                self._socket_gone = True
                self._shut_down()
        self._pump(0)

    def _must_stop(self, wait_s: float) -> bool:
        """Wait for news from either side; whether Tenantry has ended or wants us to."""
        self._pump(wait_s)
        if self._log.crashes != self._crashes_said and self._last is not None:
            self._say(*self._last)
        if self._word is not None:
            self._write_word()
        if os.getppid() != self._orders.parent_pid:
            self._told_to_stop = True
        return self._told_to_stop

    def _pump(self, wait_s: float) -> None:
        """Wait for Tenantry's word or the server's log, and take what came."""
        orders = [] if self._told_to_stop else [sys.stdin]
        output = self._postmaster.stdout if self._postmaster else None
        outputs = [] if output is None or output.closed else [output]
        readable, _, _ = select.select([*orders, *outputs], [], [], wait_s)
        if sys.stdin in readable:  # a byte or the end of the pipe: both mean stop
            self._told_to_stop = True
        if output is not None and output in readable:
            chunk = os.read(output.fileno(), _READ_BYTES)
            if chunk:
                self._log.write(chunk)
            else:
                output.close()

    def _pause(self, pause_s: float) -> None:
        deadline = time.monotonic() + pause_s
        while time.monotonic() < deadline and not self._must_stop(0):
            time.sleep(_STARTING_TICK_S)

    def _shut_down(self) -> None:
        """End the postmaster: fast, then immediate; what is left after that is killed."""
        postmaster = self._postmaster
        stages = (
            (signal.SIGINT, processes.FAST_SHUTDOWN_S),
            (signal.SIGQUIT, processes.IMMEDIATE_SHUTDOWN_S),
        )
        for sign, patience_s in stages:
            if postmaster is None or postmaster.poll() is not None:
                break
            postmaster.send_signal(sign)
            deadline = time.monotonic() + patience_s
            while postmaster.poll() is None and time.monotonic() < deadline:
                self._pump(_STARTING_TICK_S)
        processes.end_leftovers(self._orders.uuid, self._orders.uid, self._data)
        if postmaster is not None and postmaster.poll() is None:
            postmaster.kill()  # it is ours, whatever it calls itself
            postmaster.wait()

    def _say(self, state: State, reason: str) -> None:
        self._last = state, reason
        self._crashes_said = self._log.crashes
        self._word = ClusterStatus(
            state=state,
            guardian_pid=os.getpid(),
            postmaster_pid=self._postmaster.pid if self._postmaster else 0,
            port=self._port,
            socket_dir=self._orders.socket_dir,
            restarts=self._restarts,
            reason=reason,
            crashes=self._log.crashes,
            crash=self._log.crash,
        )
        self._write_word()

    def _write_word(self) -> None:
        assert self._word is not None
        try:
            write_status(Path(self._orders.status_path), self._word)
        except OSError:  # a full disk must not stop the watch: it is said as soon as it can be
            return
        self._word = None

    def _on_sigterm(self, _signum: int, _frame: FrameType | None) -> None:
        self._told_to_stop = True


class BoundedLog:
    """The server's log: at most two files of LOG_BYTES_MAX, and the last lines in memory."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._tail: deque[str] = deque(maxlen=TAIL_LINES_MAX)
        self._trouble: OSError | None = None  # with the file, since the server began
        self._half = ""  # of a line that is not whole yet
        self.crashes = 0  # of a backend, that the log told of
        self.crash = ""  # the last

    def write(self, chunk: bytes) -> None:
        said = chunk.decode("utf-8", "replace")
        self._tail.extend(said.splitlines())
        *whole, self._half = (self._half + said).split("\n")
        self._half = self._half[-REASON_CHARS_MAX:]
        for told in filter(None, map(_CRASH.search, whole)):
            self.crashes, self.crash = self.crashes + 1, told[1]
        try:
            if self._path.exists() and self._path.stat().st_size > LOG_BYTES_MAX:
                self._path.replace(self._path.with_suffix(".log.1"))
            with self._path.open("ab") as log:
                log.write(chunk)
        except OSError as reason:  # a full disk must not stop the watch
            self._trouble = reason

    def forget(self) -> None:
        """The last lines are of a server that is over."""
        self._tail.clear()
        self._trouble = None

    def tells_of(self, words: tuple[str, ...]) -> bool:
        """Whether the server's own last lines have one of them."""
        return any(each in line for line in self._tail for each in words)

    def tail(self) -> str:
        trouble = self._trouble
        said = [] if trouble is None else [f"{LOG_TROUBLE}: {trouble})"]
        return "\n".join([*self._tail, *said])


def useful_end(lines: list[str]) -> str:
    """Of a server's last words at most REASON_CHARS_MAX, and none of a statement's: those are long,
    and may be of a tenant."""
    kept: list[str] = []
    of_statement = False
    for line in lines:
        of_statement = bool(_STATEMENT.search(line)) or (of_statement and line.startswith("\t"))
        if not of_statement:
            kept.append(line)
    said = "\n".join(kept)
    if len(said) <= REASON_CHARS_MAX:
        return said
    end = said[-REASON_CHARS_MAX:]
    return end.partition("\n")[2] or end


def main() -> int:
    """Entry: the orders are the one argument, standard input is Tenantry's pipe."""
    return Guardian(Orders(**json.loads(sys.argv[1]))).run()


if __name__ == "__main__":
    sys.exit(main())
