"""Every way in which a batch job can end, or be left: each record ends once, or is still held."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

import orjson
import pytest
from tests.support.scripted import NOW, MemoryDirectory

from tenantry.application import batch_settling
from tenantry.application.batch_settling import (
    GIVEN_UP_S,
    PLANNED_MAX_S,
    SUBMITTING_MIN_S,
    BatchPorts,
    settle_batches,
)
from tenantry.domain.batch import record_id
from tenantry.domain.errors import NotFound, Unavailable
from tenantry.domain.ids import TenantId
from tenantry.domain.markup import Markup
from tenantry.ports.admission import AttemptOutcome, Settlement
from tenantry.ports.batch import BatchJob, BatchState, OpenJob
from tenantry.ports.ledger import AttemptKey, OpenAttempt
from tenantry.ports.model import Attempt, Failure, FailureKind, Operation, Reply, Upstream

ARN = "arn:aws:bedrock:us-east-1:111111111111:model-invocation-job/abc123abc123"
RID = uuid.UUID(int=7)
JOB = BatchJob(
    tenant_id=TenantId("tnt_acme"),
    request_id=RID,
    state="running",
    upstream=Upstream("111111111111", "us-east-1", None, "111111111111"),
    operation="Converse",
    model="claude",
    upstream_id="claude",
    records=4,
    input_uri="s3://b/x/records.jsonl",
    output_uri="s3://b/x/",
    role_arn="arn:aws:iam::111111111111:role/r",
    env="local",
    job_arn=ARN,
)
OUTPUT = "s3://b/x/abc123abc123/records.jsonl.out"
# The price book of the scripted directory: 3 in and 15 out by default; a batch has half.
PINNED = {"family": "anthropic", "tier": "batch", "write_class": "cache_write_5m"}


def answered(call: int, uncached_in: int = 1_000, out: int = 500) -> bytes:
    usage = {"inputTokens": uncached_in, "outputTokens": out, "totalTokens": uncached_in + out}
    return json.dumps({"recordId": record_id(call), "modelOutput": {"usage": usage}}).encode()


def failed(call: int) -> bytes:
    error = {"errorCode": 400, "errorMessage": "no"}
    return json.dumps({"recordId": record_id(call), "error": error}).encode()


@dataclass
class World:
    """The ports of a round in memory; `asked` is what Bedrock was asked."""

    job: BatchJob = JOB
    age_s: int = 0
    status: Mapping[str, Any] | Failure = field(default_factory=dict)
    created: Mapping[str, Any] | Failure = field(default_factory=dict)
    objects: dict[str, bytes] = field(default_factory=dict)
    ends: dict[int, AttemptOutcome] = field(default_factory=dict)
    quarantined: set[int] = field(default_factory=set)
    asked: list[Operation] = field(default_factory=list)
    begun: int = 4
    written_off: set[int] = field(default_factory=set)
    answered: int = 0  # of the job that ended
    away: set[str] = field(default_factory=set)  # what raises `Unavailable`
    refused: set[int] = field(default_factory=set)  # records with usage that are not taken

    async def open_jobs(self, after: BatchJob | None, limit: int) -> Sequence[OpenJob]:
        if after is not None or self.job.state not in ("planned", "submitting", "running"):
            return []
        ended = self.ends.keys() | self.quarantined | self.written_off
        return [OpenJob(self.job, self.age_s, len(ended) < self.begun)]

    async def listed(self, tenant_id: TenantId, limit: int) -> Sequence[BatchJob]:
        return [self.job]

    async def advance(
        self, job: BatchJob, to: BatchState, *, job_arn: str | None = None, message: str = "",
        answered: int = 0,
    ) -> bool:  # fmt: skip
        if self.job.state != job.state:
            return False
        assert message.isprintable(), "a database takes no other"
        self.answered = answered
        arn = job_arn or self.job.job_arn
        self.job = replace(self.job, state=to, job_arn=arn, message=message)
        return True

    async def find_open(self, keys: Sequence[AttemptKey]) -> list[OpenAttempt]:
        return [
            OpenAttempt(
                tenant_id=TenantId(tenant), request_id=rid, call=call, attempt=attempt,
                operation="Converse", model="claude", price_key="claude", price_version=1,
                markup=Markup(Decimal(3)), admitted_at=NOW, pinned=PINNED, charged=True,
            )
            for tenant, rid, call, attempt in keys
            if call not in self.ends and call < self.begun
        ]  # fmt: skip

    async def post(self, settlement: Settlement) -> bool:
        self._reach("ledger")
        if any(outcome.call in self.refused for outcome in settlement.outcomes if outcome.rated):
            raise ValueError("the database does not take it")
        assert (settlement.tenant_id, settlement.request_id) == ("tnt_acme", RID)
        for outcome in settlement.outcomes:
            assert outcome.call not in self.ends, "a record ends once"
            if outcome.quarantined is None:
                self.ends[outcome.call] = outcome
            else:
                self.quarantined.add(outcome.call)
        return True

    async def give_up_request(self, tenant_id: TenantId, request_id: uuid.UUID) -> int:
        assert (tenant_id, request_id) == ("tnt_acme", RID)
        open_ones = set(range(self.begun)) - self.ends.keys() - self.quarantined - self.written_off
        self.written_off |= open_ones
        return len(open_ones)

    async def put(self, upstream: Upstream, uri: str, data: bytes) -> None:
        self.objects[uri] = data

    async def get(self, upstream: Upstream, uri: str) -> bytes:
        self._reach("get")
        if uri not in self.objects:
            raise NotFound
        return self.objects[uri]

    async def delete(self, upstream: Upstream, uri: str) -> None:
        self._reach("delete")
        self.objects.pop(uri, None)

    def _reach(self, what: str) -> None:
        if what in self.away:
            raise Unavailable(f"{what} is away")

    async def invoke(self, attempt: Attempt) -> Reply | Failure:
        self.asked.append(attempt.operation)
        said = self.created if attempt.operation is Operation.CREATE_BATCH else self.status
        return said if isinstance(said, Failure) else Reply(200, {}, orjson.dumps(said), said)

    def round(self) -> int:
        directory: Any = MemoryDirectory()
        ports: Any = BatchPorts(self, self, self, directory, self)  # type: ignore[arg-type]
        return asyncio.run(settle_batches(ports))

    def endings(self) -> dict[int, str]:
        return {call: outcome.end for call, outcome in sorted(self.ends.items())}


def completed(processed: int) -> dict[str, Any]:
    return {"status": "Completed", "processedRecordCount": processed}


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


def given_up(**fields: Any) -> World:
    """All that was not answered has been written off, and Bedrock's time is over."""
    return World(age_s=GIVEN_UP_S, written_off={0, 1, 2, 3}, **fields)


GIVEN_UP = {
    "output that hides records": given_up(status=completed(4), objects={OUTPUT: b""}),
    "no output": given_up(status=completed(4)),
    "output that cannot be read": given_up(status=completed(4), away={"get"}),
    "a job that cannot be asked for": given_up(status=Failure(FailureKind.REFUSED, False, "no")),
    "a job that has no end": given_up(status={"status": "InProgress"}),
    "input that stays": given_up(status={"status": "Stopped"}, away={"delete"}),
}


@pytest.mark.parametrize("name", GIVEN_UP)
def test_a_job_for_which_nothing_is_held_any_more_ends(name: str) -> None:
    world = GIVEN_UP[name]
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
