"""Nothing that a request only names is read for it: bytes and texts alone are taken."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tests.support.core import CLAUDE, GPT, TITAN

from tenantry.domain.bound import bound_of_anthropic, bound_of_converse, bound_of_text_body
from tenantry.domain.errors import BadRequest
from tenantry.domain.shape import BLOCKS_MAX, MESSAGES_MAX, STOPS_MAX, TOOLS_MAX, check_shape
from tenantry.domain.sources import image_source, no_references

S3: dict[str, Any] = {"s3Location": {"uri": "s3://records/tnt_bolt.jsonl", "bucketOwner": "1"}}
BYTES = {"bytes": "AAAA"}
SEEING = replace(GPT, image_tokens_max=1_000)


def image(**source: Any) -> dict[str, Any]:
    return {"image": {"format": "png", "source": source}}


def document(**source: Any) -> dict[str, Any]:
    return {"document": {"format": "txt", "name": "d", "source": source}}


def result(*blocks: Any) -> dict[str, Any]:
    return {"toolResult": {"toolUseId": "t", "content": list(blocks)}}


def said(*blocks: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": list(blocks)}]}


@pytest.mark.parametrize(
    ("body", "member"),
    [
        (said(image(**S3)), "image.source.s3Location"),
        (said(image(**S3, **BYTES)), "image.source.s3Location"),
        (said(document(**S3)), "document.source.s3Location"),
        (said(document(**S3, text="a")), "document.source.s3Location"),
        (said(document(other={})), "document.source.other"),
        (said({"document": {"name": "d", "source": BYTES, **S3}}), "document.s3Location"),
        (said({"image": {"source": BYTES, **S3}}), "image.s3Location"),
        (said(result(image(**S3))), "image.source.s3Location"),
        (said(result(result(document(**S3)))), "document.source.s3Location"),
        (said({"guardContent": image(**S3)}), "guardContent.image.source.s3Location"),
        (said({"searchResult": {"content": [S3]}}), "s3Location"),
        (said({"citationsContent": {"content": [S3]}}), "s3Location"),
        ({"system": [document(**S3)]}, "document.source.s3Location"),
        ({"additionalModelRequestFields": {"a": [{"b": S3}]}}, "s3Location"),
        ({"additionalModelRequestFields": {"media_source": {"s3Uri": "s3://a/b"}}}, "s3Uri"),
        ({"additionalModelRequestFields": {"media": {"uri": "S3://a/b"}}}, "uri"),
        ({"additionalModelRequestFields": {"mcp_servers": [{"url": "a"}]}}, "mcp_servers"),
        ({"additionalModelRequestFields": {"container": "of-another"}}, "container"),
        ({"additionalModelRequestFields": said(image(**BYTES))}, "messages"),
        ({"additionalModelRequestFields": {"system": [image(**BYTES)]}}, "system"),
    ],
)
def test_of_converse(body: Any, member: str) -> None:
    with pytest.raises(BadRequest) as refused:
        bound_of_converse(body, CLAUDE)
    assert member in refused.value.message


@pytest.mark.parametrize("kind", ["video", "audio"])
@pytest.mark.parametrize("source", [S3, BYTES])
def test_films_and_sounds_are_refused_from_anywhere(kind: str, source: Any) -> None:
    with pytest.raises(BadRequest, match=kind):
        bound_of_converse(said(result({kind: {"format": "mp4", "source": source}})), CLAUDE)


def anthropic(kind: str, **source: Any) -> dict[str, Any]:
    return {"type": kind, "source": source}


@pytest.mark.parametrize(
    ("block", "member"),
    [
        (anthropic("image", type="url", url="https://a/b"), "image.source.type url"),
        (anthropic("image", type="file", file_id="f"), "image.source.type file"),
        (anthropic("image", type="base64", data="AA", **S3), "image.source.s3Location"),
        (anthropic("image", **S3), "image.source.type"),
        ({"type": "image"}, "source"),
        (anthropic("document", type="url", url="s3://a/b"), "document.source.type url"),
        (anthropic("document", type="s3", uri="s3://a/b"), "document.source.type s3"),
        (
            {"type": "tool_result", "content": [anthropic("image", type="url", url="s3://a")]},
            "image.source.type url",
        ),
        (
            anthropic("document", type="content", content=[anthropic("image", type="url")]),
            "image.source.type url",
        ),
        ({"type": "search_result", "content": [S3]}, "s3Location"),
    ],
)
def test_of_anthropic(block: Any, member: str) -> None:
    with pytest.raises(BadRequest) as refused:
        bound_of_anthropic(said(block), CLAUDE)
    assert member in refused.value.message


@pytest.mark.parametrize("name", ["mcp_servers", "container"])
def test_what_the_provider_would_reach_for_anthropic(name: str) -> None:
    with pytest.raises(BadRequest, match=name):
        bound_of_anthropic({**said(), name: [{"url": "https://a"}]}, CLAUDE)


@pytest.mark.parametrize(
    ("body", "member"),
    [
        (said({"type": "image_url", "image_url": {"url": "s3://a/b"}}), "image_url.url"),
        (said({"type": "image_url", "image_url": "https://a/b"}), "image_url.url"),
        (said({"type": "image_url"}), "image_url.url"),
        (said({"type": "image", "source": S3}), "image.source"),
        (said({"type": "text", "text": "a", **S3}), "s3Location"),
        ({"messages": [{"content": S3}]}, "content"),
        ({"prompt": "a", "images": ["s3://a/b"]}, "images"),
        ({"inputImage": "s3://a/b"}, "inputImage"),
        ({"mediaSource": S3}, "s3Location"),
        ({"params": {"image": {"source": S3}}}, "s3Location"),
        ({"inputs": [{"content": [{"image_url": {"url": "https://a"}}]}]}, "url"),
        ({"outputDataConfig": {"s3OutputDataConfig": {"s3Uri": "s3://a"}}}, "outputDataConfig"),
    ],
)
def test_of_any_other_body(body: Any, member: str) -> None:
    with pytest.raises(BadRequest) as refused:
        bound_of_text_body(body, SEEING)
    assert member in refused.value.message


def test_a_client_s_own_json_and_words_are_its_own() -> None:
    schema = {"type": "object", "properties": {"s3Location": {"type": "string"}, "url": S3}}
    spec = {"toolSpec": {"name": "f", "inputSchema": {"json": schema}}}
    use = {"toolUse": {"toolUseId": "t", "name": "f", "input": {**S3, "uri": "s3://a/b"}}}
    label = {"searchResult": {"source": "s3://a/b", "title": "t", "content": [{"text": "x"}]}}
    body = said({"text": "s3://a/b"}, use, result({"json": S3}), label)
    own = {"textFormat": {"structure": {"jsonSchema": {"schema": '{"s3Uri": 1}'}}}}
    fields = {"tools": [{"name": "f", "input_schema": schema}]}
    config = {"toolConfig": {"tools": [spec]}, "additionalModelRequestFields": fields}
    assert bound_of_converse({**body, **config, "outputConfig": own}, CLAUDE).tokens
    call = {"type": "tool_use", "id": "t", "name": "f", "input": S3}
    tools = {"tools": [{"name": "f", "input_schema": schema}]}
    assert bound_of_anthropic({**said(call), **tools}, CLAUDE).tokens
    function = {"type": "function", "function": {"name": "f", "parameters": schema}}
    assert bound_of_text_body({"messages": [], "tools": [function]}, GPT).tokens
    texts = {"inputText": "s3://a/b", "texts": ["s3://a/b", "https://c"]}
    assert bound_of_text_body(texts, TITAN).tokens


def test_what_is_there_is_taken() -> None:
    image_source({"format": "png", "source": BYTES})
    no_references({"images": ["data:image/png;base64,AA", "AAAA"], "temperature": 1, "stop": None})
    for body in (said(image(**BYTES)), said(document(text="a")), said(document(content=[]))):
        assert bound_of_converse(body, CLAUDE).tokens


@pytest.mark.parametrize(
    ("body", "bound"),
    [
        ({"messages": [{}] * (MESSAGES_MAX + 1)}, "10,000 messages"),
        ({"toolConfig": {"tools": [{}] * (TOOLS_MAX + 1)}}, "10,000 tools"),
        ({"tools": [{}] * (TOOLS_MAX + 1)}, "10,000 tools"),
        ({"system": [{}] * (BLOCKS_MAX + 1)}, "20,000 blocks in `system`"),
        ({"inferenceConfig": {"stopSequences": ["x"] * (STOPS_MAX + 1)}}, "2,500 stop sequences"),
        ({"stop": ["x"] * (STOPS_MAX + 1)}, "2,500 stop sequences"),
    ],
)
def test_a_shape_has_bounds_that_are_told(body: Any, bound: str) -> None:
    with pytest.raises(BadRequest, match=f"more than {bound}"):
        check_shape(body)


@pytest.mark.parametrize("inside", [False, True])
def test_blocks_at_any_depth_are_counted_together(inside: bool) -> None:
    half = [{"text": "a"}] * (BLOCKS_MAX // 2)
    nested = [result(*half), result(*half)]
    bound_of_converse(said(*half, *half), CLAUDE)
    with pytest.raises(BadRequest, match="20,000 content blocks"):
        bound_of_converse(said(*nested) if inside else said(*half, *half, {"text": "a"}), CLAUDE)
    texts = [{"type": "text", "text": "a"}] * (BLOCKS_MAX + 1)
    for bound_of, model in ((bound_of_anthropic, CLAUDE), (bound_of_text_body, GPT)):
        with pytest.raises(BadRequest, match="20,000 content blocks"):
            bound_of(said(*texts), model)
