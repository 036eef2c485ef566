"""Counts of requests, shared by the workers of one machine.

One row of unsigned 64-bit cells for each worker, written by it alone, but for what only its
supervisor sees; `/metrics` adds the rows up, whichever worker is asked. Labels are route templates,
never a tenant's words.
"""

from __future__ import annotations

from collections.abc import Mapping, MutableSequence, Sequence
from datetime import datetime, timedelta
from typing import Final

from tenantry.domain.alert import SEVERITIES
from tenantry.ports.model import OUTCOMES
from tenantry.ports.round_marks import LastRound

STATUS_CLASSES: Final = ("2xx", "3xx", "4xx", "5xx")
ATTEMPT_STATES: Final = ("open", "unknown", "batch")
LABELS_MAX: Final = 256  # so that who makes the board need not load the routes
_PER_ROUTE: Final = len(STATUS_CLASSES) + 1  # and the microseconds that its answers took
_ATTEMPTS: Final = LABELS_MAX * _PER_ROUTE  # the first of those of attempts by outcome
# The next two are written by who watches the worker.
_DEATHS: Final = _ATTEMPTS + len(OUTCOMES)
_DOWN: Final = _DEATHS + 1  # 1 from its death until its successor serves
# The last cells of a row are of a worker that lives.
_IN_FLIGHT: Final = _DOWN + 1  # requests begun and not ended
_TLS_ENDS: Final = _IN_FLIGHT + 1  # Unix seconds; 0: it serves no TLS
_ROW_CELLS: Final = _TLS_ENDS + 1


def cells_for(workers: int) -> int:
    """How many cells the board needs."""
    return _ROW_CELLS * workers


def forget_living(board: MutableSequence[int], worker: int) -> None:
    """What a worker had in flight, and its certificate, ended with it."""
    for cell in (_IN_FLIGHT, _TLS_ENDS):
        board[worker * _ROW_CELLS + cell] = 0


def note_death(board: MutableSequence[int], worker: int, *, is_missed: bool) -> None:
    """It ended though nobody told it to. `is_missed`: nobody serves in its place."""
    forget_living(board, worker)
    board[worker * _ROW_CELLS + _DEATHS] += 1
    board[worker * _ROW_CELLS + _DOWN] = int(is_missed)


def note_serving(board: MutableSequence[int], worker: int) -> None:
    board[worker * _ROW_CELLS + _DOWN] = 0


