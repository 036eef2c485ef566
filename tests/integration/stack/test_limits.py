"""Over the wire: an absent limit is unlimited, 0 blocks all, a wrong plan never loads."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.support.metered import NOVA, MeteredStack
from tests.support.stack_clients import converse_body, converse_path

from tenantry.domain.errors import BadRequest
from tenantry.domain.plan import PlanError

ZERO: list[tuple[dict[str, Any], int, str, int]] = [
    ({"requests_per_day": 0}, 400, "ServiceQuotaExceededException", 429),
    ({"requests_per_minute": 0}, 400, "ValidationException", 400),
    ({"tokens_per_minute": 0}, 400, "ValidationException", 400),
    ({"concurrent_requests": 0}, 400, "ValidationException", 400),
    ({"monthly_budget": "0"}, 402, "BudgetExceeded", 402),
]


def test_absent_is_unlimited(metered: MeteredStack) -> None:
    anna, bert = metered.tenants({})
    sdk = metered.boto3(anna)
    for _ in range(30):
        sdk.converse(modelId=NOVA, **converse_body(max_tokens=8))
    assert len(metered.bill(anna)) == 30
    assert metered.api(anna).get("/v1/limits").body["data"] == []
    metered.agree(anna, bert)


@pytest.mark.parametrize(("plan", "status", "kind", "other"), ZERO)
def test_zero_blocks_all(
    metered: MeteredStack, plan: dict[str, Any], status: int, kind: str, other: int
) -> None:
    anna, bert = metered.tenant(plan), metered.tenant({})
    for stream in (False, True):
        reply = metered.http("POST", converse_path(NOVA, stream), converse_body(), tenant=anna)
        assert (reply[0], reply[1].get("x-amzn-errortype")) == (status, kind), reply[2]
    openai = {"model": NOVA, "messages": [{"role": "user", "content": "hi"}]}
    assert metered.http("POST", "/v1/chat/completions", openai, tenant=anna)[0] == other
    assert metered.posted(anna).attempts == []
    metered.boto3(bert).converse(modelId=NOVA, **converse_body(max_tokens=8))
    metered.agree(anna, bert)
    assert metered.bill(anna) == {}


def test_a_plan_that_is_not_there(metered: MeteredStack) -> None:
    with pytest.raises(BadRequest, match="no plan"):
        metered.control(lambda control: control.create_tenant("x", plan="no-such-tier"))


@pytest.mark.parametrize(
    "table",
    [
        {"service_tiers_allowed": ["default", "first-class"]},
        {"placement": "cloud"},
        {"requests_per_day": -1},
        {"requests_per_day": "100"},
        {"monthly_budget": "NaN"},
        {"no_such_limit": 1},
    ],
    ids=str,
)
def test_a_plan_that_is_wrong_does_not_load(
    metered: MeteredStack, table: dict[str, Any], tmp_path: Path
) -> None:
    with pytest.raises(PlanError):
        metered.control(lambda control: control.apply_plans({"wrong": table}))
    plans = metered.control(lambda control: control.list_plans())
    assert "wrong" not in [plan.name for plan in plans]


def test_the_command_line_says_what_is_wrong(metered: MeteredStack, tmp_path: Path) -> None:
    file = tmp_path / "plans.toml"
    file.write_text('[gold]\nservice_tiers_allowed = ["gold"]\n')
    done = subprocess.run(
        [sys.executable, "-m", "tenantry.entrypoints.cli.main", "plans", "apply", str(file)],
        capture_output=True,
        text=True,
        check=False,
        env={"TENANTRY_HOME": str(metered.home), "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
    )
    assert done.returncode == 1, done.stderr
    assert "tier" in done.stderr
    assert "gold" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
