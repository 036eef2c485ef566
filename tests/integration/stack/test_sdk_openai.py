"""The unmodified openai SDK through the gateway: chat plain and streamed, tools, embeddings."""

import base64
import json
import struct
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import openai
import pytest
from tests.support.stack import Stack, Tenant

from tenantry.domain import money

CLAUDE = "anthropic.claude-haiku-4-5-20251001-v1:0"
NOVA = "amazon.nova-micro-v1:0"
GPT_OSS = "openai.gpt-oss-20b-1:0"
TITAN = "amazon.titan-embed-text-v2:0"
# $ per 1M tokens, in and out, of the edition as shipped; the tenants' plan has markup 3.
PRICES = {CLAUDE: ("1", "5"), NOVA: ("0.035", "0.14"), GPT_OSS: ("0.07", "0.3")}
MESSAGES: Any = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "Hello."},
]
TOOL: Any = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather of a city.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
        },
    },
}
FORCED: Any = {"type": "function", "function": {"name": "weather"}}
models = pytest.mark.parametrize("model", PRICES)


@pytest.fixture
def sdk(stack: Stack, tenants: tuple[Tenant, Tenant]) -> Iterator[openai.OpenAI]:
    with stack.openai(tenants[0]) as client:
        yield client


def charge(model: str, usage: Any) -> str:
    price_in, price_out = (Decimal(price) for price in PRICES[model])
    exact = 3 * (usage.prompt_tokens * price_in + usage.completion_tokens * price_out) / 1_000_000
    return f"{money.plain(exact)} USD"


@models
def test_chat(sdk: openai.OpenAI, tenants: tuple[Tenant, Tenant], model: str) -> None:
    raw = sdk.chat.completions.with_raw_response.create(
        model=model, messages=MESSAGES, max_tokens=64, user="ute", metadata={"feature": "chat"}
    )
    answer = raw.parse()
    assert answer.object == "chat.completion"
    assert answer.model == model
    (choice,) = answer.choices
    assert choice.message.content
    assert choice.finish_reason == "stop"
    assert answer.usage is not None
    assert raw.headers["x-tenantry-charge"] == charge(model, answer.usage)
    assert raw.headers["x-tenantry-tenant"] == tenants[0].id
    assert raw.headers["x-tenantry-request-id"]


@models
def test_streamed_chat_with_its_usage(sdk: openai.OpenAI, model: str) -> None:
    ask: dict[str, Any] = {"model": model, "messages": MESSAGES, "max_tokens": 64}
    plain = sdk.chat.completions.create(**ask)
    with sdk.chat.completions.create(
        **ask, stream=True, stream_options={"include_usage": True}
    ) as stream:
        chunks = list(stream)
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert text == plain.choices[0].message.content
    assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] == "stop"
    last = chunks[-1]
    assert last.choices == []
    assert last.usage == plain.usage
    assert last.to_dict()["tenantry"] == {"charge": charge(model, last.usage)}
    assert not [c for c in chunks[:-1] if c.usage or "tenantry" in c.to_dict()]


def test_streamed_chat_without_usage_still_says_its_charge(sdk: openai.OpenAI) -> None:
    with sdk.chat.completions.create(model=NOVA, messages=MESSAGES, stream=True) as stream:
        chunks = list(stream)
    assert all(chunk.usage is None for chunk in chunks)
    assert chunks[-1].to_dict()["tenantry"]["charge"].endswith(" USD")  # type: ignore[index]
    assert chunks[-1].choices[0].finish_reason == "stop"


def test_a_limit_of_tokens_is_kept_and_told(sdk: openai.OpenAI) -> None:
    for name in ("max_tokens", "max_completion_tokens"):
        answer = sdk.chat.completions.create(model=NOVA, messages=MESSAGES, **{name: 3})  # type: ignore[call-overload]
        assert answer.choices[0].finish_reason == "length"
        assert answer.usage.completion_tokens == 3


