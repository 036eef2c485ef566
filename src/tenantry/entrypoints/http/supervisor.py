"""Worker processes around shared listening sockets: started, watched, ended together.

The sockets are bound once, here, so that a taken port is one clear error and no worker's death
loses a connection that waits to be accepted. Workers are spawned, not forked: nothing of this
process (threads, pools, a supervised PostgreSQL) leaks into them. A worker ends when this process
does, however it ends.
"""

from __future__ import annotations

import contextlib
import logging
import math
import multiprocessing
import signal
import socket
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Final

from tenantry.config import variable_of
from tenantry.entrypoints.http.end_signals import EndSignals
from tenantry.entrypoints.http.metrics import cells_for, forget_living, note_death, note_serving
from tenantry.entrypoints.http.serving import (
    END_SLACK_S,
    RENEWED,
    ROLL,
    MakeServices,
    ServeSettings,
)
from tenantry.entrypoints.http.tls_watch import TlsWatch
from tenantry.entrypoints.http.wire.listeners import Listeners, bind
from tenantry.entrypoints.http.worker_ends import ended
from tenantry.entrypoints.loading import loading
from tenantry.entrypoints.restart_pause import RestartPause

_log = logging.getLogger(__name__)

WORKERS_MAX: Final = 256
START_S: Final = 60.0  # for a worker to say that it serves; twice as long after each that was late
START_MAX_S: Final = 600.0
RESTART_PAUSE_MAX_S: Final = 15.0  # before one that died, or could not be started, is started
SERVED_WELL_S: Final = 0.5  # after which a worker's death is no sign that its successor dies too
# A terminal tells its whole group; the supervisor alone decides when workers end.
_OF_THE_GROUP: Final = (signal.SIGINT, signal.SIGHUP)


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where the workers listen, with the ports that were really taken."""

    http_url: str
    https_url: str
    admin_url: str
    ca_bundle: Path


class StartFailed(Exception):
    """A worker could not start; the message is one line."""


def _pause() -> RestartPause:
    return RestartPause(RESTART_PAUSE_MAX_S, SERVED_WELL_S)


@dataclass(slots=True)
class _Worker:
    process: BaseProcess
    pipe: Connection
    start_s: float
    started_by: float
    pause: RestartPause  # its successors' too
    ready: bool = False
    ready_at: float = math.inf
    again_at: float = 0.0  # once it died
    is_late: bool = False  # and was killed for it
    ends_by: float = 0.0  # of one that rolls


@dataclass(slots=True)
class _Roll:
    """Of one worker at a time: its successor first, then its own end."""

    old: int
    successor: int
    leaving: _Worker | None = None  # once the successor serves


@dataclass(slots=True)
class _Fleet:
    settings: ServeSettings
    make_services: MakeServices
    listeners: Listeners
    tls: TlsWatch
    board: Any  # shared memory of `Counters`
    workers: dict[int, _Worker] = field(default_factory=dict)
    roll: _Roll | None = None
    roll_pause: RestartPause = field(default_factory=_pause)
    roll_at: float = 0.0  # the next roll at the earliest

    def spawn(self, number: int) -> None:
        process, pipe = self.begin(number)
        before = self.workers.get(number)
        start_s = START_S
        if before is not None and before.is_late:
            start_s = min(2 * before.start_s, START_MAX_S)
        pause = _pause() if before is None else before.pause
        by = time.monotonic() + start_s
        self.workers[number] = _Worker(process, pipe, start_s, by, pause)

    def begin(self, number: int) -> tuple[BaseProcess, Connection]:
        self.look_at_tls()  # so that it serves no other certificate than they do
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(
            target=_worker_main,
            args=(
                self.settings,
                self.make_services,
                self.listeners,
                self.tls.files,
                self.board,
                number,
                theirs,
            ),
            name=f"tenantry-worker-{number}",
        )
        with _out_of_hearing():
            process.start()
        theirs.close()
        return process, ours

    def try_spawn(self, number: int, pause: RestartPause) -> float:
        """When to try again, where no process can be started now: the others serve on; else 0."""
        try:
            self.spawn(number)
        except OSError as error:
            pause_s = pause.after(0.0)
            told = "tenantry-worker-%d could not be started, and will be in %.0f s: %s"
            _log.error(told, number, pause_s, error)
            return time.monotonic() + pause_s
        return 0.0

    def look_at_tls(self) -> None:
        if self.tls.look():
            for worker in self.workers.values():
                with contextlib.suppress(OSError):  # it has just died by itself
                    worker.pipe.send(RENEWED)

    def end(self) -> None:
        """Asks all to drain, waits as long as that may take, kills who is left. Nobody new is let
        in meanwhile: a socket that anybody holds open takes connections that nobody answers."""
        self.listeners.close()
        workers = list(self.workers.values())
        if self.roll is not None and self.roll.leaving is not None:
            workers.append(self.roll.leaving)
        for worker in workers:
            worker.pipe.close()
        deadline = time.monotonic() + 2 * self.settings.drain_s + END_SLACK_S
        for worker in workers:
            worker.process.join(max(0.0, deadline - time.monotonic()))
            if worker.process.is_alive():
                _log.error("%s did not end in time and was killed", worker.process.name)
                worker.process.kill()
                worker.process.join()


def check_ports(settings: ServeSettings) -> None:
    """Raises `PortTaken` or `OSError` where `run` would, before anything else is begun."""
    open_listeners(settings, listening=False).close()


def open_listeners(settings: ServeSettings, *, listening: bool = True) -> Listeners:
    """Binds the three ports. Raises `PortTaken` or `OSError`, having closed what it opened."""
    opened: list[socket.socket] = []
    try:
        for host, port, names in (
            (settings.host, settings.http_port, ("http_host", "http_port")),
            (settings.host, settings.https_port, ("http_host", "https_port")),
            (settings.admin_host, settings.admin_port, ("admin_host", "admin_port")),
        ):
            opened.append(_bind(host, port, names, listening))
    except OSError:
        for listener in opened:
            listener.close()
        raise
    return Listeners(*opened)


def _bind(host: str, port: int, names: Sequence[str], listening: bool) -> socket.socket:
    """`bind`; the error says which settings choose the address."""
    try:
        return bind(host, port, listening=listening)
    except OSError as error:
        chosen_by = ", ".join(variable_of(name) for name in names)
        raise type(error)(f"{error} ({chosen_by})") from None


def _utc_now() -> datetime:
    return datetime.now(UTC)


def run(
    settings: ServeSettings,
    make_services: MakeServices,
    *,
    on_ready: Callable[[Addresses], None] | None = None,
    stop: Callable[[], bool] = lambda: False,
    rolls: Callable[[], Collection[int]] = tuple,
    now: Callable[[], datetime] = _utc_now,
) -> None:
    """Serves until SIGTERM, SIGHUP, SIGINT or `stop()`. `make_services` must be picklable. A worker
    whose pid is among `rolls()` makes place for a successor, and no request is lost by that. `now`:
    by which the TLS certificate is renewed.

    Raises `PortTaken`, `TlsUnfit`, `OSError` or `StartFailed`.
    """
    assert 1 <= settings.workers <= WORKERS_MAX, f"workers are 1 to {WORKERS_MAX}"
    listeners = open_listeners(settings)
    try:
        tls = TlsWatch(settings.home, _tls_names(settings), now)
        cells = cells_for(settings.workers + 1)  # one more while one rolls
        board = multiprocessing.get_context("spawn").RawArray("Q", cells)
        fleet = _Fleet(settings, make_services, listeners, tls, board)
        with EndSignals() as signals:
            try:
                for number in range(settings.workers):
                    fleet.spawn(number)
                _watch(fleet, signals, stop, on_ready, rolls)
            finally:
                fleet.end()
    finally:
        listeners.close()


def _tls_names(settings: ServeSettings) -> tuple[str, ...]:
    """A wildcard address is no name that a client could use."""
    wildcard = settings.host in ("0.0.0.0", "::")  # noqa: S104
    return settings.tls_names if wildcard else (*settings.tls_names, settings.host)


def _watch(
    fleet: _Fleet,
    signals: EndSignals,
    stop: Callable[[], bool],
    on_ready: Callable[[Addresses], None] | None,
    rolls: Callable[[], Collection[int]],
) -> None:
    announced = False
    while not signals.asked and not stop():
        if fleet.tls.is_due():
            fleet.look_at_tls()
        pipes: dict[Any, int] = {w.pipe: n for n, w in fleet.workers.items() if not w.pipe.closed}
        for source in wait([*pipes, signals.receiver], timeout=0.2):
            if source in pipes and not signals.asked:
                _heard(fleet, pipes[source], announced)
        late = any(not w.ready and time.monotonic() > w.started_by for w in fleet.workers.values())
        if late and not announced:
            raise StartFailed(f"a worker did not start within {START_S:.0f} s")
        if not announced and all(worker.ready for worker in fleet.workers.values()):
            announced = True
            if on_ready is not None:
                on_ready(_addresses(fleet))
        if announced and not signals.asked:
            _replace(fleet, signals)
            _advance_roll(fleet, rolls())


def _replace(fleet: _Fleet, signals: EndSignals) -> None:
    """Starts anew who died, and ends who does not come to serve."""
    now = time.monotonic()
    for number, worker in list(fleet.workers.items()):
        if signals.asked:
            return
        if worker.pipe.closed:
            if now >= worker.again_at:
                worker.again_at = fleet.try_spawn(number, worker.pause)
        elif not (worker.ready or worker.is_late) and now > worker.started_by:
            worker.is_late = True
            worker.process.kill()


def _advance_roll(fleet: _Fleet, pids: Collection[int]) -> None:
    """One step of a roll, if there is one to take."""
    roll = fleet.roll
    if roll is None:
        if time.monotonic() < fleet.roll_at:
            return
        for number, worker in fleet.workers.items():
            if worker.ready and worker.process.pid in pids:
                spare = next(n for n in range(len(fleet.workers) + 1) if n not in fleet.workers)
                fleet.roll_at = fleet.try_spawn(spare, fleet.roll_pause)
                if not fleet.roll_at:
                    fleet.roll, fleet.roll_pause = _Roll(number, spare), _pause()
                return
    elif roll.leaving is None:
        if fleet.workers[roll.successor].ready:
            roll.leaving = fleet.workers.pop(roll.old)
            settings = fleet.settings
            grace_s = 2 * (settings.roll_drain_s + settings.drain_s) + END_SLACK_S
            roll.leaving.ends_by = time.monotonic() + grace_s
            with contextlib.suppress(OSError):  # it has just died by itself
                roll.leaving.pipe.send(ROLL)
    elif roll.leaving.process.exitcode is not None:
        roll.leaving.process.join()
        roll.leaving.pipe.close()
        _log.info("%s made place for a successor", roll.leaving.process.name)
        forget_living(fleet.board, roll.old)
        fleet.roll = None
    elif time.monotonic() > roll.leaving.ends_by:
        _log.error("%s did not end in time and was killed", roll.leaving.process.name)
        roll.leaving.process.kill()


def _heard(fleet: _Fleet, number: int, announced: bool) -> None:
    """A worker said that it serves, said why it cannot, or died."""
    worker = fleet.workers[number]
    try:
        message = worker.pipe.recv()
    except (EOFError, OSError):
        message = None
    if message == "ready":
        worker.ready, worker.ready_at = True, time.monotonic()
        note_serving(fleet.board, number)
        return
    worker.pipe.close()
    worker.ready = False
    worker.process.join(END_SLACK_S)
    if worker.is_late:
        message = f"{worker.process.name} was killed: it did not start in {worker.start_s:.0f} s"
    message = message or ended(worker.process)
    if not announced:
        raise StartFailed(str(message))
    has_successor = fleet.roll is not None and fleet.roll.old == number
    note_death(fleet.board, number, is_missed=not has_successor)
    if has_successor:
        _log.error("%s; its successor has been started", message)
        del fleet.workers[number]
        fleet.roll = None
        return
    now = time.monotonic()
    # One that was late has kept nobody busy: what it lacked was time, of which the next has more.
    pause_s = worker.pause.after(math.inf if worker.is_late else max(0.0, now - worker.ready_at))
    worker.again_at = now + pause_s
    _log.error("%s; it is replaced in %.0f s", message, pause_s)


def _addresses(fleet: _Fleet) -> Addresses:
    def url(scheme: str, listener: socket.socket) -> str:
        host, port = listener.getsockname()[:2]
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104
        return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"

    sockets = fleet.listeners
    return Addresses(
        url("http", sockets.http),
        url("https", sockets.https),
        url("http", sockets.admin),
        fleet.tls.files.ca_bundle,
    )


@contextlib.contextmanager
def _out_of_hearing() -> Iterator[None]:
    """A process that is started within hears nothing of a terminal until it can ignore it."""
    resource_tracker.ensure_running()  # which would let them through again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _OF_THE_GROUP)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _worker_main(*given: Any) -> None:
    """In a worker's own process, which alone loads what a worker needs."""
    for number in _OF_THE_GROUP:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _OF_THE_GROUP)
    with loading():
        from tenantry.entrypoints.http.worker_process import main

    main(*given)
