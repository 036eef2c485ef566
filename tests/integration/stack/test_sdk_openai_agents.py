"""What agents on the openai SDK send: tools of the past, cache marks, files, models not opened."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from tests.support.metered import CLAUDE, MeteredStack, text_of
from tests.support.stack import Stack, Tenant

MICRO = "amazon.nova-micro-v1:0"
NOVA = "amazon.nova-2-multimodal-embeddings-v1:0"
PRO = "amazon.nova-pro-v1:0"
TOOL: Any = {
    "type": "function",
    "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}},
}
CALL: Any = {"id": "t1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}
USED: list[Any] = [
    {"role": "user", "content": "The weather in Oslo?"},
    {"role": "assistant", "content": None, "tool_calls": [CALL]},
    {"role": "tool", "tool_call_id": "t1", "content": "Sun."},
]
NO_ACCESS = "You don't have access to the model with the specified model ID. Account 123456789012."


@pytest.fixture
def sdk(stack: Stack, tenants: tuple[Tenant, Tenant]) -> Iterator[openai.OpenAI]:
    with stack.openai(tenants[0]) as client:
        yield client


WITHOUT: list[dict[str, Any]] = [{}, {"tools": []}, {"tools": [TOOL], "tool_choice": "none"}]
# A result of no call beside tools is refused, by OpenAI too.
PAST = [*((USED, members) for members in (*WITHOUT, {"tools": [TOOL]})),
        *(([USED[0], USED[2]], members) for members in WITHOUT)]  # fmt: skip


@pytest.mark.parametrize(("messages", "members"), PAST)
def test_a_conversation_goes_on_after_a_tool(
    sdk: openai.OpenAI, messages: list[Any], members: dict[str, Any]
) -> None:
    answer = sdk.chat.completions.create(model=CLAUDE, messages=messages, max_tokens=32, **members)
    assert answer.choices[0].message.content
    assert not answer.choices[0].message.tool_calls


def test_a_file_alone_is_a_question(sdk: openai.OpenAI) -> None:
    data = base64.b64encode(b"Goods can be returned within 30 days.").decode()
    file = {"filename": "terms.txt", "file_data": f"data:text/plain;base64,{data}"}
    messages: list[Any] = [{"role": "user", "content": [{"type": "file", "file": file}]}]
    answer = sdk.chat.completions.create(model=PRO, messages=messages, max_tokens=32)
    assert answer.choices[0].message.content


def test_metadata_that_openai_takes_is_taken(sdk: openai.OpenAI) -> None:
    metadata = {"stage": "prod", "città": "Zürich!", **{f"k{i}": "v" * 512 for i in range(14)}}
    answer = sdk.chat.completions.create(
        model=MICRO, messages=USED[:1], max_tokens=8, metadata=metadata
    )
    assert answer.choices[0].message.content


def test_nova_embeds(sdk: openai.OpenAI) -> None:
    answer = sdk.embeddings.create(
        model=NOVA, input=["One.", "Two.", "One."], dimensions=256, encoding_format="float"
    )
    assert {len(item.embedding) for item in answer.data} == {256}
    assert answer.data[0].embedding == answer.data[2].embedding != answer.data[1].embedding
    assert answer.usage.prompt_tokens > 0


def test_a_cache_mark_caches_and_is_charged_as_bedrock_bills_it(metered: MeteredStack) -> None:
    anna, bert = metered.tenants(placement="silo")
    mark = {"type": "ephemeral", "ttl": "1h"}
    part = {"type": "text", "text": text_of(6_000), "cache_control": mark}
    messages: list[Any] = [
        {"role": "system", "content": [part]},
        {"role": "user", "content": "Hello."},
    ]
    with metered.openai(anna) as sdk:
        ask = {"model": CLAUDE, "messages": messages, "max_tokens": 8}
        read = [sdk.chat.completions.create(**ask).usage for _ in range(2)]
    cached = [usage.prompt_tokens_details.cached_tokens for usage in read]
    assert cached[0] == 0 and cached[1] >= 6_000
    written = [usage.prompt_tokens_details.cache_write_tokens for usage in read]
    assert written == [cached[1], 0]
    metered.agree(anna, bert)


@pytest.mark.parametrize(
    ("model", "ttl", "told"),
    [
        ("mistral.mistral-large-2407-v1:0", "5m", "has no price for cached prompts: leave out"),
        ("openai.gpt-oss-20b-1:0", "1h", "has no price for cached prompts: leave out"),
        (MICRO, "1h", "has no price for an hour in the cache: the ttl is 5m"),
    ],
)
def test_a_cache_mark_that_a_model_does_not_take_is_named(
    stack: Stack,
    tenants: tuple[Tenant, Tenant],
    sdk: openai.OpenAI,
    model: str,
    ttl: str,
    told: str,
) -> None:
    mark = {"type": "ephemeral", "ttl": ttl}
    part: Any = {"type": "text", "text": "Hello.", "cache_control": mark}
    for streams in (False, True):
        with pytest.raises(openai.BadRequestError) as caught:
            sdk.chat.completions.create(
                model=model, messages=[{"role": "user", "content": [part]}], stream=streams
            )
        assert (caught.value.param, caught.value.code) == ("cache_control", "bad_request")
        assert f"model {model} {told}" in str(caught.value)
    assert stack.ledger(tenants[0]) == {}


def test_a_model_that_is_not_open_is_asked_once(metered: MeteredStack) -> None:
    anna, bert = metered.tenants()
    metered.rule(anna, "error", status=403, code="AccessDeniedException", message=NO_ACCESS)
    for streams in (False, True):
        with (
            metered.openai(anna, max_retries=2) as sdk,
            pytest.raises(openai.PermissionDeniedError) as told,
        ):
            sdk.chat.completions.create(model=CLAUDE, messages=USED[:1], stream=streams)
        assert told.value.code == "model_not_allowed"
        assert told.value.response.headers["x-should-retry"] == "false"
        assert "123456789012" not in told.value.response.text
    posted = metered.posted(anna)
    assert posted.attempts == [(0, 1, "released", False)] * 2, "each was asked for once"
    assert (posted.cost, posted.charge, posted.held_charge) == (0, 0, 0)
    metered.agree(anna, bert)
