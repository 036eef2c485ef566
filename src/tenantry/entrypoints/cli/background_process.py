"""`tenantry worker` as a process beside the gateway: started again where it dies."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Final, Self

from tenantry.application.round_facts import STANDS_STILL_S, stands_still
from tenantry.entrypoints.restart_pause import RestartPause
from tenantry.ports.round_marks import LastRound

RESTART_PAUSE_MAX_S: Final = 60.0  # before one that ended is replaced
LIVED_WELL_S: Final = 60.0  # after which its end is no sign that its successor ends too
STOP_S: Final = 30.0  # then it is killed
LOOK_EVERY_S: Final = 10.0  # whether its rounds still end
_COMMAND: Final = ("-m", "tenantry.entrypoints.cli.main", "worker", "--exit-with-parent")
_log = logging.getLogger(__name__)


class BackgroundProcess:
    """Runs for as long as the block does; without it nothing sweeps and nothing is trued up.

    One that ends no round any more is told once, and left to who knows why: see `last_rounds`.
    """

    def __init__(
        self,
        last_rounds: Callable[[], Sequence[LastRound]],
        look_every_s: float = LOOK_EVERY_S,
    ) -> None:
        self._last_rounds = last_rounds
        self._look_every_s = look_every_s
        self._stop = threading.Event()
        self._turn = threading.Lock()  # of starting and of ending
        self._process: subprocess.Popen[bytes] | None = None
        self._watcher = threading.Thread(target=self._watch, name="worker-watch", daemon=True)

    def __enter__(self) -> Self:
        self._start()
        self._watcher.start()
        threading.Thread(target=self._look, name="worker-look", daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._turn:
            self._stop.set()
            process = self._process
        assert process is not None, "it was started"
        process.terminate()
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            _log.error("the background worker did not end within %.0f s and was killed", STOP_S)
            process.kill()
        self._watcher.join()

    def _start(self) -> subprocess.Popen[bytes] | None:
        """The process; None where the block has ended."""
        with self._turn:
            if self._stop.is_set():
                return None
            # In a session of its own: what a terminal tells the whole group, we tell it in turn.
            # It is told who we are: we may have died by the time when it could look.
            command = [sys.executable, "-P", *_COMMAND, "--parent", str(os.getpid())]
            self._process = subprocess.Popen(command, start_new_session=True)  # noqa: S603 - our own
            return self._process

    def _look(self) -> None:
        told = False
        while not self._stop.wait(self._look_every_s):
            still = stands_still(self._last_rounds(), time.time())
            if still and not told:
                _log.error(
                    "the background worker has ended no round for %.0f s: it hangs, or none can be"
                    " done",
                    STANDS_STILL_S,
                )
            told = still

    def _watch(self) -> None:
        process = self._process
        pause = RestartPause(RESTART_PAUSE_MAX_S, LIVED_WELL_S)
        while process is not None:
            began_s = time.monotonic()
            status = process.wait()
            if self._stop.wait(pause.after(time.monotonic() - began_s)):
                return
            _log.error("the background worker ended with status %d; it is replaced", status)
            try:
                process = self._start()
            except OSError as error:  # no memory, no file: it is tried again
                _log.error("the background worker could not be started: %s", error)
