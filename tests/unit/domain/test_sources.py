"""Nothing that a request only names is read for it: bytes and texts alone are taken."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
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
    assert bound_of_text_body({"inputText": "s3://a/b"}, TITAN).tokens


def test_what_is_there_is_taken() -> None:
    image_source({"format": "png", "source": BYTES})
    no_references({"images": ["data:image/png;base64,AA", "AAAA"], "temperature": 1, "stop": None})
    for body in (said(image(**BYTES)), said(document(text="a")), said(document(content=[]))):
        assert bound_of_converse(body, CLAUDE).tokens


AWAY = "s3://b/k"


@pytest.mark.parametrize(
    ("body", "member"),
    [
        ({"images": [" https://169.254.169.254/"]}, "images"),
        ({"images": ["\nhttps://a/"]}, "images"),
        ({"inputs": [{"content": [{"image_url": {"url": "\t https://a"}}]}]}, "url"),
        ({"inputs": [{"content": [{"image_url": "\u200bh\nttps://a"}]}]}, "image_url"),
        ({"mediaSource": {"s3Object": {"bucket": "b", "key": "k"}}}, "s3Object"),
        ({"mediaSource": {"object": {"Bucket-Name": "b", "key": "k"}}}, "Bucket-Name"),
        ({"mediaSource": {"s3-location": {"uri": " s3://b/k"}}}, "s3-location"),
        ({"mediaSource": {"location": {"at": " arn:aws:s3:::b/k"}}}, "at"),
        ({"media_source": {"content": AWAY}}, "content"),
        ({"video": {"videoUri": AWAY}}, "videoUri"),
        ({"inputVideo": AWAY}, "inputVideo"),
        ({"audio": "https://x"}, "audio"),
        ({"audio": "file:///etc/passwd"}, "audio"),
        ({"video_url": "https://x"}, "video_url"),
        ({"of-no-name": [{"x": ["HTTP://x"]}]}, "x"),
        ({"of_no_name": "A\tRN:aws:s3:::b/k"}, "of_no_name"),
        ({"parameters": {"image": AWAY}}, "image"),
        ({"properties": S3}, "s3Location"),
        ({"schema": S3}, "s3Location"),
        ({"extra": {"tools": [S3]}}, "s3Location"),
        ({"extra": {"metadata": {"audio": "https://x"}}}, "audio"),
        ({"model": AWAY}, "model"),
        ({"guardrailConfig": {"image": "arn:aws:s3:::b/k"}}, "image"),
    ],
)
def test_of_a_body_that_is_not_known(body: Any, member: str) -> None:
    """At any depth, in whatever case, with whatever blanks."""
    for refuse in (
        lambda: no_references(body),
        lambda: no_references({"additionalModelRequestFields": body}),
        lambda: bound_of_text_body({"prompt": "a", **body}, SEEING),
        lambda: bound_of_anthropic({**said(), **body}, CLAUDE),
        lambda: bound_of_text_body(body, replace(TITAN, family="another")),
    ):
        with pytest.raises(BadRequest, match=f"`{member}`"):
            refuse()


@pytest.mark.parametrize(
    ("message", "member"),
    [
        ({"role": "user", "content": "a", "images": ["https://x"]}, "images"),
        ({"role": "user", "content": "a", "audio": S3}, "s3Location"),
        ({"content": [{"type": "text", "text": "a", "metadata": S3}]}, "s3Location"),
        ({"content": [{"type": "image_url", "image_url": "data:,", "source": S3}]}, "s3Location"),
        (
            {"content": [{**anthropic("image", type="base64", data="AA"), "video_url": AWAY}]},
            "video_url",
        ),
    ],
)
def test_of_another_member_of_a_message(message: Any, member: str) -> None:
    with pytest.raises(BadRequest, match=f"`{member}`"):
        bound_of_text_body({"messages": [message]}, SEEING)


def test_of_a_system_prompt_that_nobody_knows_the_blocks_of() -> None:
    with pytest.raises(BadRequest, match="`s3Location`"):
        bound_of_text_body({"messages": [], "system": [image(**S3)]}, SEEING)


URL = "https://example.com is down: why?"
SCHEMA = {"$schema": "https://json-schema.org/", "properties": {"s3Uri": {"default": AWAY}}}


def test_words_may_begin_as_an_address_does() -> None:
    own = {
        "tools": [{"type": "function", "function": {"description": URL, "parameters": SCHEMA}}],
        "response_format": {"type": "json_schema", "json_schema": {"schema": SCHEMA}},
        "metadata": {"source": URL, "image": AWAY},
        "user": URL,
    }
    words = {"prompt": URL, "suffix": URL, "system": URL, "stop": [URL], "model": "arn:aws:bedrock"}
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": f'"{AWAY}"'}}
    messages = [
        {"role": "system", "name": URL, "content": URL},
        {"role": "assistant", "content": None, "tool_calls": [call], "reasoning_content": URL},
        {"role": "tool", "tool_call_id": "c", "content": [{"type": "text", "text": f" {URL}"}]},
    ]
    no_references({**own, **words, "system": [{"type": "text", "text": URL}]}, frozenset())
    assert bound_of_text_body({"messages": messages, **own, **words}, GPT).tokens
    more = {"system": URL, "stop_sequences": [URL], "metadata": {"user_id": URL}, "tools": []}
    schema = {"output_format": {"type": "json_schema", "schema": SCHEMA}}
    assert bound_of_anthropic({"messages": messages[:1], **more, **schema}, CLAUDE).tokens
    fields = {"stop_sequences": [URL], "response_format": SCHEMA, "output_config": SCHEMA}
    converse = {
        "system": [{"text": URL}],
        "inferenceConfig": {"stopSequences": [URL]},
        "promptVariables": {"source": {"text": URL}},
        "requestMetadata": {"source": URL},
        "guardrailConfig": {"guardrailIdentifier": "arn:aws:bedrock:us-east-1:1:guardrail/a"},
        "additionalModelRequestFields": fields,
    }
    assert bound_of_converse({**said({"text": URL}), **converse}, CLAUDE).tokens


@pytest.mark.parametrize(
    ("family", "body"),
    [
        ("titan_embed", {"inputText": URL, "dimensions": 256, "normalize": True}),
        ("titan_embed", {"inputText": URL, "embeddingTypes": ["float"], "inputImage": "AAAA"}),
        ("titan_embed", {"inputText": None, "embeddingConfig": {"outputEmbeddingLength": 256}}),
        ("cohere_embed", {"texts": [URL, AWAY], "input_type": "search_query", "truncate": "END"}),
        ("cohere_embed", {"inputs": [{"content": [{"type": "text", "text": URL}]}]}),
        (
            "cohere_embed",
            {"inputs": [{"content": [{"type": "image_url", "image_url": {"url": "data:,A"}}]}]},
        ),
        (
            "nova_embed",
            {
                "taskType": "SINGLE_EMBEDDING",
                "singleEmbeddingParams": {"text": {"truncationMode": "END", "value": URL}},
            },
        ),
        ("nova_embed", {"singleEmbeddingParams": {"image": {"source": {"bytes": "AAAA"}}}}),
        ("another", {"text": URL, "of_no_name": 1}),
    ],
)
def test_an_embedding_model_takes_what_is_known_of_it(family: str, body: Any) -> None:
    assert bound_of_text_body(body, replace(TITAN, family=family)).tokens


def nova(kind: str, **source: Any) -> dict[str, Any]:
    return {"singleEmbeddingParams": {kind: {"format": "png", "source": source}}}


@pytest.mark.parametrize(
    ("family", "body", "member"),
    [
        ("titan_embed", {"inputText": "a", "inputVideo": "AAAA"}, "inputVideo"),
        ("titan_embed", {"inputText": "a", "metadata": S3}, "metadata"),
        ("titan_embed", {"inputImage": " file:///etc/passwd"}, "inputImage"),
        ("titan_embed", {"embeddingConfig": {"output": S3}}, "embeddingConfig.output"),
        ("titan_embed", {"dimensions": S3}, "s3Location"),
        ("cohere_embed", {"texts": ["a"], "tools": [S3]}, "tools"),
        ("cohere_embed", {"texts": S3}, "s3Location"),
        ("cohere_embed", {"images": ["data:,A", " https://a"]}, "images"),
        ("cohere_embed", {"inputs": [{"content": [{"image_url": " https://a"}]}]}, "image_url"),
        ("cohere_embed", {"inputs": [{"content": [S3]}]}, "inputs.content.s3Location"),
        ("nova_embed", {"segmentedEmbeddingParams": {}}, "segmentedEmbeddingParams"),
        ("nova_embed", nova("image", **S3), "singleEmbeddingParams.image.source.s3Location"),
        ("nova_embed", nova("video", bytes=AWAY), "bytes"),
        ("nova_embed", nova("text", **S3), "singleEmbeddingParams.text.format"),
        (
            "nova_embed",
            {"singleEmbeddingParams": {"parameters": {"image": {"source": S3}}}},
            "singleEmbeddingParams.parameters",
        ),
    ],
)
def test_an_embedding_model_takes_nothing_else(family: str, body: Any, member: str) -> None:
    with pytest.raises(BadRequest, match=f"`{member}`"):
        bound_of_text_body(body, replace(TITAN, family=family))


PLAIN_NAMES = st.sampled_from(["a", "value", "media_type", "config", "parameters", "schema"])
PLAIN = st.none() | st.booleans() | st.integers() | st.text("abc/+= ", max_size=6)
TREES = st.recursive(
    PLAIN,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(PLAIN_NAMES, inner, max_size=3),
    max_leaves=10,
)
BLANKS = st.text(" \t\r\n\x00\x1f\u00a0\u200b\ufeff", max_size=4)


@given(
    st.lists(st.none() | PLAIN_NAMES, max_size=6),
    TREES,
    st.sampled_from(["s3", "arn", "http", "https", "S3", "HttpS"]),
    st.lists(BLANKS, min_size=7, max_size=7),
)
def test_an_address_is_found_wherever_it_stands(
    path: list[str | None], beside: Any, scheme: str, blanks: list[str]
) -> None:
    """Within whatever is not known: as a string in lists (None) and objects."""
    letters = "".join(f"{blank}{one}" for blank, one in zip(blanks, scheme, strict=False))
    value: Any = f"{letters}{blanks[-1]}://b/k"
    for name in path:
        value = [beside, value] if name is None else {name: value, "b": beside}
    with pytest.raises(BadRequest):
        no_references({"x": value})
    no_references({"x": beside})


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
