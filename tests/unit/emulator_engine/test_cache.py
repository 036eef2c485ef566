"""The prompt cache, as usage shows it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from bedrock_emulator.engine import EmulatedError, Engine, TokenUsage

LONG = "Answer only from the handbook of the house. " * 200  # about 1,800 tokens
OTHER = "Never answer from the handbook of the garden. " * 200
POINT = {"cachePoint": {"type": "default"}}
HOUR = {"cachePoint": {"type": "default", "ttl": "1h"}}
HAIKU = "anthropic.claude-haiku-4-5-20251001-v1:0"


def body(*system: Any, question: Any = "hello", messages: Any = None) -> dict[str, Any]:
    blocks = [{"text": block} if isinstance(block, str) else block for block in system]
    asked = messages or [{"role": "user", "content": [{"text": question}]}]
    return {"system": blocks, "messages": asked}


def usage(engine: Engine, request: Any) -> TokenUsage:
    return engine.answer(request).usage


def test_the_first_call_writes_and_the_second_reads(fixed, call) -> None:
    first = usage(fixed, call(body(LONG, POINT)))
    second = usage(fixed, call(body(LONG, POINT, question="something else")))
    assert first.cache_write_5m > 1_024 and first.cache_read == 0
    assert second.cache_read == first.cache_write_5m and second.cache_write == 0


def test_parts_are_disjoint_and_add_up_to_the_whole_prompt(fixed, call) -> None:
    request = call(body(LONG, HOUR, OTHER, POINT))
    whole = fixed.prepare(request).input_tokens
    for _ in range(2):
        used = usage(fixed, request)
        assert used.input + used.cache_read + used.cache_write == whole
        assert 0 < used.input < 20


def test_writes_count_in_the_class_of_their_checkpoint(fixed, call) -> None:
    answer = fixed.answer(call(body(LONG, HOUR, OTHER, POINT)))
    assert answer.usage.cache_write_1h > 1_024 and answer.usage.cache_write_5m > 1_024
    assert answer.body["usage"]["cacheDetails"] == [
        {"ttl": "1h", "inputTokens": answer.usage.cache_write_1h},
        {"ttl": "5m", "inputTokens": answer.usage.cache_write_5m},
    ]


def test_a_prefix_under_the_models_minimum_is_not_cached(fixed, call) -> None:
    for model in ("anthropic.claude-sonnet-4-6", HAIKU):
        used = usage(fixed, call(body("Be brief.", POINT), model=model))
        assert used.cache_write == 0
    assert usage(fixed, call(body(LONG, POINT), model=HAIKU)).cache_write == 0
    assert usage(fixed, call(body(LONG, OTHER, OTHER, POINT), model=HAIKU)).cache_write > 4_096


@pytest.mark.parametrize(("point", "life_s"), [(POINT, 300), (HOUR, 3_600)])
def test_a_prefix_lives_for_its_class_and_a_read_renews_it(
    fixed, call, clock, point, life_s
) -> None:
    request = call(body(LONG, point))
    usage(fixed, request)
    for _ in range(3):
        clock.now_s += life_s - 1
        assert usage(fixed, request).cache_read
    clock.now_s += life_s
    assert usage(fixed, request).cache_write


def test_accounts_regions_and_models_share_nothing(fixed, call) -> None:
    usage(fixed, call(body(LONG, POINT)))
    for other in (
        {"account": "444455556666"},
        {"region": "eu-west-1"},
        {"model": "anthropic.claude-sonnet-4-6"},
    ):
        assert usage(fixed, call(body(LONG, POINT), **other)).cache_read == 0


def test_a_profile_shares_the_cache_of_its_model(fixed, call) -> None:
    usage(fixed, call(body(LONG, POINT)))
    profile = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
    assert usage(fixed, call(body(LONG, POINT), model=profile)).cache_read


def test_a_conversation_reads_the_prefix_of_its_last_turn(fixed, call) -> None:
    """The next turn has its checkpoint further on and still finds the older one."""
    turn = {"role": "user", "content": [{"text": LONG}, POINT]}
    first = usage(fixed, call(body(messages=[turn])))
    later = [
        {"role": "user", "content": [{"text": LONG}]},
        {"role": "assistant", "content": [{"text": "Yes."}]},
        {"role": "user", "content": [{"text": "And then?"}, POINT]},
    ]
    second = usage(fixed, call(body(messages=later)))
    assert second.cache_read == first.cache_write
    assert 0 < second.cache_write < 30


def test_a_changed_prefix_is_not_read(fixed, call) -> None:
    usage(fixed, call(body(LONG, POINT)))
    assert usage(fixed, call(body("x" + LONG, POINT))).cache_read == 0


def test_tools_come_before_the_system_prompt_in_the_prefix(fixed, call) -> None:
    spec = {"toolSpec": {"name": "t", "inputSchema": {"json": {"type": "object"}}}}
    with_tool = body(LONG, POINT) | {"toolConfig": {"tools": [spec]}}
    usage(fixed, call(body(LONG, POINT)))
    assert usage(fixed, call(with_tool)).cache_read == 0


def test_the_order_of_limits_is_held(fixed, call) -> None:
    with pytest.raises(EmulatedError, match="maximum of 4 blocks"):
        fixed.answer(call(body(*[LONG, POINT] * 5)))
    with pytest.raises(EmulatedError, match="must not come after"):
        fixed.answer(call(body(LONG, POINT, OTHER, HOUR)))
    with pytest.raises(EmulatedError, match="did not allow prompt caching") as caught:
        fixed.answer(call(body(LONG, POINT), model="meta.llama3-3-70b-instruct-v1:0"))
    assert (caught.value.name, caught.value.status) == ("AccessDeniedException", 403)


def test_anthropic_bodies_share_the_cache_rules(fixed, call) -> None:
    control = {"type": "ephemeral", "ttl": "1h"}
    native = {
        "anthropic_version": "bedrock-2023-05-31",
        "max_tokens": 10,
        "system": [{"type": "text", "text": LONG, "cache_control": control}],
        "messages": [{"role": "user", "content": "hello"}],
    }
    answer = fixed.answer(call(native, "InvokeModel"))
    creation = answer.body["usage"]["cache_creation"]
    assert creation["ephemeral_1h_input_tokens"] == answer.usage.cache_write_1h > 1_024
    again = fixed.answer(call(native, "InvokeModelWithResponseStream"))
    metrics = again.events[-1].payload["amazon-bedrock-invocationMetrics"]
    assert metrics["cacheReadInputTokenCount"] == answer.usage.cache_write_1h


def test_counts_hold_when_many_write_at_once(fixed, call) -> None:
    request = call(body(LONG, POINT))
    with ThreadPoolExecutor(8) as pool:
        all_used = list(pool.map(lambda _: usage(fixed, request), range(64)))
    assert sum(1 for used in all_used if used.cache_write) == 1
    assert len({used.cache_read + used.cache_write for used in all_used}) == 1
