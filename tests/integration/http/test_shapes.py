"""A body of too many pieces is refused before anything is made of them, in its API's words."""

from __future__ import annotations

import base64
import json
from typing import Any

import openai
import pytest
from botocore.exceptions import ClientError
from tests.support.http_edge import Edge
from tests.support.http_plain import post_json

from tenantry.domain.shape import BLOCKS_MAX, MESSAGES_MAX, STOPS_MAX
from tenantry.entrypoints.http.json_body import LONG_INTEGERS_MAX, VALUES_MAX

MODEL = "amazon.nova-micro-v1:0"
BLOCK = {"text": "x"}
WIDE = [10**20] * (LONG_INTEGERS_MAX + 1)


def user(*blocks: Any) -> dict[str, Any]:
    return {"role": "user", "content": list(blocks)}


def served(edge: Edge) -> list[str]:
    """Whose chats got as far as being asked for."""
    return [ctx.principal.tenant_id for ctx, _ in edge.services.inference.asked]


@pytest.mark.parametrize(
    ("request_", "bound"),
    [
        ({"messages": [user(BLOCK)] * (MESSAGES_MAX + 1)}, "10,000 messages"),
        ({"messages": [user(BLOCK)], "system": [BLOCK] * (BLOCKS_MAX + 1)}, "20,000 blocks"),
        (
            {
                "messages": [user(BLOCK)],
                "inferenceConfig": {"stopSequences": ["x"] * (STOPS_MAX + 1)},
            },
            "2,500 stop sequences",
        ),
        (
            {"messages": [user(BLOCK)], "additionalModelRequestFields": {"a": WIDE}},
            "1,000 integers that 64 bits do not hold",
        ),
    ],
)
def test_by_boto3(edge: Edge, request_: dict[str, Any], bound: str) -> None:
    sdk = edge.boto3()
    for call in (sdk.converse, sdk.converse_stream):
        with pytest.raises(ClientError, match=bound) as refused:
            call(modelId=MODEL, **request_)
        assert refused.value.response["Error"]["Code"] == "ValidationException"
    edge.boto3("bolt").converse(modelId=MODEL, messages=[user(BLOCK)])
    assert served(edge) == ["tnt_bolt"]


def test_by_a_native_body_and_what_is_counted(edge: Edge) -> None:
    native = json.dumps({"messages": [user(BLOCK)] * (MESSAGES_MAX + 1)})
    for path, body in (
        ("invoke", json.loads(native)),
        (
            "count-tokens",
            {"input": {"invokeModel": {"body": base64.b64encode(native.encode()).decode()}}},
        ),
        ("count-tokens", {"input": {"converse": json.loads(native)}}),
    ):
        status, _, said = post_json(edge, f"/model/{MODEL}/{path}", body, key="tk_acme")
        assert (status, b"10,000 messages" in said) == (400, True)
    content = [{"text": BLOCK}] * (BLOCKS_MAX + 1)
    apply = {"source": "INPUT", "content": content}
    status, _, said = post_json(edge, "/guardrail/gr1/version/1/apply", apply, key="tk_acme")
    assert (status, b"20,000 content blocks" in said) == (400, True)
    assert served(edge) == []


@pytest.mark.parametrize(
    ("messages", "bound"),
    [
        ([{"role": "user", "content": "x"}] * (MESSAGES_MAX + 1), "10,000 messages"),
        ([user(*[{"type": "text", "text": "x"}] * (BLOCKS_MAX + 1))], "20,000 content blocks"),
        (
            [
                {
                    "role": "assistant",
                    "tool_calls": [
                        {
                            "id": "t",
                            "type": "function",
                            "function": {
                                "name": "f",
                                "arguments": json.dumps({"a": [[]] * VALUES_MAX}),
                            },
                        }
                    ],
                }
            ],
            "250,000 JSON values",
        ),
    ],
)
def test_by_openai_s_sdk(edge: Edge, messages: Any, bound: str) -> None:
    with openai.OpenAI(api_key="tk_acme", base_url=f"{edge.url}/v1", timeout=20) as sdk:
        with pytest.raises(openai.BadRequestError, match=bound) as refused:
            sdk.chat.completions.create(model=MODEL, messages=messages)
        assert refused.value.type == "invalid_request_error"
    with openai.OpenAI(api_key="tk_bolt", base_url=f"{edge.url}/v1", timeout=20) as sdk:
        sdk.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": "x"}])
    assert served(edge) == ["tnt_bolt"]
