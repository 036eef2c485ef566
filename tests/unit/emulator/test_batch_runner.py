"""What a batch job makes of faults that nobody foresaw: each stays with its record, or ends it."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest

from bedrock_emulator.batch_jobs import BatchJobs, Job, WantedJob
from bedrock_emulator.batch_runner import BatchRunner, Buckets
from bedrock_emulator.bill import Bill
from bedrock_emulator.engine.types import Answer, Call, Prepared, TokenUsage

RECORDS = 100


class Engine:
    """Answers all but one record, which it breaks upon."""

    def __init__(self, answer: Any) -> None:
        self._answer = answer

    def prepare(self, call: Call) -> Prepared:
        return Prepared("m", 1, 1, 1)

    def answer(self, call: Call, prepared: Prepared, usage: TokenUsage | None) -> Answer:
        if call.body["number"] == 7:
            return Answer(TokenUsage(input=1), body=self._answer())
        return Answer(TokenUsage(input=1), body={})


def now() -> datetime:
    return datetime(2026, 11, 23, tzinfo=UTC)


def ran(tmp_path: Path, engine: Engine, bill: Any = None) -> tuple[Job, Path, Bill]:
    source = tmp_path / "s3" / "bucket" / "in"
    source.parent.mkdir(parents=True)
    lines = [{"recordId": f"{n}", "modelInput": {"number": n}} for n in range(RECORDS)]
    source.write_bytes(b"\n".join(map(orjson.dumps, lines)))
    (tmp_path / "jobs").mkdir()
    jobs = BatchJobs(tmp_path / "jobs", now)
    real = Bill(tmp_path / "bill.jsonl", "batched")
    wanted = WantedJob(
        "j", "role", "m", "Converse", "s3://bucket/in", "s3://bucket/out", 24, {}, None
    )
    job = jobs.create("111111111111", "us-east-1", "me", wanted)
    buckets = Buckets(tmp_path / "s3")
    runner = BatchRunner(jobs, buckets, engine, None, bill or real, now, 0)
    asyncio.run(runner.run(job))
    folder = tmp_path / "s3" / "bucket" / "out" / job.id
    return jobs.find("111111111111", "us-east-1", job.id), folder / "in.out", real


def fails() -> Any:
    raise RuntimeError("nobody foresaw this")


def unwritable() -> Any:
    value: Any = 1
    for _ in range(300):
        value = [value]
    return value


@pytest.mark.parametrize("answer", [fails, unwritable, object])
def test_a_fault_of_one_record_is_its_own(tmp_path: Path, answer: Any) -> None:
    job, output, bill = ran(tmp_path, Engine(answer))
    assert job.status == "Completed"
    assert job.counts == {"total": 100, "processed": 100, "success": 99, "error": 1}
    lines = [orjson.loads(line) for line in output.read_bytes().splitlines()]
    [failed] = [line for line in lines if "error" in line]
    assert (failed["recordId"], failed["error"]["errorCode"]) == ("7", 500)
    assert failed["modelInput"] == {"number": 7}
    assert "7" not in {record["record_id"] for record in bill.of_job(job.arn)}
    assert len(bill.of_job(job.arn)) == 99
    bill.close()


def test_a_fault_of_the_emulator_fails_the_job(tmp_path: Path) -> None:
    class Broken:
        def of_job(self, arn: str) -> list[Any]:
            raise RuntimeError("nobody foresaw this")

    job, output, bill = ran(tmp_path, Engine(dict), Broken())
    assert (job.status, output.exists()) == ("Failed", False)
    bill.close()