class Counters:
    """The board as one worker sees it, which begins with nothing in flight."""

    def __init__(self, board: MutableSequence[int], templates: Sequence[str], worker: int) -> None:
        self._board = board
        self._labels = (*templates, "none")  # the last for what matched no route
        self._start = worker * _ROW_CELLS
        self._index = {label: number for number, label in enumerate(self._labels)}
        assert len(self._labels) <= LABELS_MAX, "more routes than the board has room for"
        self._in_flight = self._start + _IN_FLIGHT
        first = self._start + _ATTEMPTS
        self._attempts = {outcome: first + number for number, outcome in enumerate(OUTCOMES)}
        forget_living(board, worker)

    def begin(self) -> None:
        self._board[self._in_flight] += 1

    def end(self, label: str | None, status: int, duration_s: float) -> None:
        self._board[self._in_flight] -= 1
        cell = self._start + self._index[label or "none"] * _PER_ROUTE
        self._board[cell + min(max(status // 100 - 2, 0), 3)] += 1
        self._board[cell + _PER_ROUTE - 1] += int(duration_s * 1_000_000)

    def tls_ends(self, at: datetime) -> None:
        """Of the certificate that this worker serves from now on."""
        self._board[self._start + _TLS_ENDS] = max(0, int(at.timestamp()))

    def attempted(self, outcome: str) -> None:
        """An attempt at Bedrock has ended, with one of `OUTCOMES`."""
        self._board[self._attempts[outcome]] += 1

    def exposition(self) -> str:
        """Prometheus text format 0.0.4."""
        counts = _head("tenantry_http_requests_total", "counter", "Requests that were answered.")
        times = _head(
            "tenantry_http_request_seconds_total", "counter", "Seconds that their answers took."
        )
        for number, label in enumerate(self._labels):
            cell = number * _PER_ROUTE
            sums = [sum(self._board[cell + offset :: _ROW_CELLS]) for offset in range(_PER_ROUTE)]
            if not any(sums):
                continue
            method, _, path = label.partition(" ")
            for name, count in zip(STATUS_CLASSES, sums, strict=False):
                labels = f'method="{method}",route="{path}",status="{name}"'
                counts.append(f"tenantry_http_requests_total{{{labels}}} {count}")
            labels = f'method="{method}",route="{path}"'
            times.append(f"tenantry_http_request_seconds_total{{{labels}}} {sums[-1] / 1e6:.6f}")
        about = "Requests that are not answered to their end, with the one that asks this."
        flying = _head("tenantry_http_requests_in_flight", "gauge", about)
        count = sum(self._board[_IN_FLIGHT::_ROW_CELLS])
        flying.append(f"tenantry_http_requests_in_flight {count}")
        of_http = (*counts, *times, *flying)
        of_workers = (*self._attempts_exposition(), *self._workers_exposition())
        return "\n".join((*of_workers, *of_http, *self._tls_exposition())) + "\n"

    def _workers_exposition(self) -> list[str]:
        down, deaths = (sum(self._board[cell::_ROW_CELLS]) for cell in (_DOWN, _DEATHS))
        about = "Gateway workers of this machine that died and have no successor that serves."
        name, count = "tenantry_workers_down", "tenantry_worker_deaths_total"
        lines = [*_head(name, "gauge", about), f"{name} {down}"]
        about = "Gateway workers of this machine that ended though nobody told them to."
        return [*lines, *_head(count, "counter", about), f"{count} {deaths}"]

    def _attempts_exposition(self) -> list[str]:
        """With those that never came: a series that begins at 1 has no increase."""
        about = "Attempts at Bedrock, by what came of them."
        lines = _head("tenantry_upstream_attempts_total", "counter", about)
        for number, outcome in enumerate(OUTCOMES):
            count = sum(self._board[_ATTEMPTS + number :: _ROW_CELLS])
            lines.append(f'tenantry_upstream_attempts_total{{outcome="{outcome}"}} {count}')
        return lines

    def _tls_exposition(self) -> list[str]:
        ends = [at for at in self._board[_TLS_ENDS::_ROW_CELLS] if at]
        if not ends:
            return []
        name = "tenantry_tls_certificate_end_timestamp_seconds"
        about = (
            "When the TLS certificate ends, in Unix time; the first of those that workers serve."
        )
        return [*_head(name, "gauge", about), f"{name} {min(ends)}"]


def alerts_exposition(raised: Mapping[tuple[str, str], int]) -> str:
    """Alerts by kind and severity, as the database counts them for all processes.

    Those that were never raised are there too: a series that begins at 1 has no increase.
    """
    lines = _head("tenantry_alerts_total", "counter", "Alerts that were raised.")
    never = {(kind, str(one)): 0 for kind, several in SEVERITIES.items() for one in several}
    for (kind, severity), count in sorted({**never, **raised}.items()):
        lines.append(f'tenantry_alerts_total{{kind="{kind}",severity="{severity}"}} {count}')
    return "\n".join(lines) + "\n"


def attempts_exposition(found: Mapping[str, tuple[int, float]]) -> str:
    """Attempts that have not ended, as the database counts them for all processes, by state."""
    name, age = "tenantry_attempts", "tenantry_attempts_oldest_age_seconds"
    counts = _head(name, "gauge", "Attempts that have not ended.")
    ages = _head(age, "gauge", "Since when the oldest of them has begun; 0 where there is none.")
    for state in ATTEMPT_STATES:
        count, oldest_s = found.get(state, (0, 0.0))
        counts.append(f'{name}{{state="{state}"}} {count}')
        ages.append(f'{age}{{state="{state}"}} {oldest_s:.3f}')
    return "\n".join((*counts, *ages)) + "\n"


def rounds_exposition(rounds: Sequence[LastRound]) -> str:
    """When each round of the background worker last ended, and how often it failed; nothing where
    none works here."""
    if not rounds:
        return ""
    name, period, failures = (
        "tenantry_background_last_round_timestamp_seconds",
        "tenantry_background_round_period_seconds",
        "tenantry_background_round_failures_total",
    )
    ends = _head(name, "gauge", "When a round of the background worker last ended, in Unix time.")
    periods = _head(period, "gauge", "The pause after a round.")
    failed = _head(failures, "counter", "Rounds of the background worker that failed.")
    for each in rounds:
        label = f'{{round="{_escaped(each.name)}"}}'
        ends.append(f"{name}{label} {each.at_s:.3f}")
        periods.append(f"{period}{label} {each.every_s:g}")
        failed.append(f"{failures}{label} {each.failures}")
    return "\n".join((*ends, *periods, *failed)) + "\n"


def info_exposition(env: str, version: str) -> str:
    """What this deployment is called, and what it runs."""
    lines = _head("tenantry_info", "gauge", "1, with what this deployment is in its labels.")
    labels = f'env="{_escaped(env)}",version="{_escaped(version)}"'
    return "\n".join((*lines, f"tenantry_info{{{labels}}} 1")) + "\n"


def ledger_exposition(reachable: bool) -> str:
    """Whether the worker that was asked can admit requests."""
    about = "1 where this worker reaches the ledger's database and can admit, else 0."
    lines = _head("tenantry_ledger_up", "gauge", about)
    return "\n".join((*lines, f"tenantry_ledger_up {int(reachable)}")) + "\n"


def disks_exposition(free: Mapping[str, int]) -> str:
    """How much may be written to the disks that this deployment fills, by what lies there."""
    name = "tenantry_disk_free_bytes"
    about = "Bytes that may still be written to the disk of the data folder, or of the database."
    lines = [f'{name}{{of="{of}"}} {count}' for of, count in sorted(free.items())]
    return "\n".join((*_head(name, "gauge", about), *lines)) + "\n"


def clock_exposition(ahead: timedelta) -> str:
    """How far the machine's clock is ahead of the database's."""
    name = "tenantry_clock_ahead_seconds"
    about = "By how much the clock of this machine is ahead of the database's; negative: behind."
    return "\n".join((*_head(name, "gauge", about), f"{name} {ahead.total_seconds():.3f}")) + "\n"


def _escaped(text: str) -> str:
    """As the value of a label."""
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


def _head(name: str, kind: str, about: str) -> list[str]:
    return [f"# HELP {name} {about}", f"# TYPE {name} {kind}"]
