"""Batch jobs by unmodified boto3: records in and out of a folder, each success billed once."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from botocore.exceptions import ClientError
from tests.support.emulator import Emulator, eventually, start_emulator

NOVA = "amazon.nova-lite-v1:0"
BUCKET = "batches"
ROLE = "arn:aws:iam::111111111111:role/batch"


def nested(levels):
    value = 1
    for _ in range(levels):
        value = [value]
    return value


def records(count, wrong=(), deep=()):
    lines = []
    for number in range(count):
        role = "assistant" if number in wrong else "user"
        fields = {"additionalModelRequestFields": {"a": nested(250)}} if number in deep else {}
        body = {
            **fields,
            "messages": [{"role": role, "content": [{"text": f"Question {number}"}]}],
            "inferenceConfig": {"maxTokens": 3},
        }
        lines.append(json.dumps({"recordId": f"R{number:010}", "modelInput": body}))
    return "\n".join(lines)


def submit(emulator: Emulator, key: str, content: str, **members):
    path = emulator.data_dir / "s3" / BUCKET / key
    path.parent.mkdir(parents=True, exist_ok=True)
    whole = path.with_suffix(".written")  # an object is there whole or not: a job may be reading
    whole.write_text(content)
    whole.replace(path)
    asked = {
        "jobName": "a-job",
        "roleArn": ROLE,
        "modelId": NOVA,
        "modelInvocationType": "Converse",
        "inputDataConfig": {"s3InputDataConfig": {"s3Uri": f"s3://{BUCKET}/{key}"}},
        "outputDataConfig": {"s3OutputDataConfig": {"s3Uri": f"s3://{BUCKET}/out/"}},
        "tags": [{"key": "tid", "value": "tnt_1"}],
        **members,
    }
    return emulator.client("bedrock").create_model_invocation_job(**asked)["jobArn"]


def ended(emulator, arn):
    def look():
        job = emulator.client("bedrock").get_model_invocation_job(jobIdentifier=arn)
        return job if job["status"] in ("Completed", "Failed", "Stopped") else None

    return eventually(look)


def billed(emulator, arn):
    return [r for r in emulator.bill()["records"] if r.get("job_arn") == arn]


def test_what_is_not_there_is_named_as_it_was_asked_for(emulator):
    source = {"s3InputDataConfig": {"s3Uri": f"s3://{BUCKET}/none.jsonl"}}
    arn = submit(emulator, "some.jsonl", "{}", inputDataConfig=source)
    job = ended(emulator, arn)
    assert job["status"] == "Failed"
    assert job["message"] == f"The input object s3://{BUCKET}/none.jsonl does not exist."
    folder = {"s3InputDataConfig": {"s3Uri": f"s3://{BUCKET}/some.jsonl/below"}}
    job = ended(emulator, submit(emulator, "some.jsonl", "{}", inputDataConfig=folder))
    assert job["message"] == f"The input object s3://{BUCKET}/some.jsonl/below does not exist."


def test_every_success_is_billed_once_at_the_batch_tier(emulator):
    arn = submit(emulator, "first.jsonl", records(120, wrong={3, 77}))
    job = ended(emulator, arn)
    assert (job["status"], job["totalRecordCount"], job["errorRecordCount"]) == (
        "Completed",
        120,
        2,
    )
    folder = emulator.data_dir / "s3" / BUCKET / "out" / arn.rpartition("/")[2]
    lines = [json.loads(line) for line in (folder / "first.jsonl.out").read_text().splitlines()]
    assert [line["recordId"] for line in lines] == [f"R{n:010}" for n in range(120)]
    assert {n for n, line in enumerate(lines) if "error" in line} == {3, 77}
    usage = lines[0]["modelOutput"]["usage"]
    manifest = json.loads((folder / "manifest.json.out").read_text())
    assert (manifest["processedRecordCount"], manifest["successRecordCount"]) == (120, 118)
    bill = billed(emulator, arn)
    assert len(bill) == 118 == len({r["record_id"] for r in bill})
    assert {r["service_tier"] for r in bill} == {"batch"}
    assert bill[0]["usage"]["input"] == usage["inputTokens"]
    assert bill[0]["request_metadata"] == {"tid": "tnt_1"}
    ids = {record["requestId"] for record in emulator.logged()}
    assert not {r["request_id"] for r in bill} & ids  # batch inference is not logged


def test_a_record_that_cannot_be_written_fails_alone(emulator):
    arn = submit(emulator, "deep.jsonl", records(101, deep={5}))
    job = ended(emulator, arn)
    assert (job["status"], job["successRecordCount"], job["errorRecordCount"]) == (
        "Completed",
        100,
        1,
    )
    folder = emulator.data_dir / "s3" / BUCKET / "out" / arn.rpartition("/")[2]
    lines = [json.loads(line) for line in (folder / "deep.jsonl.out").read_text().splitlines()]
    assert lines[5]["error"]["errorCode"] == 400
    assert "Nested deeper" in lines[5]["error"]["errorMessage"]
    assert [line["recordId"] for line in lines] == [f"R{n:010}" for n in range(101)]
    assert len(billed(emulator, arn)) == 100


def test_jobs_are_listed_page_by_page(emulator):
    arns = [submit(emulator, f"l{n}.jsonl", records(1), jobName=f"listed-{n}") for n in range(3)]
    for arn in arns:
        ended(emulator, arn)
    client = emulator.client("bedrock")
    pages = client.get_paginator("list_model_invocation_jobs").paginate(
        nameContains="listed-",
        statusEquals="Failed",
        sortOrder="Ascending",
        submitTimeAfter=datetime(2026, 1, 1, tzinfo=UTC),
        PaginationConfig={"PageSize": 2},
    )
    listed = [[job["jobArn"] for job in page["invocationJobSummaries"]] for page in pages]
    assert [len(page) for page in listed] == [2, 1]
    assert sorted(listed[0] + listed[1]) == sorted(arns)
    none = client.list_model_invocation_jobs(nameContains="listed-", statusEquals="Completed")
    assert none["invocationJobSummaries"] == []


def test_one_token_makes_one_job(emulator):
    token = {"clientRequestToken": "token-1"}
    first = submit(emulator, "again.jsonl", records(100), **token)
    assert submit(emulator, "again.jsonl", records(100), **token) == first
    with pytest.raises(ClientError) as refused:
        submit(emulator, "again.jsonl", records(100), **token, jobName="another")
    assert refused.value.response["Error"]["Code"] == "ConflictException"
    ended(emulator, first)
    assert len(billed(emulator, first)) == 100
    listed = emulator.client("bedrock").list_model_invocation_jobs()["invocationJobSummaries"]
    assert first in {job["jobArn"] for job in listed}


@pytest.mark.parametrize("count", [0, 99])
def test_too_few_records_fail_the_job(emulator, count):
    job = ended(emulator, submit(emulator, f"few-{count}.jsonl", records(count)))
    assert job["status"] == "Failed" and "number of records" in job["message"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"roleArn": "arn:aws:iam::111111111111:user/x"},
        {"inputDataConfig": {"s3InputDataConfig": {"s3Uri": "s3://b/../x"}}},
        {"inputDataConfig": {"s3InputDataConfig": {"s3Uri": "file:///etc/passwd"}}},
        {"modelId": "amazon.nothing-v1:0"},
        {"timeoutDurationInHours": 169},
        {"inputDataConfig": {"s3InputDataConfig": {"s3Uri": "s3://b/x", "s3InputFormat": "CSV"}}},
    ],
)
def test_what_is_malformed_is_refused(emulator, wrong):
    with pytest.raises(ClientError) as refused:
        submit(emulator, "x.jsonl", records(100), **wrong)
    assert refused.value.response["Error"]["Code"] == "ValidationException"


def test_another_account_does_not_see_it(emulator):
    arn = submit(emulator, "mine.jsonl", records(100))
    silo = emulator.client("bedrock", emulator.silo)
    with pytest.raises(ClientError) as refused:
        silo.get_model_invocation_job(jobIdentifier=arn)
    assert refused.value.response["Error"]["Code"] == "ResourceNotFoundException"
    ended(emulator, arn)


def test_a_job_outlives_a_restart_and_can_be_stopped(tmp_path):
    config = "batch_delay_ms = 86400000"
    with start_emulator(tmp_path, config=config) as emulator:
        arn = submit(emulator, "late.jsonl", records(100))
        stopped = submit(emulator, "late.jsonl", records(100))
        emulator.client("bedrock").stop_model_invocation_job(jobIdentifier=stopped)
        job = emulator.client("bedrock").get_model_invocation_job(jobIdentifier=arn)
        assert job["status"] == "Submitted"
    with start_emulator(tmp_path, config="batch_delay_ms = 0") as emulator:
        assert ended(emulator, arn)["status"] == "Completed"
        assert ended(emulator, stopped)["status"] == "Stopped"
        assert len(billed(emulator, arn)) == 100
        assert billed(emulator, stopped) == []
