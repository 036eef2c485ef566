"""What a long process writes on stderr."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Callable

import pytest

from tenantry.bootstrap.logs import FOLD_S, LINES_MAX, EventLine, Folded, log_events

HEAD = r"2026-11-29T07:05:50Z {} {}\[\d+\] "


def line_of(logger: str, level: int, said: str, failure: Exception | None = None) -> str:
    try:
        if failure is not None:
            raise failure
    except Exception:
        info = sys.exc_info()
    else:
        info = None
    record = logging.LogRecord(logger, level, "file.py", 1, said, (), info)
    record.created = 1_795_935_950.5
    return EventLine().format(record)


def test_an_event_is_one_line_with_time_level_module_and_process() -> None:
    said = line_of("tenantry.entrypoints.rounds", logging.WARNING, "it has\nto wait")
    head = HEAD.format("WARNING", "tenantry.entrypoints.rounds")
    assert re.fullmatch(head + "it has to wait", said)


def test_an_outage_that_the_driver_meets_is_one_line() -> None:
    said = line_of("asyncpg.pool", logging.ERROR, "Failed", ConnectionRefusedError(111, "refused"))
    assert re.fullmatch(
        HEAD.format("ERROR", "asyncpg.pool") + r"Failed: \[Errno 111\] refused", said
    )


def test_a_fault_of_ours_keeps_its_traceback() -> None:
    said = line_of("tenantry.x", logging.ERROR, "a round failed", KeyError("ours"))
    assert said.splitlines()[1].startswith("Traceback")
    assert said.splitlines()[-1] == "KeyError: 'ours'"


def test_a_process_that_set_up_nothing_writes_such_lines(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    last = logging.lastResort
    assert last is not None
    monkeypatch.setattr(last, "formatter", None)
    monkeypatch.setattr(last, "filters", [])
    log_events()
    last.handle(logging.LogRecord("tenantry.x", logging.ERROR, "f.py", 1, "said", (), None))
    assert re.fullmatch(
        r"[0-9-]{10}T[0-9:]{8}Z ERROR tenantry\.x\[\d+\] said\n", capsys.readouterr().err
    )


def told_of(said: str, about: str, env: str = "") -> str:
    record = logging.LogRecord("tenantry.x", logging.WARNING, "f.py", 1, said, (), None)
    record.about = about
    return EventLine(env).format(record).partition("[")[2].partition("]")[2]


def test_a_line_ends_with_whose_request_it_is_about() -> None:
    assert told_of("unavailable at /v1/search", "request r1 tenant tnt_a") == (
        " unavailable at /v1/search (request r1 tenant tnt_a)"
    )


def test_a_line_names_the_deployment_that_has_a_name() -> None:
    assert told_of("said", "", "staging 2") == " env=staging 2 said"
    assert told_of("said", "", "a\nb\x1b[1m") == " env=a b [1m said", "one line in any case"


class _Log:
    """A folding log whose time passes when a test says so."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.told: list[str] = []
        self.about: list[str] = []
        self.due: list[tuple[float, Callable[[], None]]] = []
        self._folded = Folded(self.write, lambda: self.now_s, self._later)

    def _later(self, seconds: float, call: Callable[[], None]) -> None:
        self.due.append((self.now_s + seconds, call))

    def write(self, record: logging.LogRecord) -> None:
        if self._folded.filter(record):
            self.told.append(record.getMessage())
            self.about.append(getattr(record, "about", ""))

    def say(
        self, said: str, *values: object, logger: str = "tenantry.x", about: str | None = None
    ) -> None:
        record = logging.LogRecord(logger, logging.WARNING, "f.py", 1, said, values, None)
        if about is not None:
            record.about = about
        self.write(record)

    def fail(self, said: str, failure: Exception) -> None:
        try:
            raise failure
        except Exception:
            info = sys.exc_info()
        self.write(logging.LogRecord("tenantry.x", logging.ERROR, "f.py", 1, said, (), info))

    def pass_time(self, seconds: float) -> None:
        self.now_s += seconds
        due, self.due = self.due, []
        for at, call in due:
            if at <= self.now_s:
                call()
            else:
                self.due.append((at, call))


