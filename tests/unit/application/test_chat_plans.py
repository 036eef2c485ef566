"""A chat whose budgets are asked again is judged once, and leaves as if it had been judged anew."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from tests.support.core import CLAUDE, GPT, NOVA, plan, principal
from tests.support.scripted import core

from tenantry.application.calls import ChatCall
from tenantry.application.chat_plans import ChatPlans
from tenantry.domain.chat_request import Clamp

SAID = [{"role": "user", "content": [{"text": "hello"}]}]
GUARDED = {"guardrailIdentifier": "gr1", "guardrailVersion": "1"}
CALLS = [
    ChatCall("Converse", CLAUDE.id, {"messages": SAID}),
    ChatCall("ConverseStream", NOVA.id, {"messages": SAID, "inferenceConfig": {"maxTokens": 900}}),
    ChatCall("Converse", CLAUDE.id, {"messages": SAID, "guardrailConfig": GUARDED}),
    ChatCall("InvokeModel", NOVA.id, {"messages": SAID}),
    ChatCall("InvokeModel", CLAUDE.id, {"messages": [{"content": "hello"}], "max_tokens": 2_000}),
    ChatCall("InvokeModel", GPT.id, {"messages": [{"content": "hello"}], "max_tokens": 800}),
    ChatCall("InvokeModel", GPT.id, {"messages": [{"content": "hello"}]}),
]
ACME = principal("acme", plan(max_tokens_default=700, preamble="Be brief."))
BOLT = principal("bolt", plan(max_tokens_ceiling=1_500, max_tokens_default=700))


def both(who: Any, call: ChatCall, *clamps: Clamp) -> list[tuple[Any, Any]]:
    """The plans of one chat under each of `clamps`, and each as it is planned by itself."""
    planning = core().planning

    async def made() -> list[tuple[Any, Any]]:
        catalogue = await planning.catalogue()
        plans = ChatPlans(planning, lambda _: call, catalogue, "salt")
        return [
            (plans.under(who, clamp), planning.chat(who, call, catalogue, "salt", clamp))
            for clamp in clamps
        ]

    return asyncio.run(made())


@pytest.mark.parametrize("who", [ACME, BOLT], ids=["acme", "bolt"])
@pytest.mark.parametrize("call", CALLS, ids=lambda call: f"{call.operation} {call.model}")
def test_under_each_clamp_as_planned_by_itself(call: ChatCall, who: Any) -> None:
    clamps = [Clamp(True, most) for most in (None, 699, 300, 1, None)]
    for again, alone in both(who, call, *clamps):
        assert again.body == alone.body
        assert (again.max_tokens, again.asked) == (alone.max_tokens, alone.asked)
        one, other = again.planned, alone.planned
        assert (one.output_least, one.pinned) == (other.output_least, other.pinned)
        assert one.bound.output_tokens == other.bound.output_tokens
        assert one.bound.guardrail_units == other.bound.guardrail_units
        # Where every byte counts, the digits of the first limit do too.
        assert 0 <= one.bound.input_tokens - other.bound.input_tokens <= 4
        assert call.model == GPT.id or one.bound == other.bound


def test_what_may_not_be_shortened_is_judged_once() -> None:
    (first, _), (second, _) = both(ACME, CALLS[0], Clamp(), Clamp(False, 5))
    assert second is first


def test_another_plan_is_planned_anew() -> None:
    planning = core().planning

    async def made() -> tuple[Any, Any]:
        plans = ChatPlans(planning, lambda _: CALLS[0], await planning.catalogue(), None)
        return plans.under(ACME, Clamp()), plans.under(BOLT, Clamp())

    ours, theirs = asyncio.run(made())
    assert "Be brief." in str(ours.body)
    assert "Be brief." not in str(theirs.body)
