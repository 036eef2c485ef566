"""The audit's attack on a batch job: a real tenant's, since no canary has one, with answers that a
wall alone keeps from others."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from tests.support import batch_world
from tests.support.settings import load_settings
from tests.support.stack import Stack, Tenant
from tests.support.stack_audit import flawed, of

from tenantry.adapters.postgres.batches import _definition
from tenantry.bootstrap.audit import LocalStores, local_stores
from tenantry.domain.batch import records_uri
from tenantry.domain.ids import TenantId
from tenantry.entrypoints.audit.running import LocalFor, run_audit
from tenantry.ports.batch import BatchJob

_OUTPUT = "get-v1-export-batch-jobs-id-output"
_COLUMNS = "request_id, state, definition, job_arn, message, created_at, changed_at"
# In the table's place a view that says of every job that it is whose who asks.
_BROKEN = f"""
ALTER TABLE tenantry.batch_job RENAME TO batch_job_behind;
CREATE VIEW tenantry.batch_job AS
SELECT coalesce(nullif(current_setting('tenantry.tenant', true), ''), tenant_id) AS tenant_id,
       {_COLUMNS} FROM tenantry.batch_job_behind;
GRANT SELECT ON tenantry.batch_job TO tenantry_app, tenantry_control, tenantry_operator;
"""
_MENDED = """
DROP VIEW tenantry.batch_job;
ALTER TABLE tenantry.batch_job_behind RENAME TO batch_job;
"""


@dataclass(frozen=True, slots=True)
class Batching:
    """A tenant with one job, and where its answers lie."""

    owner: Tenant
    job: BatchJob
    answers: Path


@contextmanager
def batching(stack: Stack, state: str, *, arn: bool = True, answered: bool = True) -> Iterator[Any]:
    owner = stack.tenant(name=f"batching-{secrets.token_hex(4)}")
    folder = f"s3://b-{secrets.token_hex(4)}/x"
    job = replace(
        batch_world.JOB,
        tenant_id=TenantId(owner.id),
        request_id=uuid.uuid4(),
        upstream=replace(batch_world.JOB.upstream, endpoint_url=stack.emulator.url),
        input_uri=f"{folder}/records.jsonl",
        output_uri=f"{folder}/",
    )
    uri = records_uri(job.output_uri, batch_world.ARN, job.input_uri)
    answers = stack.home / "s3" / uri.removeprefix("s3://")
    if answered:
        answers.parent.mkdir(parents=True)
        answers.write_text('{"recordId": "R0000000000", "modelOutput": {}}\n')
    noted = (
        "INSERT INTO tenantry.batch_job (tenant_id, request_id, state, definition, job_arn)"
        f" VALUES ('{owner.id}', '{job.request_id}', '{state}', '{_definition(job)}',"
        f" nullif('{batch_world.ARN if arn else ''}', ''))"
    )
    gone = f"DELETE FROM tenantry.batch_job WHERE request_id = '{job.request_id}'"
    with flawed(stack, noted, gone):
        yield Batching(owner, job, answers)


def on_this_machine(stack: Stack) -> LocalFor:
    folder = {"TENANTRY_HOME": str(stack.home), "TENANTRY_S3_FOLDER": str(stack.home / "s3")}

    def local(tenant: str) -> LocalStores | str:
        return local_stores(load_settings(folder), tenant)

    return local


def outcomes(stack: Stack, local: LocalFor) -> dict[str, tuple[str, str]]:
    """Outcome and reason, by attack."""
    report = run_audit(of(stack, _OUTPUT), local, lambda *_: None)
    told = {result.id.removeprefix(f"{_OUTPUT}."): result for result in report.results}
    return {name: (str(result.outcome), result.detail) for name, result in told.items()}


def test_answers_that_are_there_are_asked_for_and_kept_from_others(stack: Stack) -> None:
    with batching(stack, "settled") as it:
        told = outcomes(stack, on_this_machine(stack))
        assert told["foreign-batch-job"][0] == told["tells-batch-job"][0] == "held"
        elsewhere = outcomes(stack, lambda _: "it is elsewhere")
        headers = {"authorization": f"Bearer {it.owner.key.bearer}"}
        path = f"/v1/export/batch_jobs/{it.job.request_id}/output"
        status, _, body = stack.http("GET", path, headers=headers)
    assert (status, body) == (200, it.answers.read_bytes()), "the attack could have succeeded"
    why = "another tenant's batch job is not found without the database: it is elsewhere"
    assert elsewhere["foreign-batch-job"] == ("not run here", why)


def test_a_wall_that_is_down_is_found(stack: Stack) -> None:
    with batching(stack, "settled"), flawed(stack, _BROKEN, _MENDED):
        told = outcomes(stack, on_this_machine(stack))
    assert told["foreign-batch-job"][0] == "found"
    assert told["tells-batch-job"][0] == "found"


@pytest.mark.parametrize(
    ("state", "made"),
    [
        ("settled", {}),
        ("settled", {"answered": False}),
        ("settled", {"arn": False}),
        ("refused", {}),
        ("running", {}),
        ("submitting", {"arn": False}),
    ],
)
def test_a_job_without_answers_is_not_attacked(
    stack: Stack, state: str, made: dict[str, bool]
) -> None:
    with batching(stack, state, **made) as it:
        others = [row[0] for row in stack.rows("SELECT tenant_id FROM tenantry.tenant")]
        others.remove(it.owner.id)
        local = on_this_machine(stack)(it.owner.id)
        assert isinstance(local, LocalStores)
        try:
            found = local.job_with_output(others)
        finally:
            local.close()
    assert found == (str(it.job.request_id) if (state, made) == ("settled", {}) else None)


def test_a_deployment_without_such_a_job_does_not_pass(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LocalStores, "job_with_output", lambda *_: None)
    why = "no other tenant has a batch job whose answers are found here"
    told = outcomes(stack, on_this_machine(stack))
    assert told["foreign-batch-job"] == told["tells-batch-job"] == ("not run here", why)
