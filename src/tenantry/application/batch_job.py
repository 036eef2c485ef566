"""A batch job at Bedrock: made under its request's id, so that making it twice makes one."""

from __future__ import annotations

import re
from typing import Final

import orjson

from tenantry.ports.batch import BatchJob
from tenantry.ports.model import Attempt, Failure, ModelPort, Operation, Reply

TIMEOUT_H = 24  # the least that Bedrock takes; its records are held no less, whatever others are
JSON = {"content-type": "application/json"}
_ARN: Final = re.compile(r"arn:[!-~]{1,1900}/[A-Za-z0-9_-]{1,100}", re.ASCII)


async def create(model: ModelPort, job: BatchJob) -> Reply | Failure:
    """CreateModelInvocationJob; the token makes it idempotent. The reply has `jobArn`."""
    request_id = str(job.request_id)
    tags = {"tid": job.tenant_id, "rid": request_id, "env": job.env}
    body = {
        "jobName": f"tenantry-{request_id}",
        "clientRequestToken": request_id,
        "roleArn": job.role_arn,
        "modelId": job.upstream_id,
        "modelInvocationType": job.operation,
        "inputDataConfig": {
            "s3InputDataConfig": {"s3InputFormat": "JSONL", "s3Uri": job.input_uri}
        },
        "outputDataConfig": {"s3OutputDataConfig": {"s3Uri": job.output_uri}},
        "timeoutDurationInHours": TIMEOUT_H,
        "tags": [{"key": key, "value": value} for key, value in tags.items()],
    }
    sent = Attempt(job.upstream, Operation.CREATE_BATCH, "job", orjson.dumps(body), JSON)
    return await model.invoke(sent)


async def ask(model: ModelPort, job: BatchJob) -> Reply | Failure:
    """GetModelInvocationJob."""
    assert job.job_arn is not None, "a job that was made has an ARN"
    return await model.invoke(Attempt(job.upstream, Operation.GET_BATCH, job.job_arn, b"", JSON))


def arn_of(reply: Reply) -> str | None:
    """None where it is none: it is kept, and names where the job's output lies."""
    arn = reply.document.get("jobArn") if isinstance(reply.document, dict) else None
    return arn if isinstance(arn, str) and _ARN.fullmatch(arn) else None
