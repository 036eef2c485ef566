"""What is known from outside of a background worker's rounds."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from tenantry.adapters.round_marks import RoundMarks
from tenantry.application.round import SLACK_S, STANDS_STILL_S, Round, marked, round_facts
from tenantry.domain.errors import Unavailable
from tenantry.ports.round_marks import LastRound

LONG_AGO_S = 1_000_000.0


async def nothing() -> None:
    return None


async def trouble() -> None:
    raise Unavailable


def rounds() -> list[Round]:
    return [Round("sweep", 2.0, nothing), Round("invoices", 60.0, trouble)]


def aged(folder: Path) -> None:
    for path in folder.iterdir():
        os.utime(path, (LONG_AGO_S, LONG_AGO_S))


def test_a_round_leaves_a_mark_when_it_ends_as_it_should(tmp_path: Path) -> None:
    folder = tmp_path / "background"
    marks = RoundMarks(folder)
    assert marks.read() == []
    sweep, invoices = marked(rounds(), marks)
    assert [(each.name, each.every_s) for each in marks.read()] == [
        ("invoices", 60.0),
        ("sweep", 2.0),
    ]
    aged(folder)
    asyncio.run(sweep.work())
    with pytest.raises(Unavailable):
        asyncio.run(invoices.work())
    of_invoices, of_sweep = RoundMarks(folder).read()
    assert of_invoices.at_s == LONG_AGO_S, "it failed"
    assert of_sweep.at_s > LONG_AGO_S


def test_a_successor_keeps_the_times_of_its_rounds_and_drops_others(tmp_path: Path) -> None:
    marked([*rounds(), Round("of-before", 1.0, nothing)], RoundMarks(tmp_path))
    aged(tmp_path)
    marked(rounds(), RoundMarks(tmp_path))
    assert [(each.name, each.at_s) for each in RoundMarks(tmp_path).read()] == [
        ("invoices", LONG_AGO_S),
        ("sweep", LONG_AGO_S),
    ]
    marked([Round("sweep", 0.3, nothing)], RoundMarks(tmp_path))
    assert RoundMarks(tmp_path).read() == [LastRound("sweep", 0.3, LONG_AGO_S)]


def test_a_worker_that_ends_in_order_leaves_nothing_and_another_one_goes_on(tmp_path: Path) -> None:
    mine, other = RoundMarks(tmp_path), RoundMarks(tmp_path)
    sweep, _ = marked(rounds(), mine)
    marked(rounds(), other)
    other.forget()
    assert mine.read() == []
    asyncio.run(sweep.work())
    assert [each.name for each in mine.read()] == ["sweep"]


def test_a_mark_that_cannot_be_written_keeps_no_round_from_its_work(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    marks = RoundMarks(tmp_path / "file" / "background")
    sweep, _ = marked(rounds(), marks)
    asyncio.run(sweep.work())
    assert marks.read() == []


def test_a_mark_that_is_being_written_is_passed_over(tmp_path: Path) -> None:
    marked(rounds(), RoundMarks(tmp_path))
    (tmp_path / "sweep").write_text("")
    assert [each.name for each in RoundMarks(tmp_path).read()] == ["invoices"]


def test_what_doctor_says_of_a_worker() -> None:
    sweep, archive = LastRound("sweep", 2.0, 1_000.0), LastRound("archive", 3_600.0, 900.0)
    told, problems = round_facts([sweep, archive], 1_000.0 + STANDS_STILL_S)
    assert (told, problems) == ("its last round (sweep) ended 1970-01-01 00:16:40Z", [])
    _, (problem,) = round_facts([sweep, archive], 1_001.0 + STANDS_STILL_S)
    assert problem.startswith("the background worker stands still: its last round (sweep) ended")
    assert round_facts([], 1_000.0) == ("none works from this data folder", [])


def test_one_round_that_does_not_end_is_named() -> None:
    now_s = 10_000.0
    late = LastRound("sweep", 2.0, now_s - 3 * 2.0 - SLACK_S - 1)
    fine = LastRound("archive", 3_600.0, now_s - 3_700.0)
    _, (problem,) = round_facts([late, fine, LastRound("clock", 60.0, now_s)], now_s)
    assert "sweep since" in problem
    assert "archive" not in problem
