"""Bedrock requests as calls: whatever comes is understood or refused."""

import base64
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenantry.application.exact_json import write
from tenantry.application.upstream import CLIENT_METADATA_MAX, OWN_METADATA
from tenantry.domain.errors import BadRequest
from tenantry.entrypoints.http.bedrock.metadata import request_metadata
from tenantry.entrypoints.http.bedrock.requests import (
    to_converse_call,
    to_count_tokens,
    to_invoke_call,
)

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False)
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner),
    max_leaves=8,
)
CONVERSE_MEMBERS = [
    "messages", "system", "inferenceConfig", "toolConfig", "guardrailConfig", "serviceTier",
    "additionalModelRequestFields", "promptVariables", "additionalModelResponseFieldPaths",
    "requestMetadata", "performanceConfig", "outputConfig",
]  # fmt: skip


def test_tier_and_metadata_are_taken_out_and_nulls_are_absent() -> None:
    body = {
        "messages": [{"role": "user", "content": [{"text": "hi"}]}],
        "system": None,
        "serviceTier": {"type": "flex"},
        "requestMetadata": {"team": "a"},
    }
    call = to_converse_call("m", body, "Converse")
    assert call.body == {"messages": body["messages"]}
    assert (call.service_tier, call.request_metadata) == ("flex", {"team": "a"})


@given(st.dictionaries(st.sampled_from([*CONVERSE_MEMBERS, "x"]), json_values))
def test_any_converse_body(body: dict[str, Any]) -> None:
    try:
        call = to_converse_call("m", body, "ConverseStream")
    except BadRequest:
        return
    assert "x" not in call.body
    assert not {"serviceTier", "requestMetadata"} & call.body.keys()


@given(json_values, st.sampled_from(["converse", "invokeModel", "x"]))
def test_any_count_tokens_body(value: Any, kind: str) -> None:
    text = base64.b64encode(orjson.dumps(value)).decode()
    for inner in (value, {kind: value}, {kind: {"body": value}}, {kind: {"body": text}}):
        body = {"input": inner}
        try:
            assert to_count_tokens("m", body) == body
        except BadRequest:
            continue


@pytest.mark.parametrize("tenant", ["acme", "globex"])
def test_what_is_counted_is_what_was_checked(tenant: str) -> None:
    """A member that stands there twice leaves once, an integer with all of its digits."""
    source = f'{{"type":"document","source":{{"type":"url","url":"s3://{tenant}/x"}}}}'
    first = f'"messages":[{{"role":"user","content":[{source}]}}]'
    last = '"messages":[{"role":"user","content":[{"type":"tool_use","input":{"n":%s}}]}]' % 10**30
    for text, leaves in (
        (f'{{"max_tokens":5, {first},{last}}}', f'{{"max_tokens":5,{last}}}'),
        ('{ "x": 1.50, "y": "\u00e4", "x": 12345678901234567 }', '{"x":12345678901234567,"y":"ä"}'),
    ):
        body = {"input": {"invokeModel": {"body": base64.b64encode(text.encode()).decode()}}}
        sent = orjson.loads(write(to_count_tokens("m", body)))
        assert base64.b64decode(sent["input"]["invokeModel"]["body"]).decode() == leaves


@given(st.binary(max_size=30) | json_values.map(orjson.dumps), st.text(max_size=30))
def test_any_invoke_body_and_metadata(body: bytes, metadata: str) -> None:
    headers = {"x-amzn-bedrock-request-metadata": metadata, "x-tenantry-tenant": "tnt_b"}
    try:
        call = to_invoke_call("m", body, headers, "InvokeModel")
    except BadRequest:
        return
    assert call.headers == {}


@given(st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=16))
def test_metadata_is_the_clients_own_or_refused(value: dict[str, str]) -> None:
    try:
        held = request_metadata(value)
    except BadRequest:
        return
    assert held == value
    assert len(held) <= CLIENT_METADATA_MAX and not OWN_METADATA & held.keys()


@pytest.mark.parametrize("model", ["", "a\nb", "a\x00", "x" * 2_049])
def test_a_model_id_that_is_none(model: str) -> None:
    with pytest.raises(BadRequest):
        to_converse_call(model, {}, "Converse")


@pytest.mark.parametrize("key", sorted(OWN_METADATA))
def test_metadata_that_attributes_a_call_is_ours_alone(key: str) -> None:
    with pytest.raises(BadRequest, match=f"reserved key `{key}`"):
        request_metadata({key: "tnt_other"})
    with pytest.raises(BadRequest, match=f"^`metadata` must not hold the reserved key `{key}`"):
        request_metadata({key: "tnt_other"}, field="metadata")


def test_a_native_body_keeps_its_whole_numbers() -> None:
    body = b'{"messages": [{"content": [{"type": "tool_use", "input": {"id": %d}}]}]}'
    for number in (2**64 - 1, 2**64, 10**30):
        read = to_invoke_call("m", body % number, {}, "InvokeModel").body
        assert write(read) == (body % number).replace(b" ", b"")
    with pytest.raises(BadRequest, match="The request body holds the integer 18446744073709551616"):
        to_invoke_call("m", b'{"messages": [], "max_tokens": %d}' % 2**64, {}, "InvokeModel")
