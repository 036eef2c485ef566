"""Every way in which a batch job can end, or be left: each record ends once, or is still held."""

from __future__ import annotations

import copy
import json
import uuid
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from tests.support.batch_world import (
    ARN,
    JOB,
    OUTPUT,
    RID,
    World,
    answered,
    completed,
    failed,
    given_up,
)

from tenantry.application import batch_settling
from tenantry.application.batch_settling import GIVEN_UP_S, PLANNED_MAX_S, SUBMITTING_MIN_S
from tenantry.domain.batch import record_id
from tenantry.domain.errors import Unavailable
from tenantry.entrypoints.http.tenant.export_views import from_row
from tenantry.ports.batch import BatchJob, OpenJob
from tenantry.ports.model import Failure, FailureKind, Operation, Upstream


def test_answers_are_paid_at_half_and_failures_are_not() -> None:
    world = World(status=completed(4))
    lines = [answered(0), failed(1), answered(2), b"rubbish", answered(3), answered(0)]
    world.objects = {OUTPUT: b"\n".join(lines), JOB.input_uri: b"..."}
    assert world.round() == 1
    assert world.endings() == {0: "settled", 1: "released", 2: "settled", 3: "settled"}
    rated = world.ends[0].rated
    assert rated is not None and rated.cost == Decimal("0.00525")
    assert rated.charge == 3 * rated.cost
    assert (world.ends[0].service_tier, world.ends[1].error) == ("batch", "400")
    assert world.job.state == "settled"
    assert list(world.objects) == [OUTPUT]  # the input is not kept
    assert world.round() == 0


@pytest.mark.parametrize(
    "status", ["Submitted", "Validating", "Scheduled", "InProgress", "Stopping"]
)
def test_a_job_under_way_is_left_alone(status: str) -> None:
    world = World(status={"status": status}, objects={OUTPUT: answered(0)})
    assert world.round() == 0
    assert (world.ends, world.job.state) == ({}, "running")


def test_what_was_never_reached_is_given_back() -> None:
    for status, processed in (("Stopped", 1), ("Expired", 1), ("PartiallyCompleted", 1)):
        world = World(status={"status": status, "processedRecordCount": processed})
        world.objects = {OUTPUT: answered(2)}
        assert world.round() == 1
        assert world.endings() == {0: "released", 1: "released", 2: "settled", 3: "released"}
    world = World(status={"status": "Failed"})
    assert world.round() == 1
    assert set(world.endings().values()) == {"released"} and world.job.state == "settled"


def test_why_bedrock_ended_a_job_is_kept_for_the_operator_alone() -> None:
    said = "The role arn:aws:iam::1:role/r cannot read\ns3://b/x."
    words = "; Bedrock says: The role arn:aws:iam::1:role/r cannot read?s3://b/x."
    counted = "0 of 4 records, 0 answered"
    submitting = replace(JOB, state="submitting", job_arn=None)
    refused = Failure(FailureKind.REFUSED, False, said, 400, "ValidationException")
    worlds = {
        f"Failed: {counted}": World(status={"status": "Failed", "message": said}),
        "Failed: no output was read: get is away": given_up(
            status={"status": "Failed", "message": said}, away={"get"}
        ),
        "Expired: processed 3 records, and its output tells of 0": given_up(
            status={"status": "Expired", "message": said, "processedRecordCount": 3}
        ),
        "never told its end": given_up(status=refused),
        "refused": World(job=submitting, age_s=SUBMITTING_MIN_S, created=refused),
    }
    for told, world in worlds.items():
        assert world.round() == 1
        assert world.job.message == told + words
        assert from_row(world.job)["message"] == told
    for document in (
        {"status": "Stopped"},
        {"status": "Stopped", "message": None},
        {"status": "Completed", "message": said},
    ):
        world = World(status=document)
        assert world.round() == 1
        assert world.job.message == f"{document['status']}: {counted}"


def test_output_that_hides_records_gives_nothing_back() -> None:
    world = World(status=completed(4), objects={OUTPUT: answered(0) + b"\n" + answered(9)})
    assert world.round() == 0
    assert world.endings() == {0: "settled"}  # what is there is paid
    world.objects[OUTPUT] = b"\n".join(map(answered, range(4)))
    assert world.round() == 1
    assert set(world.endings().values()) == {"settled"}


def test_usage_that_cannot_be_trusted_is_quarantined() -> None:
    world = World(status=completed(4))
    rubbish = json.dumps({"recordId": record_id(1), "modelOutput": {"usage": {"inputTokens": -1}}})
    world.objects = {OUTPUT: b"\n".join([answered(0), rubbish.encode(), answered(2), answered(3)])}
    assert world.round() == 1
    assert world.quarantined == {1} and 1 not in world.ends


def test_a_batch_that_its_worker_left_is_given_back() -> None:
    world = World(job=replace(JOB, state="planned", job_arn=None), begun=2)
    assert world.round() == 0 and world.ends == {}
    world.age_s = PLANNED_MAX_S
    assert world.round() == 1
    assert world.endings() == {0: "released", 1: "released"}
    assert world.job.state == "refused" and world.asked == []


