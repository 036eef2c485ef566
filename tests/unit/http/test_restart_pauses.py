"""How a supervisor waits before it starts workers again."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from tenantry.entrypoints.http import supervisor as supervising
from tenantry.entrypoints.http.end_signals import EndSignals


class Fleet(supervising._Fleet):
    """Starts no processes; notes what it is asked to start."""

    def __init__(self, workers: int, *, dead: bool) -> None:
        nothing: Any = None
        super().__init__(nothing, nothing, nothing, nothing, nothing)
        for number in range(workers):
            pipe, process = SimpleNamespace(closed=dead), SimpleNamespace(pid=number)
            one: Any = SimpleNamespace(pipe=pipe, process=process, ready=not dead)
            self.workers[number] = one
        self.asked_for: list[int] = []

    def spawn(self, number: int) -> None:
        self.asked_for.append(number)
        raise OSError(24, "Too many open files")


@pytest.fixture
def signals() -> Iterator[EndSignals]:
    with EndSignals() as made:
        yield made


@pytest.fixture
def pauses_s(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    found: list[float] = []
    monkeypatch.setattr(EndSignals, "pause", lambda _, seconds: found.append(seconds))
    return found


def test_who_is_told_to_end_while_workers_are_down_starts_none_of_them(
    signals: EndSignals,
) -> None:
    signals._ask()
    fleet = Fleet(3, dead=True)
    supervising._replace(fleet, signals)
    assert fleet.asked_for == []


def test_each_that_died_is_started_after_a_pause(
    signals: EndSignals, pauses_s: list[float]
) -> None:
    fleet = Fleet(3, dead=True)
    supervising._replace(fleet, signals)
    assert (fleet.asked_for, pauses_s) == ([0, 1, 2], [supervising.RESTART_PAUSE_S] * 3)


def test_a_successor_that_cannot_be_started_is_not_tried_over_and_over(
    signals: EndSignals, pauses_s: list[float]
) -> None:
    fleet = Fleet(2, dead=False)
    supervising._advance_roll(fleet, signals, [1])
    assert (fleet.asked_for, pauses_s) == ([2], [supervising.RESTART_PAUSE_S])
    assert fleet.roll is None