def test_a_tool_is_called_and_answered(sdk: openai.OpenAI) -> None:
    messages: list[Any] = [{"role": "user", "content": "The weather in Oslo?"}]
    first = sdk.chat.completions.create(
        model=CLAUDE, messages=messages, tools=[TOOL], tool_choice=FORCED
    )
    (choice,) = first.choices
    assert choice.finish_reason == "tool_calls"
    assert choice.message.tool_calls is not None
    (call,) = choice.message.tool_calls
    assert call.type == "function"
    assert call.function.name == "weather"
    assert isinstance(json.loads(call.function.arguments), dict)
    messages += [
        choice.message,
        {"role": "tool", "tool_call_id": call.id, "content": "Sun."},
    ]
    second = sdk.chat.completions.create(model=CLAUDE, messages=messages, tools=[TOOL])
    assert second.choices[0].message.content


def test_a_streamed_tool_call(sdk: openai.OpenAI) -> None:
    with sdk.chat.completions.create(
        model=CLAUDE,
        messages=[{"role": "user", "content": "The weather in Oslo?"}],
        tools=[TOOL],
        tool_choice=FORCED,
        stream=True,
        stream_options={"include_usage": True},
    ) as stream:
        chunks = list(stream)
    calls = [call for c in chunks if c.choices for call in c.choices[0].delta.tool_calls or ()]
    assert calls[0].function is not None
    assert calls[0].function.name == "weather"
    arguments = "".join(call.function.arguments or "" for call in calls if call.function)
    assert isinstance(json.loads(arguments), dict)
    assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] == "tool_calls"
    assert chunks[-1].to_dict()["tenantry"] == {"charge": charge(CLAUDE, chunks[-1].usage)}


def test_embeddings(sdk: openai.OpenAI, tenants: tuple[Tenant, Tenant]) -> None:
    texts = ["One text.", "Another one.", "One text."]
    raw = sdk.embeddings.with_raw_response.create(
        model=TITAN, input=texts, dimensions=256, encoding_format="float"
    )
    answer = raw.parse()
    assert [item.index for item in answer.data] == [0, 1, 2]
    assert {len(item.embedding) for item in answer.data} == {256}
    assert answer.data[0].embedding == answer.data[2].embedding != answer.data[1].embedding
    exact = 3 * answer.usage.prompt_tokens * Decimal("0.02") / 1_000_000
    assert raw.headers["x-tenantry-charge"] == f"{money.plain(exact)} USD"
    assert raw.headers["x-tenantry-tenant"] == tenants[0].id


def test_embeddings_in_base64_are_the_same(stack: Stack, tenants: tuple[Tenant, Tenant]) -> None:
    """The SDK asks for base64 by itself and unpacks it; the wire is looked at beside it."""
    vectors = []
    for encoding in ("float", "base64"):
        body = {"model": TITAN, "input": "One.", "dimensions": 256, "encoding_format": encoding}
        answer = stack.api(tenants[0]).post("/v1/embeddings", body)
        vectors.append(answer.body["data"][0]["embedding"])
    packed = base64.b64decode(vectors[1])
    assert struct.unpack("<256f", packed) == struct.unpack(
        "<256f", struct.pack("<256f", *vectors[0])
    )


def test_models_are_those_of_the_catalogue(sdk: openai.OpenAI) -> None:
    names = {model.id for model in sdk.models.list()}
    assert {CLAUDE, NOVA, TITAN, "nova-micro"} <= names
    assert not {"openai.gpt-5.4", "anthropic.claude-mythos-5"} & names, "they have no price"
    for name in ("nova-micro", f"us.{NOVA}"):
        assert sdk.models.retrieve(name).id == name
    with pytest.raises(openai.NotFoundError):
        sdk.models.retrieve("no-such-model")


def test_an_alias_is_its_model(sdk: openai.OpenAI, stack: Stack) -> None:
    answer = sdk.chat.completions.create(model="nova-micro", messages=MESSAGES, max_tokens=8)
    assert answer.model == "nova-micro"
    assert answer.choices[0].message.content
