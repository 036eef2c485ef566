"""The unmodified openai SDK against the edge."""

import base64
import gzip
import json
from typing import Any

import openai
import orjson
import pytest
from tests.support.http_edge import Edge
from tests.support.http_plain import post_json, send
from tests.support.http_services import converse_events

from tenantry.domain.errors import LargerThanLimit

MODEL = "amazon.nova-micro-v1:0"
MESSAGES: Any = [{"role": "user", "content": "hello"}]
PART = {"type": "text", "text": "a"}
TOOL = {"type": "function", "function": {"name": "t"}}


def client(edge: Edge, name: str = "acme") -> openai.OpenAI:
    return openai.OpenAI(api_key=f"tk_{name}", base_url=f"{edge.url}/v1", timeout=20)


def test_a_plain_completion(edge: Edge) -> None:
    with client(edge) as sdk:
        raw = sdk.chat.completions.with_raw_response.create(
            model=MODEL, messages=MESSAGES, user="ann"
        )
    done = raw.parse()
    assert done.choices[0].message.content == "Grüße, 世界 🌍"
    assert done.choices[0].finish_reason == "stop"
    assert done.usage is not None and done.usage.prompt_tokens_details is not None
    assert (done.usage.prompt_tokens, done.usage.completion_tokens) == (1_200, 500)
    assert done.usage.prompt_tokens_details.cached_tokens == 200
    assert raw.headers["x-tenantry-charge"] == "0.0315 USD"
    assert raw.headers["x-tenantry-tenant"] == "tnt_acme"
    assert '"requests_per_minute";q=300;w=60' in raw.headers["ratelimit-policy"]
    ctx, chat = edge.services.inference.asked[0]
    assert (ctx.user, ctx.wire, chat.operation) == ("ann", "openai", "Converse")


def test_a_stream_ends_with_usage_and_charge(edge: Edge) -> None:
    with client(edge) as sdk:
        chunks = list(
            sdk.chat.completions.create(
                model=MODEL,
                messages=MESSAGES,
                stream=True,
                stream_options={"include_usage": True},
            )
        )
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert text == "Grüße, 世界 🌍"
    assert chunks[-2].choices[0].finish_reason == "stop"
    assert chunks[-1].usage is not None and chunks[-1].usage.total_tokens == 1_700
    assert chunks[-1].model_extra == {"tenantry": {"charge": "0.0315 USD"}}


def test_without_usage_the_last_chunk_carries_the_charge(edge: Edge) -> None:
    status, headers, body = post_json(
        edge, "/v1/chat/completions", {"model": MODEL, "messages": MESSAGES, "stream": True}
    )
    events = [line for line in body.split(b"\n\n") if line]
    assert status == 200
    assert headers["content-type"].startswith("text/event-stream")
    assert events[-1] == b"data: [DONE]"
    assert b'"tenantry":{"charge":"0.0315 USD"}' in events[-2]
    assert b'"finish_reason":"stop"' in events[-2]


def test_tools_go_there_and_back(edge: Edge) -> None:
    edge.services.inference.answer = {
        "output": {
            "message": {
                "role": "assistant",
                "content": [
                    {"toolUse": {"toolUseId": "t1", "name": "weather", "input": {"city": "Bern"}}}
                ],
            }
        },
        "stopReason": "tool_use",
    }
    tools: Any = [{"type": "function", "function": {"name": "weather", "parameters": {}}}]
    with client(edge) as sdk:
        done = sdk.chat.completions.create(model=MODEL, messages=MESSAGES, tools=tools)
    (call,) = done.choices[0].message.tool_calls or []
    assert call.type == "function"
    assert (call.function.name, call.function.arguments) == ("weather", '{"city":"Bern"}')
    assert done.choices[0].finish_reason == "tool_calls"


def test_a_failure_inside_a_stream_reaches_the_sdk_as_an_error(edge: Edge) -> None:
    edge.services.inference.events = lambda: converse_events()[:3]
    with client(edge) as sdk:
        stream = sdk.chat.completions.create(model=MODEL, messages=MESSAGES, stream=True)
        with pytest.raises(openai.APIError, match="ended before"):
            list(stream)


