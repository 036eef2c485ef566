"""What a long process writes on stderr."""

from __future__ import annotations

import logging
import re
import sys

import pytest

from tenantry.bootstrap.logs import EventLine, log_events

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
    said = line_of("tenantry.entrypoints.worker", logging.WARNING, "it has\nto wait")
    head = HEAD.format("WARNING", "tenantry.entrypoints.worker")
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
    log_events()
    last.handle(logging.LogRecord("tenantry.x", logging.ERROR, "f.py", 1, "said", (), None))
    assert re.fullmatch(
        r"[0-9-]{10}T[0-9:]{8}Z ERROR tenantry\.x\[\d+\] said\n", capsys.readouterr().err
    )
