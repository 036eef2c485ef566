"""Batch jobs of two tenants on a real database, and what a model is said to have written."""

import json
import uuid
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.support.ledger import World, intent

from tenantry.adapters.batch_buckets.buckets import UriBuckets
from tenantry.adapters.postgres.batches import PostgresBatchBook, PostgresBatchNotes
from tenantry.application.batch_settling import BatchPorts, settle_batches
from tenantry.domain.batch import record_id
from tenantry.domain.ids import TenantId
from tenantry.domain.tenant import Principal
from tenantry.ports.admission import AttemptOutcome
from tenantry.ports.batch import BatchJob
from tenantry.ports.model import Reply, Upstream

RECORDS = 4


def job_of(tenant_id: TenantId) -> BatchJob:
    return BatchJob(
        tenant_id=tenant_id,
        request_id=uuid.uuid4(),
        state="planned",
        upstream=Upstream("111111111111", "us-east-1", "http://127.0.0.1:1", "111111111111"),
        operation="Converse",
        model="m",
        upstream_id="us.m",
        records=100,
        input_uri="s3://b/in",
        output_uri="s3://b/out/",
        role_arn="arn:aws:iam::111111111111:role/r",
        env="local",
    )


class Bedrock:
    """Every job has ended, so it says."""

    def __init__(self, told: Any) -> None:
        self.told = told

    async def invoke(self, _: object) -> Reply:
        return Reply(200, {}, b"", self.told)


def answered(call: int) -> str:
    usage = {"inputTokens": 1_000, "outputTokens": 500, "totalTokens": 1_500}
    return json.dumps({"recordId": record_id(call), "modelOutput": {"usage": usage}})


async def running(world: World, who: Principal) -> BatchJob:
    """A job that was taken in, with its records unknown."""
    pinned = {"tier": "batch", "family": "anthropic", "write_class": "cache_write_5m"}
    made = await world.admitted(who, first=intent(0, pinned=pinned))
    for call in range(1, RECORDS):
        await world.admission.begin(who.tenant_id, made.request_id, intent(call, pinned=pinned))
    unknown = [AttemptOutcome(call, 1, "unknown", error="batch") for call in range(RECORDS)]
    await world.settle(made, *unknown)
    folder = f"s3://b/{who.tenant_id}"
    job = replace(
        job_of(who.tenant_id), request_id=made.request_id, records=RECORDS,
        input_uri=f"{folder}/records.jsonl", output_uri=f"{folder}/",
    )  # fmt: skip
    notes, book = PostgresBatchNotes(world.work), PostgresBatchBook(world.databases.control)
    await notes.plan(job)
    assert await notes.advance(job, "submitting")
    job = replace(job, state="submitting")
    assert await book.advance(job, "running", job_arn="arn:aws:bedrock:r:1:job/j1")
    return job


async def run(world: World, root: Path, told: Any, lines: dict[Any, list[str]]) -> int:
    for who, output in lines.items():
        file = root / "b" / who / "j1" / "records.jsonl.out"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("\n".join(output), encoding="utf-8")
    model: Any = Bedrock(told)
    book = PostgresBatchBook(world.databases.control)
    buckets = UriBuckets({}, root)
    return await settle_batches(BatchPorts(book, world.keeper, buckets, world.directory, model))
