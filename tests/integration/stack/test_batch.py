"""A batch of 1,000, 7 of which fail, polled 5 times and restarted: 993 at half the price,
each once."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from tests.support.metered import NOVA, MeteredStack
from tests.support.settings import load_settings
from tests.support.stack import DIVIDED, Tenant, wait_until

from tenantry.adapters.postgres.keeper import PostgresLedgerKeeper
from tenantry.application.round import Round
from tenantry.bootstrap.background import background
from tenantry.config import Settings
from tenantry.ports.admission import Settlement

RECORDS, WRONG, OUT = 1_000, frozenset({0, 1, 77, 500, 501, 998, 999}), 10
# 45 tokens in at 1.50 and 10 out at 7.50 a million: half of the synthetic prices.
ONE = Decimal("0.0000675") + Decimal("0.000075")
_POSTED = """
SELECT request_id, call, attempt, count(*) AS times, sum(amount) AS amount,
       min(service_tier) AS tier
FROM tenantry.cost_entry WHERE tenant_id = $1 AND token_classes <> '{}'
GROUP BY request_id, call, attempt
"""
_ENDINGS = "SELECT ending, count(*) FROM tenantry.attempt WHERE tenant_id = $1 GROUP BY ending"


def settings_of(stack: MeteredStack) -> Settings:
    given = {f"TENANTRY_{name.upper()}": str(value) for name, value in stack.settings.items()}
    return load_settings({"TENANTRY_HOME": str(stack.home), **given})


@contextlib.asynccontextmanager
async def batch_round(stack: MeteredStack) -> AsyncIterator[Round]:
    """The round of a background worker that has just been started."""
    async with background(settings_of(stack)) as rounds:
        (found,) = (each for each in rounds if each.name == "batches")
        yield found


def one_round(stack: MeteredStack) -> object:
    async def work() -> object:
        async with batch_round(stack) as found:
            return await found.work()

    return asyncio.run(work())


def write(stack: MeteredStack, folder: Path, count: int, wrong: frozenset[int]) -> Path:
    prompt = stack.prompt(NOVA, 45)["messages"]
    lines = []
    for number in range(count):
        messages = prompt if number not in wrong else [{**prompt[0], "role": "assistant"}]
        body = {"messages": messages, "inferenceConfig": {"maxTokens": OUT}}
        lines.append(json.dumps({"modelInput": body}))
    file = folder / "records.jsonl"
    file.write_text("\n".join(lines))
    return file


def command(
    stack: MeteredStack, tenant: Tenant, *arguments: str
) -> subprocess.CompletedProcess[str]:
    given = {f"TENANTRY_{name.upper()}": str(value) for name, value in stack.settings.items()}
    environment = {
        **os.environ,
        **given,
        "TENANTRY_HOME": str(stack.home),
        "TENANTRY_API_KEY": tenant.key.bearer,
    }
    return subprocess.run(
        [sys.executable, "-m", "tenantry.entrypoints.cli.main", "batch", *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def submit(stack: MeteredStack, tenant: Tenant, file: Path) -> dict[str, Any]:
    done = command(stack, tenant, "submit", str(file), "--model", NOVA, "--json")
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def run_to_the_end(stack: MeteredStack, job_arn: str) -> None:
    stack.emulator.own("POST", "start-batches")
    client = stack.emulator.client("bedrock")

    def completed() -> bool:
        job = client.get_model_invocation_job(jobIdentifier=job_arn)
        return bool(job["status"] == "Completed")

    wait_until(completed, "the job has ended")


def test_batch_polled_and_restarted(
    metered: MeteredStack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    anna, bert = metered.tenants()
    done = submit(metered, anna, write(metered, tmp_path, RECORDS, WRONG))
    assert done["records"] == RECORDS
    held = metered.posted(anna)
    assert len(held.open) == RECORDS and {state for state, _ in held.open} == {"unknown"}
    assert held.held_cost >= 993 * ONE and held.held_charge == 3 * held.held_cost
    for _ in range(5):
        assert one_round(metered) == 0
    assert metered.posted(anna).attempts == []
    run_to_the_end(metered, done["job_arn"])

    die_after_one_posting(metered, monkeypatch)
    assert 0 < len(metered.rows(_POSTED, anna.id)) < 993
    assert one_round(metered) == 1  # a worker that has just been started
    assert one_round(metered) == 0

    rows = metered.rows(_POSTED, anna.id)
    assert len(rows) == 993
    assert {(row["times"], row["amount"], row["tier"]) for row in rows} == {(1, ONE, "batch")}
    endings = {row[0]: row[1] for row in metered.rows(_ENDINGS, anna.id)}
    assert endings == {"settled": 993, "released": 7}
    posted = metered.posted(anna)
    assert posted.charge == 3 * 993 * ONE and posted.waste == 0
    assert (posted.held_cost, posted.flags) == (0, {"late"})  # as of all that was unknown
    metered.agree(anna, bert)
    (listed,) = json.loads(command(metered, anna, "list", anna.id, "--json").stdout)
    assert (listed["state"], listed["id"]) == ("settled", done["id"])
    assert json.loads(command(metered, anna, "list", bert.id, "--json").stdout) == []


class Died(BaseException):
    """What no code of ours catches."""


def die_after_one_posting(stack: MeteredStack, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker whose first posting is committed, and which does nothing more."""
    post = PostgresLedgerKeeper.post

    async def post_and_die(keeper: PostgresLedgerKeeper, settlement: Settlement) -> bool:
        await post(keeper, settlement)
        raise Died

    with monkeypatch.context() as patch, pytest.raises(Died):
        patch.setattr(PostgresLedgerKeeper, "post", post_and_die)
        one_round(stack)


def test_a_bucket_that_is_not_there_is_named_in_the_refusal_and_told_of_in_the_list(
    metered: MeteredStack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tenant = metered.tenant()
    blocked = tmp_path / "file"
    blocked.write_text("in place of the folder of buckets")
    monkeypatch.setitem(metered.settings, "s3_folder", blocked)
    good = write(metered, tmp_path, 100, frozenset())
    done = command(metered, tenant, "submit", str(good), "--model", NOVA)
    assert "The bucket cannot be reached: s3://" in done.stderr
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
    (row,) = json.loads(command(metered, tenant, "list", tenant.id, "--json").stdout)
    assert row["state"] == "refused"
    assert row["message"] == "not handed over: The bucket cannot be reached."
    assert metered.open_requests(tenant) == [] and metered.bill(tenant) == {}


def test_a_batch_is_refused_whole(metered: MeteredStack, tmp_path: Path) -> None:
    poor = metered.tenant({"monthly_budget": "0.0001"})
    guarded = metered.tenant({"guardrail": f"{DIVIDED}:2"})
    plain = metered.tenant()
    good = write(metered, tmp_path, 100, frozenset())
    refusals = {
        "budget": command(metered, poor, "submit", str(good), "--model", NOVA),
        "guardrail": command(metered, guarded, "submit", str(good), "--model", NOVA),
        "unknown model": command(metered, plain, "submit", str(good), "--model", "gpt-99"),
    }
    few = write(metered, tmp_path, 99, frozenset())
    refusals["100 to"] = command(metered, plain, "submit", str(few), "--model", NOVA)
    for told, done in refusals.items():
        assert done.returncode == 1 and told in done.stderr, done.stderr
    for tenant in (poor, guarded, plain):
        assert metered.open_requests(tenant) == [] and metered.bill(tenant) == {}
    states = metered.rows("SELECT state FROM tenantry.batch_job WHERE tenant_id = $1", poor.id)
    assert [row[0] for row in states] == ["refused"]
    assert metered.violations() == []
