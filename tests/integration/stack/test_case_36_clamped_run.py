"""Case 36 over the wire: a run that asks for 64,000 tokens each time goes on as long as it can."""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from urllib.parse import quote

import pytest
from tests.support.metered import ANSWER_TOKENS, CLAUDE, MeteredStack
from tests.support.stack import Tenant
from tests.support.stack_clients import Reply

from tenantry.ports.control import Budget

CAP, ASKED = Decimal("0.25"), 64_000
OUT_PRICE, IN_PRICE = Decimal("0.000015"), Decimal("0.000003")
TEXT = "ok " * 989 + "ok"
BOUND = len(TEXT) + 32  # tokens of input that are reserved; about 1,000 are used
PLAN = {"max_tokens_ceiling": ASKED, "max_tokens_default": ASKED}
MESSAGES = [{"role": "user", "content": TEXT}]
CONVERSE = {
    "messages": [{"role": "user", "content": [{"text": TEXT}]}],
    "inferenceConfig": {"maxTokens": ASKED},
}
NATIVE = {"anthropic_version": "bedrock-2023-05-31", "max_tokens": ASKED, "messages": MESSAGES}
OPENAI = {"model": CLAUDE, "messages": MESSAGES, "max_completion_tokens": ASKED}
MODEL_PATH = f"/model/{quote(CLAUDE, safe='')}"
WIRES: dict[str, tuple[str, dict[str, Any]]] = {
    "converse": (f"{MODEL_PATH}/converse", CONVERSE),
    "converse-stream": (f"{MODEL_PATH}/converse-stream", CONVERSE),
    "invoke": (f"{MODEL_PATH}/invoke", NATIVE),
    "invoke-stream": (f"{MODEL_PATH}/invoke-with-response-stream", NATIVE),
    "openai": ("/v1/chat/completions", OPENAI),
    "openai-stream": ("/v1/chat/completions", {**OPENAI, "stream": True}),
    "absent": (f"{MODEL_PATH}/converse", {"messages": CONVERSE["messages"]}),
}


@pytest.mark.parametrize("wire", WIRES)
def test_case_36_runs_until_input_and_256_tokens_are_not_left(
    metered: MeteredStack, wire: str
) -> None:
    anna, bert = metered.tenants(PLAN)
    cap = Budget(anna.id, "run", "r36", "total", "cost", CAP)
    metered.control(lambda control: control.set_budget(cap))
    path, body = WIRES[wire]
    left, told = CAP, []
    while left >= BOUND * IN_PRICE + 256 * OUT_PRICE:
        most = int((left - BOUND * IN_PRICE) / OUT_PRICE)
        status, headers, answer = _ask(metered, anna, path, body)
        assert status == 200, answer
        assert int(headers["x-tenantry-max-tokens"]) == most
        told.append(most)
        left = CAP - metered.posted(anna).cost
    # The model writes 2,000 tokens where it may: a shorter answer shows what it was allowed.
    answered = [counts["output"] for counts in metered.bill(anna).values()]
    assert answered == [min(ANSWER_TOKENS, most) for most in told]
    assert answered[-1] < ANSWER_TOKENS
    assert len(told) >= 8
    refused = _ask(metered, anna, path, body)
    assert refused[0] == 402, refused[2]
    assert metered.dispatched(anna) == len(told)
    posted = metered.posted(anna)
    assert posted.cost == CAP - left <= CAP
    assert "overdraft" not in posted.flags
    # Without a run nobody is shortened, and the other tenant's run has a cap of its own.
    assert "x-tenantry-max-tokens" not in metered.http("POST", path, body, tenant=bert)[1]
    assert _ask(metered, bert, path, body)[0] == 200
    metered.agree(anna, bert)


def test_case_36_a_short_answer_is_not_lowered_below_what_was_asked(metered: MeteredStack) -> None:
    anna, bert = metered.tenants({**PLAN, "markup": "3"})
    one = BOUND * IN_PRICE + 100 * OUT_PRICE
    for limit, status in ((3 * one, 200), (3 * one - Decimal("1e-9"), 402)):
        cap = Budget(anna.id, "run", "r36", "day", "charge", limit)
        metered.control(lambda control, cap=cap: control.set_budget(cap))
        body = {**CONVERSE, "inferenceConfig": {"maxTokens": 100}}
        reply = _ask(metered, anna, WIRES["converse"][0], body)
        assert reply[0] == status, reply[2]
        assert "x-tenantry-max-tokens" not in reply[1]
    metered.agree(anna, bert)


def _ask(metered: MeteredStack, who: Tenant, path: str, body: dict[str, Any]) -> Reply:
    return metered.http("POST", path, body, tenant=who, headers={"x-tenantry-run": "r36"})