def test_a_line_that_comes_again_is_counted_and_told_with_its_number() -> None:
    log = _Log()
    for _ in range(313):
        log.say("unavailable at %s", "/v1/chat")
        log.say("unavailable at %s", "/v1/search")
    assert log.told == ["unavailable at /v1/chat", "unavailable at /v1/search"]
    log.pass_time(FOLD_S)
    assert log.told[2:] == [
        "… 312 more: unavailable at /v1/chat",
        "… 312 more: unavailable at /v1/search",
    ]


def test_lines_about_different_requests_fold_and_the_count_keeps_the_first_that_it_counts() -> None:
    log = _Log()
    for number in range(1, 5):
        log.say("unavailable", about=f"request r{number}")
    log.pass_time(FOLD_S)
    assert log.told == ["unavailable", "… 3 more: unavailable"]
    assert log.about == ["request r1", "request r2"]
    for number in range(5, 7):
        log.say("unavailable", about=f"request r{number}")
    log.pass_time(FOLD_S)
    assert (log.told[-1], log.about[-1]) == ("… 2 more: unavailable", "request r5")


def test_a_line_that_goes_on_is_one_line_a_time_and_one_that_has_ended_none() -> None:
    log = _Log()
    for _ in range(3):
        for _ in range(100):
            log.say("out of reach")
        log.pass_time(FOLD_S)
    assert log.told == [
        "out of reach",
        "… 99 more: out of reach",
        *["… 100 more: out of reach"] * 2,
    ]
    log.pass_time(FOLD_S)
    log.pass_time(FOLD_S)
    log.say("out of reach")
    assert len(log.told) == 5, "what had ended begins anew"
    assert log.told[-1] == "out of reach"


def test_a_line_that_comes_now_and_then_is_told_each_time() -> None:
    log = _Log()
    for _ in range(3):
        log.say("a round has to wait")
        log.pass_time(FOLD_S)
    assert log.told == ["a round has to wait"] * 3


def test_many_different_lines_of_one_module_are_bounded_and_hide_none_of_another() -> None:
    log = _Log()
    for number in range(LINES_MAX + 50):
        log.say("line %d", number)
    log.say("quite another", logger="tenantry.y")
    assert len(log.told) == LINES_MAX + 1
    assert log.told[-1] == "quite another"
    log.pass_time(FOLD_S)
    assert log.told[LINES_MAX + 1 :] == ["… 50 more lines of other words"]
    log.say("line %d", LINES_MAX + 1)
    assert log.told[-1] == f"line {LINES_MAX + 1}"


def test_faults_of_two_kinds_under_one_text_are_both_told() -> None:
    log = _Log()
    for failure in (KeyError("a"), ValueError("b"), KeyError("c")):
        log.fail("a round failed", failure)
    assert log.told == ["a round failed"] * 2
    log.pass_time(FOLD_S)
    assert log.told[2:] == ["… 1 more: a round failed (KeyError)"]


def test_a_long_process_folds_what_it_writes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    last = logging.lastResort
    assert last is not None
    monkeypatch.setattr(last, "formatter", None)
    monkeypatch.setattr(last, "filters", [])
    for _ in range(2):
        log_events()
    for _ in range(5):
        last.handle(logging.LogRecord("tenantry.x", logging.ERROR, "f.py", 1, "said", (), None))
    (folded,) = [each for each in last.filters if isinstance(each, Folded)]
    folded.end()
    said = [line.partition("] ")[2] for line in capsys.readouterr().err.splitlines()]
    assert said == ["said", "… 4 more: said"]


def test_what_a_pool_of_the_driver_says_of_an_outage_is_left_out() -> None:
    log_events()
    assert not logging.getLogger("asyncpg.pool").isEnabledFor(logging.ERROR)
