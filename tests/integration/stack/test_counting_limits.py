"""CountTokens is free of charge, and not of limits: it takes a slot and one of the minute."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from botocore.exceptions import ClientError
from tests.support.stack import Stack, Tenant

CLAUDE = "anthropic.claude-haiku-4-5-20251001-v1:0"
COUNTED = {"converse": {"messages": [{"role": "user", "content": [{"text": "hello"}]}]}}
ASKED = 12
SLOW_MS = 500


def count(stack: Stack, tenant: Tenant) -> str:
    """What came of one call: `counted`, or the error's code."""
    try:
        answer = stack.boto3(tenant).count_tokens(modelId=CLAUDE, input=COUNTED)
    except ClientError as refused:
        return str(refused.response["Error"]["Code"])
    assert "x-tenantry-charge" not in answer["ResponseMetadata"]["HTTPHeaders"]
    return "counted" if answer["inputTokens"] > 0 else "nothing"


def check_books(stack: Stack, *tenants: Tenant) -> None:
    stack.wait_settled(*tenants)
    for tenant in tenants:
        (row,) = stack.rows(
            "SELECT in_flight, day_requests FROM tenantry.counter WHERE tenant_id = $1", tenant.id
        )
        assert (row["in_flight"], row["day_requests"]) == (0, 0)
        assert stack.ledger(tenant) == {}
    assert stack.violations() == []


def test_at_once_no_more_leave_than_the_plan_allows(stack: Stack) -> None:
    anna, bert = stack.tenants({"concurrent_requests": 2, "requests_per_day": 1})
    match = {"operation": "CountTokens"}
    stack.emulator.rules(
        {"match": match, "action": {"kind": "slow_first_token", "delay_ms": SLOW_MS}}
    )
    try:
        with ThreadPoolExecutor(ASKED) as pool:
            came = list(pool.map(lambda _: count(stack, anna), range(ASKED)))
            assert count(stack, bert) == "counted"
    finally:
        stack.emulator.clear_rules()
    assert set(came) == {"counted", "ThrottlingException"}
    check_books(stack, anna, bert)
    assert count(stack, anna) == "counted", "its slots are free again"


def test_in_a_minute_and_not_in_a_day(stack: Stack) -> None:
    anna, bert = stack.tenants({"requests_per_minute": 3, "requests_per_day": 1})
    came = [count(stack, anna) for _ in range(5)]
    assert came == ["counted"] * 3 + ["ThrottlingException"] * 2
    assert count(stack, bert) == "counted"
    check_books(stack, anna, bert)


@pytest.mark.parametrize("limit", ["requests_per_minute", "concurrent_requests"])
def test_a_limit_of_nothing_lets_nothing_pass(stack: Stack, limit: str) -> None:
    anna, bert = stack.tenant({limit: 0}), stack.tenant()
    assert (count(stack, anna), count(stack, bert)) == ("ValidationException", "counted")