@pytest.mark.parametrize("encoding", ["float", "base64", None])
def test_embeddings(edge: Edge, encoding: Any) -> None:
    with client(edge, "bolt") as sdk:
        extra = {} if encoding is None else {"encoding_format": encoding}
        done = sdk.embeddings.create(
            model="amazon.titan-embed-text-v2:0", input=["a", "b"], dimensions=8, **extra
        )
    first = done.data[0].embedding
    if encoding == "base64":
        assert isinstance(first, str) and len(base64.b64decode(first)) == 32
    else:
        assert len(first) == 8 and all(isinstance(x, float) for x in first)
    assert done.usage.prompt_tokens == 10
    assert edge.services.inference.asked[0][0].principal.tenant_id == "tnt_bolt"


def test_token_arrays_are_refused(edge: Edge) -> None:
    with client(edge) as sdk, pytest.raises(openai.BadRequestError, match="token ids"):
        sdk.embeddings.create(model="amazon.titan-embed-text-v2:0", input=[1, 2, 3])


def test_models(edge: Edge) -> None:
    with client(edge) as sdk:
        names = {model.id for model in sdk.models.list()}
        assert {"micro", MODEL} <= names
        assert "amazon.titan-embed-text-v2:0" not in names, "it has no price"
        assert sdk.models.retrieve(MODEL).owned_by == "amazon"
        arn = f"arn:aws:bedrock:us-east-1::foundation-model/{MODEL}"
        assert sdk.models.retrieve(arn).id == arn
        with pytest.raises(openai.NotFoundError) as caught:
            sdk.models.retrieve("nothing")
    assert (caught.value.code, caught.value.param) == ("model_not_found", "model")


def test_the_sdk_is_told_by_a_clear_error_what_is_not_supported(edge: Edge) -> None:
    with client(edge) as sdk, pytest.raises(openai.BadRequestError, match="`n`"):
        sdk.chat.completions.create(model=MODEL, messages=MESSAGES, n=2)
    assert len(edge.requests) == 1


@pytest.mark.parametrize(
    ("members", "param"),
    [
        ({"n": 2}, "n"),
        ({"logprobs": True}, "logprobs"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"temperature": 1.5}, "temperature"),
        ({"stop": ""}, "stop"),
        ({"stop": ["a"] * 2_501}, "stop"),
        ({"messages": MESSAGES * 10_001}, "messages"),
        ({"messages": [{"role": "user", "content": [PART] * 20_001}]}, "messages"),
        ({"tools": [TOOL] * 10_001}, "tools"),
        ({"user": " "}, "user"),
        ({"extra_body": {"foo": 1}}, "foo"),
    ],
)
def test_the_sdk_is_told_which_parameter_was_refused(
    edge: Edge, members: dict[str, Any], param: str
) -> None:
    with client(edge) as sdk, pytest.raises(openai.BadRequestError) as caught:
        sdk.chat.completions.create(**{"model": MODEL, "messages": MESSAGES, **members})
    assert caught.value.param == param
    assert len(edge.requests) == 1


def test_an_output_limit_over_the_plans_is_refused_by_its_own_name(edge: Edge) -> None:
    for limit in ("max_tokens", "max_completion_tokens"):
        edge.services.inference.refusal = LargerThanLimit("too many", of="output")
        with client(edge) as sdk, pytest.raises(openai.BadRequestError) as caught:
            sdk.chat.completions.create(model=MODEL, messages=MESSAGES, **{limit: 9})
        assert (caught.value.param, caught.value.code) == (limit, "larger_than_limit")


def test_metadata_of_any_text_is_taken_and_an_empty_user_is_none(edge: Edge) -> None:
    metadata = {"stage": "prod", "città": "Zürich!", **{f"k{i}": "v" * 512 for i in range(14)}}
    with client(edge, "bolt") as sdk:
        sdk.chat.completions.create(model=MODEL, messages=MESSAGES, metadata=metadata, user="")
        sdk.embeddings.create(model="amazon.titan-embed-text-v2:0", input="a", user="")
    (ctx, chat), (other, _) = edge.services.inference.asked
    assert ctx.user is None and other.user is None
    marks = chat.request_metadata
    assert (marks["stage"], marks["citt=C3=A0"], marks["k9"]) == (
        "prod",
        "Z=C3=BCrich=21",
        "v" * 256,
    )
    assert len(marks) == 12


