"""A batch whose output holds garbled records ends: in the real ledger, each record once."""

import json
from decimal import Decimal
from pathlib import Path

import pytest
from tests.support.batch_jobs import RECORDS, answered, run, running
from tests.support.ledger import World, in_world
from tests.support.postgres import Database

from tenantry.adapters.postgres.content import PostgresContent

GARBLED = {
    "NUL": '{"recordId": "R0000000001", "error": {"errorCode": "a\\u0000b"}}',
    "half a pair": '{"recordId": "R0000000001", "error": {"errorCode": "\\ud800"}}',
}


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
