"""What the operator is told of the embedded server: each change of its state once, with its reason.
That it answers again is told once a connection was made: a server may start and refuse all of them.

Owns: those lines. Does not own: what the states mean, which the guardian says (`..guardian`).
"""

import contextlib
import logging
import re
import threading
from collections.abc import Callable

from tenantry.adapters.postgres.guardian.status import (
    DISK_FULL,
    LOG_TROUBLE,
    SOCKET_GONE,
    ClusterStatus,
)

LOOK_EVERY_S = 0.5
_LAST_LINES = 10  # of a server that ended by itself, among which it says why
_PREFIX = re.compile(r"^[0-9-]{10} [0-9:.]+ \w+ \[\d+\] (\S+@\S+ )?")  # `settings.log_line_prefix`
_log = logging.getLogger(__name__)


class News:
    """Looks at the guardian's word from `start` to `stop`, in a thread of its own."""

    def __init__(
        self,
        status: Callable[[], ClusterStatus | None],
        refusal: Callable[[], str | None] = lambda: None,
    ) -> None:
        """`refusal`: why no connection can be made; empty: not yet, None: one was."""
        self._status = status
        self._refusal = refusal
        self._seen: ClusterStatus | None = None
        self._told: str | None = None  # the trouble that was told last and is not over
        self._end = threading.Event()

    def start(self) -> None:
        self._seen = self._told = None
        end = self._end = threading.Event()
        threading.Thread(target=self._run, args=(end,), name="postgres-news", daemon=True).start()

    def stop(self) -> None:
        """Whatever ends from now on is meant to."""
        self._end.set()

    def look(self) -> None:
        """Tells what is new since the last look."""
        said, seen = self._status(), self._seen
        if said is None or self._end.is_set():
            return
        self._seen = said
        if said.state == "failed":
            self._trouble("PostgreSQL kept ending and is given up: %s", said.reason)
        elif seen is None:
            return
        elif said.guardian_pid != seen.guardian_pid:
            self._trouble("PostgreSQL is started again: %s", "its guardian had ended")
        elif said.state == "restarting" or said.restarts > seen.restarts:
            self._trouble("PostgreSQL ended and is started again: %s", said.reason)
        elif said.crashes > seen.crashes:
            self._trouble(
                "a process of PostgreSQL crashed, all connections are cut: %s", said.crash
            )
        if said.state == "ready" and self._told is not None:
            refused = self._refusal()
            if refused and not self._end.is_set():
                self._trouble("PostgreSQL runs and lets nobody in: %s", refused)
            if refused is not None or self._end.is_set():
                return
            self._told = None
            often = {0: "", 1: ", after 1 restart"}
            after = often.get(said.restarts, f", after {said.restarts} restarts")
            _log.warning("PostgreSQL answers again%s", after)

    def _trouble(self, line: str, reason: str) -> None:
        """Once for each reason, however often it is met before all is well again."""
        why = main_reason(reason) or "it gave no reason"
        told = line + re.sub(r"\d+", "", why)  # names of processes and files
        if told != self._told:
            self._told = told
            _log.warning(line, why)

    def _run(self, end: threading.Event) -> None:
        while not end.wait(LOOK_EVERY_S):
            with contextlib.suppress(OSError):  # of the file, which is there again at the next look
                self.look()


def main_reason(reason: str) -> str:
    """The one of a server's last lines that says why it ended; empty where there is none."""
    lines = [_PREFIX.sub("", line.strip()) for line in reason.splitlines() if line.strip()]
    lines = [line for line in lines if not line.startswith(LOG_TROUBLE)] or lines
    for words in ((SOCKET_GONE,), DISK_FULL, ("(it was ended by signal",)):
        for line in reversed(lines):
            if any(each in line for each in words):
                return line
    for line in reversed(lines[-_LAST_LINES:]):
        if line.startswith(("PANIC:", "FATAL:")):
            return line
    return lines[-1] if lines else ""
