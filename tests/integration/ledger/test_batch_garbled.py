"""A batch whose output holds garbled records ends: in the real ledger, each record once."""

import json
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from tests.integration.ledger.test_batch_jobs import job_of
from tests.support.ledger import World, in_world, intent
from tests.support.postgres import Database

from tenantry.adapters.objects.buckets import UriBuckets
from tenantry.adapters.postgres.batches import PostgresBatchBook, PostgresBatchNotes
from tenantry.adapters.postgres.content import PostgresContent
from tenantry.application.batch_settling import BatchPorts, settle_batches
from tenantry.domain.batch import record_id
from tenantry.domain.tenant import Principal
from tenantry.ports.admission import AttemptOutcome
from tenantry.ports.batch import BatchJob
from tenantry.ports.model import Reply

RECORDS = 4
GARBLED = {
    "NUL": '{"recordId": "R0000000001", "error": {"errorCode": "a\\u0000b"}}',
    "half a pair": '{"recordId": "R0000000001", "error": {"errorCode": "\\ud800"}}',
}


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


@pytest.mark.parametrize("name", GARBLED)
def test_a_garbled_record_ends_with_the_others_and_the_tenant_is_told(
    database: Database, tmp_path: Path, name: str
) -> None:
    async def body(world: World) -> None:
        anna, bert = await running(world, world.anna), await running(world, world.bert)
        whole = [answered(call) for call in range(RECORDS)]
        lines = {anna.tenant_id: [whole[0], GARBLED[name], *whole[2:]], bert.tenant_id: whole}
        told = {"status": "Completed", "processedRecordCount": RECORDS}
        assert await run(world, tmp_path, told, lines) == 2
        assert await run(world, tmp_path, told, lines) == 0
        rows = await world.fetch(
            "SELECT tenant_id, count(*) FILTER (WHERE ending = 'settled') AS settled,"
            " count(*) FILTER (WHERE ending = 'released') AS released FROM attempt"
            " GROUP BY tenant_id"
        )
        assert {row["tenant_id"]: (row["settled"], row["released"]) for row in rows} == {
            anna.tenant_id: (3, 1), bert.tenant_id: (4, 0),
        }  # fmt: skip
        charged = await world.fetch(
            "SELECT tenant_id, sum(amount) FROM charge_entry GROUP BY tenant_id"
        )
        one = Decimal("0.01575")  # half of 3 in and 15 out a million, three times
        assert dict(map(tuple, charged)) == {anna.tenant_id: 3 * one, bert.tenant_id: 4 * one}
        notices = await world.fetch("SELECT tenant_id, body::text FROM notice WHERE kind = $1",
                                    "job.ended")  # fmt: skip
        heard = {row[0]: json.loads(row[1]) for row in notices}
        assert (heard[anna.tenant_id]["answered"], heard[anna.tenant_id]["outcome"]) == (
            3, "partly_failed",
        )  # fmt: skip
        assert heard[bert.tenant_id]["outcome"] == "completed"

    in_world(database, body)


def test_a_job_of_garbled_documents_does_not_hold_up_a_shred_for_ever(
    database: Database, tmp_path: Path
) -> None:
    async def body(world: World) -> None:
        job = await running(world, world.anna)
        content = PostgresContent(world.work)
        for told in ({"status": ["?"]}, {"status": "Completed", "processedRecordCount": "a\x00"}):
            assert await run(world, tmp_path, told, {}) == 0
        assert [each.state for each in await content.jobs(job.tenant_id)] == ["running"]
        now = await world.databases.control.fetchval("SELECT clock_timestamp()")
        assert await world.keeper.give_up(now) == RECORDS
        await world.as_superuser(
            "UPDATE tenantry.batch_job SET changed_at = changed_at - interval '73 hours'"
        )
        assert await run(world, tmp_path, {"status": "a\x00 \ud800"}, {}) == 1
        assert [each.state for each in await content.jobs(job.tenant_id)] == ["settled"]
        [row] = await world.fetch("SELECT tenant_id, body ->> 'outcome' FROM notice"
                                  " WHERE kind = 'job.ended'")  # fmt: skip
        assert tuple(row) == (job.tenant_id, "failed")
        assert await world.fetch("SELECT FROM charge_entry WHERE amount > 0") == []

    in_world(database, body)
