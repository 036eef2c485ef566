"""What is known from outside of a background worker's rounds."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from tenantry.adapters.round_marks import RoundMarks
from tenantry.application.round import Round
from tenantry.application.round import marked as marked_by
from tenantry.application.round_facts import SLACK_S, STANDS_STILL_S, round_facts
from tenantry.domain.errors import Unavailable
from tenantry.ports.round_marks import LastRound

LONG_AGO_S = 1_000_000.0


async def nothing() -> None:
    return None


async def trouble() -> None:
    raise Unavailable


def rounds() -> list[Round]:
    return [Round("sweep", 2.0, nothing), Round("invoices", 60.0, trouble)]


def marked(rounds: list[Round], marks: RoundMarks) -> list[Round]:
    return marked_by(rounds, marks, lambda failure: str(failure) or None)


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


async def full() -> None:
    raise OSError("No space left on\ndevice – überall")


async def fault() -> None:
    raise ZeroDivisionError


def failing(folder: Path, *works: Round) -> None:
    for each in marked(list(works), RoundMarks(folder)):
        with pytest.raises((OSError, ZeroDivisionError)):
            asyncio.run(each.work())


def test_a_round_that_fails_leaves_how_often_when_and_why_until_it_ends(tmp_path: Path) -> None:
    marked([Round("sweep", 2.0, full)], RoundMarks(tmp_path))
    aged(tmp_path)
    failing(tmp_path, Round("sweep", 2.0, full))
    failing(tmp_path, Round("sweep", 2.0, full))  # of a successor
    (last,) = RoundMarks(tmp_path).read()
    assert (last.name, last.every_s, last.at_s) == ("sweep", 2.0, LONG_AGO_S), "it never ended"
    assert (last.failures, last.fails) == (2, True)
    assert last.failed_at_s > LONG_AGO_S
    assert last.failure == "No space left on device – überall"
    (sweep,) = marked([Round("sweep", 2.0, nothing)], RoundMarks(tmp_path))
    asyncio.run(sweep.work())
    (last,) = RoundMarks(tmp_path).read()
    assert (last.failures, last.fails) == (2, False)
    assert last.at_s > last.failed_at_s


def test_a_mark_never_grows_so_that_a_full_disk_takes_it(tmp_path: Path) -> None:
    marks = RoundMarks(tmp_path)
    marks.begin({"sweep": 2.0})
    size = (tmp_path / "sweep").stat().st_size
    marks.failed("sweep", 2.0, "no room " * 1_000)
    assert (tmp_path / "sweep").stat().st_size == size
    (last,) = marks.read()
    assert last.failure.startswith("no room no room")


def test_a_mark_of_an_older_version_is_read(tmp_path: Path) -> None:
    (tmp_path / "sweep").write_text("0.3\n")
    (last,) = RoundMarks(tmp_path).read()
    assert (last.every_s, last.failures, last.fails) == (0.3, 0, False)


def test_doctor_names_rounds_that_fail_by_their_reason(tmp_path: Path) -> None:
    failing(tmp_path, *(Round(name, 2.0, full) for name in ("deliver", "sweep")))
    failed = RoundMarks(tmp_path).read()
    failing(tmp_path / "other", Round("archive", 3_600.0, fault))
    failed += RoundMarks(tmp_path / "other").read()
    now_s = failed[0].failed_at_s
    _, problems = round_facts([*failed, LastRound("clock", 60.0, now_s)], now_s)
    assert len(problems) == 2
    failed_last = "rounds of the background worker failed when they came last"
    assert problems[0].startswith(f"{failed_last} (deliver, sweep; at 2")
    assert ", again by 2" in problems[0]
    assert problems[0].endswith("Z): No space left on device – überall")
    assert problems[1].startswith(f"{failed_last} (archive; at 2")
    assert problems[1].endswith("): a fault of ours (ZeroDivisionError)")
    _, problems = round_facts(failed, now_s + 10_000.0)
    assert len(problems) == 2, "they fail, and it is no worker that hangs"


@pytest.mark.parametrize("why", ["3 tenants, acme, …", "…" * 400, "a surrogate \udc80"])
def test_a_reason_is_told_in_the_letters_it_has(tmp_path: Path, why: str) -> None:
    RoundMarks(tmp_path).failed("invoices", 60.0, why)
    (told,) = RoundMarks(tmp_path).read()
    whole = why.replace("\udc80", r"\udc80")
    assert whole.startswith(told.failure)
    assert len(told.failure.encode()) > min(len(whole.encode()) - 1, 450)
