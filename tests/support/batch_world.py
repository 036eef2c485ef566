"""A batch job whose output a test writes, and what settling it made of that."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

import orjson
from tests.support.scripted import NOW, MemoryDirectory

from tenantry.application.batch_settling import GIVEN_UP_S, BatchPorts, settle_batches
from tenantry.domain.batch import record_id
from tenantry.domain.errors import NotFound, Unavailable
from tenantry.domain.ids import TenantId
from tenantry.domain.markup import Markup
from tenantry.ports.admission import AttemptOutcome, Settlement
from tenantry.ports.batch import BatchJob, BatchState, OpenJob
from tenantry.ports.ledger import AttemptKey, OpenAttempt
from tenantry.ports.model import Attempt, Failure, Operation, Reply, Upstream

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


def given_up(**fields: Any) -> World:
    """All that was not answered has been written off, and Bedrock's time is over."""
    return World(age_s=GIVEN_UP_S, written_off={0, 1, 2, 3}, **fields)
