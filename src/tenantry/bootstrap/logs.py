"""What a long process writes on stderr: a line for each event, with its time, level and place.

Owns: the form, and that no event fills the log by coming again. Does not own: what is worth a line.
Levels below WARNING are not written. Whose request an event was of is the record's `about` (given
as `extra`): it ends the line, and does not make it another one.
"""

from __future__ import annotations

import atexit
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Final

FOLD_S: Final = 10.0  # a line that comes again within it is counted
LINES_MAX: Final = 100  # of one module that are told apart in that time
LINE_CHARS_MAX: Final = 2_000  # by which they are
# Libraries whose loggers tell of the world, not of a fault of ours: what they met is enough.
_OF_THE_WORLD = ("asyncpg",)
_OF_POOLS: Final = "asyncpg.pool"  # it tells in its own words of outages that we tell of


class EventLine(logging.Formatter):
    """`2026-11-29T07:05:50Z WARNING tenantry.entrypoints.rounds[4711] …`; a fault of ours is
    followed by its traceback. `env`, where it is given, is told after the process.
    """

    def __init__(self, env: str = "") -> None:
        super().__init__()
        told = "".join(c if c.isprintable() else " " for c in env).split()
        self._env = f" env={' '.join(told)}" if told else ""

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC)
        said = " ".join(record.getMessage().split("\n"))
        if about := _about(record):
            said += f" ({about})"
        place = f"{record.name}[{os.getpid()}]{self._env}"
        line = f"{at:%Y-%m-%dT%H:%M:%SZ} {record.levelname} {place} {said}"
        failure = record.exc_info[1] if record.exc_info else None
        if failure is None:
            return line
        if record.name.partition(".")[0] in _OF_THE_WORLD and isinstance(failure, Exception):
            return f"{line}: {' '.join(str(failure).split()) or type(failure).__name__}"
        assert record.exc_info is not None
        return f"{line}\n{self.formatException(record.exc_info)}"


class Folded(logging.Filter):
    """Lets a line through once; when FOLD_S are over, `… 312 more: ` and the line tells how often
    it has come since, for as long as it comes. Clients can cause most lines as often as they ask.
    A count is about the first that it counts.

    Past LINES_MAX different lines of a module only their number is told. `tell` writes a record
    and asks us, who let counts through; `later` calls back after so many seconds.
    """

    def __init__(
        self,
        tell: Callable[[logging.LogRecord], object],
        monotonic: Callable[[], float] = time.monotonic,
        later: Callable[[float, Callable[[], None]], None] | None = None,
    ) -> None:
        super().__init__()
        self._tell = tell
        self._monotonic = monotonic
        self._later = later or _in_a_thread
        self._lock = threading.Lock()
        self._modules: dict[str, _Module] = {}
        self._ends = 0.0  # of the time in which lines are counted
        self._is_awaited = False  # `end` will be called then

    def filter(self, record: logging.LogRecord) -> bool:
        if getattr(record, "is_count", False):
            return True
        if self._monotonic() >= self._ends:
            self.end()
        key = _key(record)
        with self._lock:
            if self._modules.setdefault(record.name, _Module()).is_new(key, record):
                return True
            is_awaited, self._is_awaited = self._is_awaited, True
            left_s = self._ends - self._monotonic()
        if not is_awaited:
            self._later(max(left_s, 0.0), self.end)
        return False

    def end(self) -> None:
        """Tells the counts, and begins anew with the lines that still come."""
        with self._lock:
            self._is_awaited = False
            self._ends = self._monotonic() + FOLD_S
            counts = [
                _count(name, *told)
                for name, module in self._modules.items()
                for told in module.counts()
            ]
            going_on = {name: module.going_on() for name, module in self._modules.items()}
            self._modules = {name: module for name, module in going_on.items() if module.lines}
        for record in counts:
            self._tell(record)


@dataclass(slots=True)
class _Line:
    """A line that was let through, and how often it has come since."""

    level: int
    said: str
    more: int = 0
    about: str = ""  # of the first that is counted


@dataclass(slots=True)
class _Module:
    """The lines of one logger."""

    lines: dict[tuple[object, ...], _Line] = field(default_factory=dict)
    others: int = 0  # past LINES_MAX

    def is_new(self, key: tuple[object, ...], record: logging.LogRecord) -> bool:
        known = self.lines.get(key)
        if known is not None:
            known.about = known.about if known.more else _about(record)
            known.more += 1
        elif len(self.lines) >= LINES_MAX:
            self.others += 1
        else:
            self.lines[key] = _Line(record.levelno, _said(record))
            return True
        return False

    def counts(self) -> Iterator[tuple[int, str, str]]:
        """Level, text, and what it is about."""
        for line in self.lines.values():
            if line.more:
                yield line.level, f"… {line.more} more: {line.said}", line.about
        if self.others:
            yield logging.WARNING, f"… {self.others} more lines of other words", ""

    def going_on(self) -> _Module:
        """What is left of it when the time is over: the lines that have come again."""
        return _Module({k: replace(v, more=0) for k, v in self.lines.items() if v.more})


def log_events(env: str = "") -> None:
    """From now on in this process; whoever has set up logging otherwise keeps it. `env`: see
    `EventLine`."""
    logging.getLogger(_OF_POOLS).setLevel(logging.CRITICAL)
    last = logging.lastResort
    if last is None:
        return
    last.setFormatter(EventLine(env))
    if not any(isinstance(each, Folded) for each in last.filters):
        folded = Folded(last.handle)
        last.addFilter(folded)
        atexit.register(folded.end)


def _key(record: logging.LogRecord) -> tuple[object, ...]:
    """A fault of ours is another one where it is of another kind or at another place."""
    said = record.getMessage()[:LINE_CHARS_MAX]
    if not record.exc_info or record.exc_info[0] is None:
        return record.name, record.levelno, said
    kind, _, trace = record.exc_info
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = trace and (trace.tb_frame.f_code.co_filename, trace.tb_lineno)
    return record.name, record.levelno, said, kind.__name__, place


def _said(record: logging.LogRecord) -> str:
    said = record.getMessage()[:LINE_CHARS_MAX]
    kind = record.exc_info[0] if record.exc_info else None
    return said if kind is None else f"{said} ({kind.__name__})"


def _about(record: logging.LogRecord) -> str:
    return str(getattr(record, "about", ""))


def _count(name: str, level: int, said: str, about: str) -> logging.LogRecord:
    record = logging.LogRecord(name, level, __file__, 0, said, (), None)
    record.is_count, record.about = True, about
    return record


def _in_a_thread(seconds: float, call: Callable[[], None]) -> None:
    timer = threading.Timer(seconds, call)
    timer.daemon = True
    timer.start()