def test_a_job_that_may_not_have_been_made_is_made_again() -> None:
    submitting = replace(JOB, state="submitting", job_arn=None)
    world = World(job=submitting, created={"jobArn": ARN})
    assert world.round() == 0 and world.asked == []  # its own worker may still be asking
    world.age_s = SUBMITTING_MIN_S
    assert world.round() == 0
    assert (world.job.state, world.job.job_arn) == ("running", ARN)
    again = World(job=submitting, age_s=SUBMITTING_MIN_S, created=_failure(FailureKind.TIMED_OUT))
    assert again.round() == 0 and again.job.state == "submitting" and again.ends == {}
    refused = World(job=submitting, age_s=SUBMITTING_MIN_S, created=_failure(FailureKind.REFUSED))
    assert refused.round() == 1
    assert refused.job.state == "refused" and set(refused.endings().values()) == {"released"}


def test_what_cannot_be_asked_is_asked_again() -> None:
    world = World(status=_failure(FailureKind.THROTTLED), objects={OUTPUT: answered(0)})
    assert world.round() == 0 and world.ends == {}


def test_the_databases_outage_ends_the_round() -> None:
    world = World(status=completed(4), objects={OUTPUT: answered(0)}, away={"ledger"})
    with pytest.raises(Unavailable):
        world.round()


@pytest.mark.parametrize("away", ["get", "delete"])
def test_a_bucket_that_is_away_holds_back_its_own_job_alone(
    away: str, caplog: pytest.LogCaptureFixture
) -> None:
    world = World(status=completed(1), objects={OUTPUT: answered(0)}, away={away})
    assert world.round() == 0 and world.job.state == "running"
    assert f"alert: batch {RID} waits: {away} is away" in caplog.text
    world.away.clear()
    assert world.round() == 1


def test_a_round_goes_on_behind_a_job_whose_bucket_is_away_to_the_last_page() -> None:
    world = World(status=completed(1), away={"get"})
    jobs = [replace(JOB, request_id=uuid.UUID(int=n)) for n in range(3)]

    async def open_jobs(after: BatchJob | None, limit: int) -> Sequence[OpenJob]:
        first = 0 if after is None else jobs.index(after) + 1
        return [OpenJob(job, 0, True) for job in jobs[first : first + 2]]

    world.open_jobs = open_jobs  # type: ignore[method-assign]
    assert world.round() == 0
    assert world.asked == [Operation.GET_BATCH] * 3


@pytest.mark.parametrize("hangs", [True, False])
def test_a_bucket_that_hangs_is_waited_for_once_in_each_round(
    hangs: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch_settling, "IN_VAIN_S", 0.0 if hangs else 60.0)
    world = World(status=completed(1))
    here = [replace(JOB, request_id=uuid.UUID(int=n)) for n in range(3)]
    there = replace(JOB, input_uri="s3://other/x/records.jsonl", output_uri="s3://other/x/")
    abroad = replace(JOB, upstream=replace(JOB.upstream, region="eu-west-1"))
    waited: list[tuple[str, str]] = []

    async def open_jobs(after: BatchJob | None, limit: int) -> Sequence[OpenJob]:
        return [OpenJob(job, 0, True) for job in (*here, there, abroad)] if after is None else []

    async def get(upstream: Upstream, uri: str) -> bytes:
        waited.append((upstream.region, uri.split("/")[2]))
        raise Unavailable("it says no, or nothing")

    world.open_jobs, world.get = open_jobs, get  # type: ignore[method-assign]
    each = [("us-east-1", "b"), ("us-east-1", "other"), ("eu-west-1", "b")]
    if not hangs:
        each = [each[0]] * 2 + each  # another object may not be denied
    for _ in range(2):
        assert world.round() == 0
    assert waited == each * 2
    assert world.asked == [Operation.GET_BATCH] * 10, "of Bedrock each job is asked"


def test_a_fault_of_one_job_is_its_own() -> None:
    odd = World(status={"status": "Completed", "processedRecordCount": "many"})
    assert odd.round() == 0 and odd.job.state == "running"


GIVEN_UP: dict[str, dict[str, Any]] = {
    "output that hides records": {"status": completed(4), "objects": {OUTPUT: b""}},
    "no output": {"status": completed(4)},
    "output that cannot be read": {"status": completed(4), "away": {"get"}},
    "a job that cannot be asked for": {"status": Failure(FailureKind.REFUSED, False, "no")},
    "a job that has no end": {"status": {"status": "InProgress"}},
    "input that stays": {"status": {"status": "Stopped"}, "away": {"delete"}},
}


@pytest.mark.parametrize("name", GIVEN_UP)
def test_a_job_for_which_nothing_is_held_any_more_ends(name: str) -> None:
    world = given_up(**copy.deepcopy(GIVEN_UP[name]))
    world.objects[JOB.input_uri] = b"..."
    for waiting in (
        replace(world, written_off={0, 1, 2}, objects=dict(world.objects)),
        replace(world, age_s=GIVEN_UP_S - 1, objects=dict(world.objects)),
    ):
        if waiting.status != {"status": "Stopped"}:
            assert waiting.round() == 0 and waiting.job.state == "running"
            assert JOB.input_uri in waiting.objects
    assert world.round() == 1
    assert world.job.state == "settled" and world.job.message
    assert (JOB.input_uri in world.objects) == ("delete" in world.away)


def test_a_job_is_not_made_for_records_that_were_written_off() -> None:
    job = replace(JOB, state="submitting", job_arn=None)
    world = given_up(job=job, created={"jobArn": ARN}, objects={JOB.input_uri: b"..."})
    assert world.round() == 1
    assert (world.job.state, world.asked, world.objects) == ("refused", [], {})


def _failure(kind: FailureKind) -> Failure:
    return Failure(kind, False, "no", 400, "ValidationException")
