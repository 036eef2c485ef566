"""Over the wire: a run that asks for 64,000 tokens each time goes on as long as it can."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
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
def test_runs_until_input_and_256_tokens_are_not_left(metered: MeteredStack, wire: str) -> None:
    anna, bert = metered.tenants(PLAN)
    cap = Budget(anna.id, "run", "r36", "total", "cost", CAP)
    metered.control(lambda control: control.set_budget(cap))
    path, body = WIRES[wire]
    left, told = CAP, []
    while left >= BOUND * IN_PRICE + 256 * OUT_PRICE:
        most = int((left - BOUND * IN_PRICE) // OUT_PRICE)
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


def test_a_short_answer_is_not_lowered_below_what_was_asked(metered: MeteredStack) -> None:
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


def test_the_tightest_of_several_budgets_shortens(metered: MeteredStack) -> None:
    """Each bites in turn, in its own basis; the plan clamps for all, with or without a run."""
    anna, bert = metered.tenants({**PLAN, "clamp_output": True, "monthly_budget": "2"})
    key = anna.key.id
    caps: list[tuple[Any, str, Any, Any, str]] = [
        ("tenant", "", "day", "charge", "1.5"),
        ("api_key", key, "day", "cost", "0.4"),
        ("api_key", key, "total", "charge", "0.9"),
        ("run", "r36", "total", "cost", "0.2"),
        ("run", "r36", "day", "charge", "0.45"),
    ]
    for scope, scope_id, period, basis, limit in caps:
        cap = Budget(anna.id, scope, scope_id, period, basis, Decimal(limit))
        metered.control(lambda control, cap=cap: control.set_budget(cap))
    path, body = WIRES["converse-stream"]
    most = int((Decimal("0.45") / 3 - BOUND * IN_PRICE) // OUT_PRICE)  # the run's, in charge
    assert _ask(metered, anna, path, body)[1]["x-tenantry-max-tokens"] == str(most)
    spent = metered.posted(anna).cost
    left = min(Decimal("0.9") / 3 - spent, Decimal("0.4") - spent)  # the API key's
    most = int((left - BOUND * IN_PRICE) // OUT_PRICE)
    answer = metered.http("POST", path, body, tenant=anna)
    assert answer[1]["x-tenantry-max-tokens"] == str(most)
    metered.agree(anna, bert)


def test_calls_at_once_never_pass_the_cap(metered: MeteredStack) -> None:
    anna, bert = metered.tenants(PLAN)
    cap = Budget(anna.id, "run", "r36", "total", "cost", CAP)
    metered.control(lambda control: control.set_budget(cap))
    path, body = WIRES["converse"]

    def until_refused(_: int) -> int:
        for calls in range(100):
            if (status := _ask(metered, anna, path, body)[0]) == 402:
                return calls
            assert status == 200
        raise AssertionError("the run never ends")

    with ThreadPoolExecutor(8) as threads:
        answered = sum(threads.map(until_refused, range(8)))
    posted = metered.posted(anna)
    assert answered == len(posted.attempts) == metered.dispatched(anna) > 0
    assert posted.cost <= CAP
    # What is refused while others hold the rest may find room once they have settled.
    while _ask(metered, anna, path, body)[0] == 200:
        pass
    posted = metered.posted(anna)
    assert CAP - (BOUND * IN_PRICE + 256 * OUT_PRICE) < posted.cost <= CAP
    assert not {"overdraft", "over_reserved"} & posted.flags
    metered.agree(anna, bert)


def _ask(metered: MeteredStack, who: Tenant, path: str, body: dict[str, Any]) -> Reply:
    return metered.http("POST", path, body, tenant=who, headers={"x-tenantry-run": "r36"})
