"""How a supervisor waits before it starts workers again."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from tenantry.entrypoints.http import supervisor as supervising
from tenantry.entrypoints.http.end_signals import EndSignals
from tenantry.entrypoints.http.labels import LABELS
from tenantry.entrypoints.http.metrics import Counters, cells_for


class Pipe:
    """Of a worker that dies, or that says that it serves."""

    def __init__(self) -> None:
        self.closed = False
        self.message: str | None = None

    def recv(self) -> str:
        if self.message is None:
            raise EOFError
        return self.message

    def close(self) -> None:
        self.closed = True


class Fleet(supervising._Fleet):
    """Starts no processes; notes what it is asked to start, and when."""

    def __init__(self, workers: int, now_s: list[float]) -> None:
        nothing: Any = None
        board = [0] * cells_for(workers + 1)
        super().__init__(nothing, nothing, nothing, nothing, board)
        self.now_s = now_s
        self.fails = False
        self.started: list[tuple[int, float]] = []
        for number in range(workers):
            self.spawn(number)
            self.say(number, "ready")
        self.started.clear()

    def begin(self, number: int) -> tuple[Any, Any]:
        self.started.append((number, self.now_s[0]))
        if self.fails:
            raise OSError(24, "Too many open files")
        process = SimpleNamespace(
            name=f"tenantry-worker-{number}",
            pid=number,
            exitcode=3,
            join=lambda *_: None,
            kill=lambda: None,
        )
        return process, Pipe()

    def say(self, number: int, message: str | None) -> None:
        pipe: Any = self.workers[number].pipe
        pipe.message = message
        supervising._heard(self, number, True)

    def metrics(self) -> list[str]:
        lines = Counters(self.board, LABELS, len(self.workers)).exposition().splitlines()
        return [line for line in lines if line.startswith("tenantry_worker")]


@pytest.fixture
def signals() -> Iterator[EndSignals]:
    with EndSignals() as made:
        yield made


@pytest.fixture
def now_s(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    found = [1_000.0]
    monkeypatch.setattr(supervising, "time", SimpleNamespace(monotonic=lambda: found[0]))
    return found


def starts(fleet: Fleet, signals: EndSignals, until_s: float) -> list[tuple[int, float]]:
    """Looks ten times a second, as a supervisor does; what was started, and after what time."""
    began_s = fleet.now_s[0]
    fleet.started.clear()
    for tenth in range(1, round(until_s * 10) + 1):
        fleet.now_s[0] = began_s + tenth / 10
        supervising._replace(fleet, signals)
    return [(number, round(at_s - began_s, 1)) for number, at_s in fleet.started]


def pauses(fleet: Fleet, signals: EndSignals, deaths: int, served_s: float | None) -> list[float]:
    """Worker 0 dies so many times, each time after having served so long, or before it did."""
    found = []
    for _ in range(deaths):
        if served_s is not None:
            fleet.say(0, "ready")
            fleet.now_s[0] += served_s
        fleet.say(0, None)
        ((_, pause_s),) = starts(fleet, signals, 40)
        found.append(pause_s)
    return found


def test_who_is_told_to_end_while_workers_are_down_starts_none_of_them(
    signals: EndSignals, now_s: list[float]
) -> None:
    signals._ask()
    fleet = Fleet(3, now_s)
    for number in range(3):
        fleet.say(number, None)
    assert starts(fleet, signals, 5) == []


def test_all_that_died_after_they_had_served_are_started_after_one_pause(
    signals: EndSignals, now_s: list[float]
) -> None:
    fleet = Fleet(3, now_s)
    now_s[0] += 60
    for number in range(3):
        fleet.say(number, None)
    assert starts(fleet, signals, 5) == [(0, 1.0), (1, 1.0), (2, 1.0)]


def test_one_that_dies_at_each_start_is_started_ever_later(
    signals: EndSignals, now_s: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    fleet = Fleet(2, now_s)
    now_s[0] += 60
    assert pauses(fleet, signals, 6, None) == [1, 2, 4, 8, 15, 15]
    told = "tenantry-worker-0 (pid 0) ended by itself with status 3; it is replaced in"
    assert caplog.messages == [f"{told} {pause_s} s" for pause_s in (1, 2, 4, 8, 15, 15)]


def test_one_that_dies_soon_after_it_served_is_started_ever_later_and_a_good_one_ends_that(
    signals: EndSignals, now_s: list[float]
) -> None:
    fleet = Fleet(1, now_s)
    assert pauses(fleet, signals, 3, 0.4) == [1, 2, 4]
    assert pauses(fleet, signals, 2, supervising.SERVED_WELL_S) == [1, 1]
    assert pauses(fleet, signals, 2, None) == [2, 4]


def test_one_that_is_late_is_given_more_time_and_no_longer_pause(
    signals: EndSignals, now_s: list[float]
) -> None:
    fleet = Fleet(1, now_s)
    fleet.say(0, None)
    starts(fleet, signals, 2)
    given_s = []
    for _ in range(3):
        worker = fleet.workers[0]
        given_s.append(worker.start_s)
        now_s[0] = worker.started_by + 1
        supervising._replace(fleet, signals)
        fleet.say(0, None)
        assert starts(fleet, signals, 5) == [(0, 1.0)]
    assert given_s == [60, 120, 240]


def test_the_pauses_of_one_are_not_those_of_another(
    signals: EndSignals, now_s: list[float]
) -> None:
    fleet = Fleet(2, now_s)
    assert pauses(fleet, signals, 5, None)[-1] == 15
    fleet.say(0, None)
    fleet.say(1, None)
    assert starts(fleet, signals, 40) == [(1, 1.0), (0, 15.0)]


def test_one_that_cannot_be_started_is_tried_ever_later(
    signals: EndSignals, now_s: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    fleet = Fleet(1, now_s)
    fleet.fails = True
    fleet.say(0, None)
    assert starts(fleet, signals, 32) == [(0, 1.0), (0, 3.0), (0, 7.0), (0, 15.0), (0, 30.0)]
    assert "tenantry-worker-0 could not be started, and will be in 2 s: " in caplog.text


def test_a_successor_that_cannot_be_started_is_not_tried_over_and_over(
    now_s: list[float],
) -> None:
    fleet = Fleet(2, now_s)
    fleet.fails = True
    for tenth in range(40):
        now_s[0] = 1_000 + tenth / 10
        supervising._advance_roll(fleet, [1])
    assert fleet.started == [(2, 1_000.0), (2, 1_001.0), (2, 1_003.0)]
    assert fleet.roll is None
    fleet.fails = False
    now_s[0] += 4
    supervising._advance_roll(fleet, [1])
    assert fleet.roll is not None


def test_metrics_tell_how_many_are_down_and_how_many_died(
    signals: EndSignals, now_s: list[float]
) -> None:
    fleet = Fleet(2, now_s)
    assert fleet.metrics() == ["tenantry_workers_down 0", "tenantry_worker_deaths_total 0"]
    pauses(fleet, signals, 3, None)
    assert fleet.metrics() == ["tenantry_workers_down 1", "tenantry_worker_deaths_total 3"]
    fleet.say(0, "ready")
    assert fleet.metrics() == ["tenantry_workers_down 0", "tenantry_worker_deaths_total 3"]


def test_one_that_dies_while_its_successor_serves_is_not_missed(
    signals: EndSignals, now_s: list[float]
) -> None:
    fleet = Fleet(1, now_s)
    supervising._advance_roll(fleet, [0])
    fleet.say(1, "ready")
    fleet.say(0, None)
    assert starts(fleet, signals, 40) == []
    assert fleet.metrics() == ["tenantry_workers_down 0", "tenantry_worker_deaths_total 1"]
