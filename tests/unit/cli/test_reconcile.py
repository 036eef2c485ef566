"""What `tenantry reconcile` refuses before it opens anything, and what it says at its end."""

from __future__ import annotations

import asyncio
import json
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from tenantry.application.reconcile import NAMED_MAX, LogRead, Report, Sides
from tenantry.domain.errors import Conflict
from tenantry.domain.reconciliation import Tally
from tenantry.entrypoints.cli.reconcile import month_of, reconcile
from tenantry.ports.ledger import Violation


@pytest.mark.parametrize(
    "options",
    [
        ["--invariants", "--from", "2026-11-01"],
        ["--invariants", "--logs", "."],
        ["--from", "2026-11-02", "--to", "2026-11-02"],
        ["--invariants", "--true-up"],
        ["--log-delay-s", "-1"],
    ],
)
def test_wrong_usage_is_told(options: list[str]) -> None:
    assert CliRunner().invoke(reconcile, options).exit_code == 2


@pytest.mark.parametrize(
    ("until", "month"),
    [
        (datetime(2026, 11, 23, 18, tzinfo=UTC), datetime(2026, 11, 1, tzinfo=UTC)),
        (datetime(2027, 1, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC)),
    ],
)
def test_without_a_begin_it_is_the_month(until: datetime, month: datetime) -> None:
    assert month_of(until) == month


class Archived:
    """A book that is archived as a whole; nothing else is asked of it."""

    async def archived_through(self) -> datetime:
        return datetime(2999, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize("options", [[], ["--true-up"]])
def test_nothing_is_posted_where_the_period_is_archived(
    monkeypatch: pytest.MonkeyPatch, options: list[str]
) -> None:
    def run(places: object, period: object, work: Any) -> Any:
        sides = Sides(Archived(), None, [], None)  # type: ignore[arg-type]
        return asyncio.run(work(sides, None))  # without anyone who posts

    monkeypatch.setattr(sys.modules[month_of.__module__], "run_with_sides", run)
    done = CliRunner().invoke(reconcile, options)
    assert isinstance(done.exception, Conflict), done.exception


def reported(log: LogRead, archived: int = 0) -> Report:
    begin, end = datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC)
    return Report(begin, end, log, Tally(matched=3), archived=archived)


@pytest.mark.parametrize("options", [[], ["--json"]])
@pytest.mark.parametrize(
    ("log", "status"),
    [
        (LogRead(3, 3), 0),
        (LogRead(3, 3, unreadable=7), 0),
        (LogRead(3, 3, unreadable_files=2, unreadable_named=["a in x", "b in x"]), 1),
        (LogRead(90, 3, 0, NAMED_MAX + 5, [f"{n} in x" for n in range(NAMED_MAX)]), 1),
    ],
    ids=["clean", "lines", "files", "many files"],
)
def test_a_file_that_cannot_be_read_is_told_and_1(
    monkeypatch: pytest.MonkeyPatch, log: LogRead, status: int, options: list[str]
) -> None:
    module = sys.modules[month_of.__module__]
    monkeypatch.setattr(module, "run_with_sides", lambda *_: (None, reported(log, archived=4)))
    done = CliRunner().invoke(reconcile, options)
    assert done.exit_code == status
    assert ("files of the log cannot be read" in done.stderr) == bool(status)
    if options:
        told = json.loads(done.stdout)
        assert told["log"]["unreadable_files"] == log.unreadable_files
        assert (told["log"]["unreadable_named"], told["archived"]) == (log.unreadable_named, 4)
    else:
        assert [f"cannot be read to its end: {name}" in done.stdout for name in log.unreadable_named
                ] == [True] * len(log.unreadable_named)  # fmt: skip
        assert ("… and 5 more" in done.stdout) == (log.unreadable_files > NAMED_MAX)
        assert f"{log.unreadable} lines unreadable" in done.stdout


@pytest.mark.parametrize(("set_h", "hold_h"), [(None, 72), ("5", 5)])
def test_the_invariants_go_by_the_hold_that_is_set(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, set_h: str | None, hold_h: int
) -> None:
    asked: list[timedelta] = []

    class Keeper:
        async def violations(self, hold: timedelta) -> list[Violation]:
            asked.append(hold)
            return []

    command = sys.modules[month_of.__module__]
    monkeypatch.setattr(command, "run_with_keeper", lambda work: asyncio.run(work(Keeper())))
    given = {"TENANTRY_HOME": str(tmp_path), "TENANTRY_UNKNOWN_HOLD_H": set_h}
    ran = CliRunner().invoke(reconcile, ["--invariants"], env=given)
    assert (ran.exit_code, asked) == (0, [timedelta(hours=hold_h)]), ran.output