def test_an_operation_that_is_not_served_is_refused_in_the_shape_that_the_sdk_reads(
    edge: Edge,
) -> None:
    with client(edge) as sdk, pytest.raises(openai.NotFoundError) as caught:
        sdk.files.list()
    assert caught.value.code == "no_such_route"
    assert "GET /v1/files" in caught.value.message
    assert caught.value.response.headers["x-tenantry-tenant"] == "tnt_acme"
    assert len(edge.requests) == 1


def test_the_responses_api_is_told_what_is_served(edge: Edge) -> None:
    with client(edge) as sdk, pytest.raises(openai.NotFoundError, match="/v1/chat/completions"):
        sdk.responses.create(model=MODEL, input="Hello")


def test_the_sdk_finds_the_request_id_where_it_looks(edge: Edge) -> None:
    with client(edge) as sdk:
        answered = sdk.chat.completions.with_raw_response.create(model=MODEL, messages=MESSAGES)
        assert answered.request_id == answered.headers["x-tenantry-request-id"]
        with pytest.raises(openai.NotFoundError) as caught:
            sdk.models.retrieve("nothing")
    assert caught.value.request_id == caught.value.response.headers["x-tenantry-request-id"]


@pytest.mark.parametrize("path", ["/v1/chat/completions", f"/model/{MODEL}/converse", "/v1/search"])
@pytest.mark.parametrize(
    "coding", ["gzip", "gzip, identity", "identity,GZIP", "gzip, gzip", "gzip;q=1", "x-unheard-of"]
)
def test_a_compressed_body_is_refused_as_that(edge: Edge, path: str, coding: str) -> None:
    status, _, body = send(
        edge, "POST", path, gzip.compress(b"{}"), headers={"content-encoding": coding}
    )
    assert status == 415 and b"with the content-encoding" in body
    assert edge.services.inference.asked == []


def test_a_route_takes_no_more_than_it_needs(edge: Edge) -> None:
    """What is read for nothing keeps all others waiting."""
    large = b" " * 1_000_000 + b"{}"
    for path, expected in (("/v1/keys", 413), ("/v1/users/erase", 413), ("/v1/embeddings", 400)):
        status, _, body = send(edge, "POST", path, large, key="tk_acme-admin")
        assert status == expected and (b"1,000,000 bytes" in body) == (expected == 413), body


def test_a_member_that_is_null_says_nothing(edge: Edge) -> None:
    nothing: Any = None
    with client(edge) as sdk:
        sdk.chat.completions.create(
            model=MODEL, messages=MESSAGES, audio=nothing, functions=nothing, stop=nothing
        )
        texts = {"model": "amazon.titan-embed-text-v2:0", "input": "a"}
        status, _, body = post_json(edge, "/v1/embeddings", {**texts, "encoding_format": None})
    assert status == 200 and isinstance(orjson.loads(body)["data"][0]["embedding"], list)


def test_a_coding_that_is_no_compression_is_not_looked_at(edge: Edge) -> None:
    body = {"model": MODEL, "messages": MESSAGES}
    for coding in ("UTF-8", "identity", "identity, identity", ""):
        sent = {"content-encoding": coding}
        assert post_json(edge, "/v1/chat/completions", body, headers=sent)[0] == 200


def test_a_long_integer_that_a_model_made_up_may_be_echoed(edge: Edge) -> None:
    wide = '{"id":987654321098765432109876543210,"least":[-9223372036854775809],"rate":0.1}'

    def asked(arguments: str) -> Any:
        call = {"id": "t", "type": "function"}
        function = {"name": "look", "arguments": arguments}
        return [
            *MESSAGES,
            {"role": "assistant", "tool_calls": [{**call, "function": function}]},
            {"role": "tool", "tool_call_id": "t", "content": wide},
        ]

    tools: Any = [{"type": "function", "function": {"name": "look"}}]
    with client(edge) as sdk:
        sdk.chat.completions.create(model=MODEL, messages=asked(wide), tools=tools)
        for arguments in (wide.replace("0.1", "NaN"), wide.replace("0.1", "9" * 5_000)):
            with pytest.raises(openai.BadRequestError, match="must be a JSON object"):
                sdk.chat.completions.create(model=MODEL, messages=asked(arguments))
    ((_, chat),) = edge.services.inference.asked
    _, used, told = chat.body["messages"]
    said = used["content"][0]["toolUse"]["input"]
    assert json.dumps(said, separators=(",", ":")) == wide
    assert told["content"][0]["toolResult"]["content"] == [{"text": wide}]
