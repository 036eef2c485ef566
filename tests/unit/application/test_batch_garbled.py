"""Documents that make no sense end their batch in a bounded time, and no record twice."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from tests.support.batch_world import ARN, JOB, OUTPUT, World, answered, completed, failed, given_up

from tenantry.application import batch_job
from tenantry.application.batch_settling import GIVEN_UP_S
from tenantry.domain.batch import record_id
from tenantry.ports.model import Failure, FailureKind, Reply


def ascii_id(value: object) -> str:
    return ascii(value)[:12].replace("\\", "/")


DEEP = "[" * 900 + "]" * 900
GARBLED_LINES = {
    "NUL": '{"recordId": "R0000000001", "error": {"errorCode": "a\\u0000b"}}',
    "half a pair": '{"recordId": "R0000000001", "error": {"errorCode": "\\ud800"}}',
    "deep code": f'{{"recordId": "R0000000001", "error": {{"errorCode": {DEEP}}}}}',
    "deep usage": f'{{"recordId": "R0000000001", "modelOutput": {{"usage": {DEEP}}}}}',
    "no output": '{"recordId": "R0000000001"}',
}


@pytest.mark.parametrize("name", GARBLED_LINES)
def test_a_garbled_record_holds_back_none_of_the_others(name: str) -> None:
    deep_id = f'{{"recordId": {DEEP}, "modelOutput": {{}}}}'.encode()
    lines = [answered(0), GARBLED_LINES[name].encode(), deep_id, answered(2), failed(3)]
    world = World(status=completed(4), objects={OUTPUT: b"\n".join(lines)})
    assert world.round() == 1 and world.job.state == "settled"
    ended = {0: "settled", 2: "settled", 3: "released"}
    assert {call: end for call, end in world.endings().items() if call != 1} == ended
    assert (1 in world.ends) != (1 in world.quarantined), "once, or kept for a person"
    error = world.ends[1].error if 1 in world.ends else None
    assert error is None or error.isprintable()


def test_a_record_that_the_ledger_does_not_take_holds_back_none_of_the_others() -> None:
    world = World(status=completed(4), objects={OUTPUT: b"\n".join(map(answered, range(4)))})
    world.refused = {2}
    assert world.round() == 1 and world.job.state == "settled"
    assert world.endings() == {0: "settled", 1: "settled", 3: "settled"}
    assert world.quarantined == {2}


COUNTS: list[Any] = ["many", "4", -1, 1.5, True, [], {"a": 1}]


@pytest.mark.parametrize("count", COUNTS, ids=ascii_id)
def test_a_count_that_is_none_gives_nothing_back_and_ends(count: Any) -> None:
    status = {"status": "Completed", "processedRecordCount": count}
    waits = World(status=status, objects={OUTPUT: answered(0), JOB.input_uri: b"..."})
    assert waits.round() == 0 and waits.endings() == {0: "settled"}
    over = given_up(status=status, objects={OUTPUT: answered(0), JOB.input_uri: b"..."})
    over.written_off = {1, 2, 3}
    assert [over.round(), over.round()] == [0, 1] and over.job.state == "settled"
    assert (over.endings(), over.answered) == ({0: "settled"}, 1)
    whole = World(status=status, objects={OUTPUT: b"\n".join(map(answered, range(4)))})
    assert whole.round() == 1 and whole.answered == 4


def test_a_count_beyond_all_records_is_of_all() -> None:
    world = World()
    world.invoke = _says(completed(10**30))  # type: ignore[method-assign]
    world.objects[OUTPUT] = b"\n".join(map(answered, range(4)))
    assert world.round() == 1


@pytest.mark.parametrize(
    "status", [["Completed"], {"a": "b"}, "a\x00b", "\ud800", 7, None], ids=ascii_id
)
def test_a_status_that_is_none_ends_the_job_once_nothing_is_held(status: Any) -> None:
    said = {"status": status}
    world = World(age_s=GIVEN_UP_S, status={"status": "InProgress"})
    world.status = said
    world.invoke = _says(said)  # type: ignore[method-assign]
    assert world.round() == 0 and world.job.state == "running"
    world.written_off = {0, 1, 2, 3}
    assert world.round() == 1 and world.job.state == "settled"


def test_words_of_a_failure_that_no_database_takes_end_the_job_all_the_same() -> None:
    world = given_up(status=Failure(FailureKind.REFUSED, False, "no\x00 \ud800 job"))
    assert world.round() == 1 and world.job.state == "settled"
    submitting = replace(JOB, state="submitting", job_arn=None)
    refused = World(job=submitting, age_s=60)
    refused.created = Failure(FailureKind.REFUSED, False, "no\x00", 400, "Bad\x00" * 99)
    assert refused.round() == 1 and refused.job.state == "refused"
    assert all(end.error and end.error.isprintable() for end in refused.ends.values())


def test_any_fault_ends_with_what_is_held(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> str:
        raise KeyError("a fault of ours")

    monkeypatch.setattr("tenantry.application.batch_settling.records_uri", broken)
    world = World(status=completed(4), age_s=GIVEN_UP_S)
    assert world.round() == 0 and world.job.state == "running"
    world.written_off = {0, 1, 2, 3}
    assert world.round() == 1
    assert world.job.message == "cannot be read: KeyError"


@pytest.mark.parametrize(
    "arn", ["a\x00b", "", "arn:x/..", f"{ARN}/", "x" * 5_000, 7, None], ids=ascii_id
)
def test_what_is_no_arn_is_none(arn: Any) -> None:
    assert batch_job.arn_of(Reply(200, {}, b"", {"jobArn": arn})) is None
    assert batch_job.arn_of(Reply(200, {}, b"", {"jobArn": ARN})) == ARN


def test_a_second_word_of_a_record_changes_nothing() -> None:
    lines = [
        failed(0),
        answered(0),
        *map(answered, range(1, 4)),
        json.dumps({"recordId": record_id(9)}).encode(),
    ]
    world = World(status=completed(4), objects={OUTPUT: b"\n".join(lines)})
    assert world.round() == 1
    assert (world.endings()[0], world.answered) == ("released", 3)


def _says(document: Any) -> Any:
    async def invoke(_: object) -> Reply:
        return Reply(200, {}, b"", document)

    return invoke
