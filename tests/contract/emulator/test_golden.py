"""The engine against recorded exchanges with Amazon Bedrock: same members, orders, words.

`recorded_facts.json` holds what the recordings show, without their texts. Each test builds an
equivalent request, since a fact is a fact of the service and not of one prompt.
"""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from bedrock_emulator.engine import Call, EmulatedError, Engine
from bedrock_emulator.engine.types import Operation

FACTS: dict[str, Any] = json.loads(Path(__file__).with_name("recorded_facts.json").read_text())
ACCOUNT = "123456789012"
TITAN = "amazon.titan-embed-text-v2:0"
# Members that the service added after the older recordings were made.
NEWER_USAGE = {"serverToolUsage", "cacheDetails"}
NEWER_TOOL_MEMBERS = {"type"}
TOOL = {
    "toolSpec": {
        "name": "get_file",
        "inputSchema": {"json": {"type": "object", "properties": {}}},
    }
}
SCHEMA = '{"type": "object", "properties": {"city": {"type": "string"}}}'


def fact_id(fact: dict[str, Any]) -> str:
    return "-".join([fact["model"], *(fact.get("with") or ()), fact.get("stop_reason", "")])


@pytest.fixture
def engine() -> Engine:
    return Engine()


@pytest.fixture
def fixed() -> Engine:
    return Engine(mode="fixed", lookup=lambda arn: TITAN)


def call(operation: Operation, model: str, body: Any) -> Call:
    region = "eu-central-1" if model.startswith("eu.") else "us-east-1"
    return Call(operation, model, ACCOUNT, region, body)


def request_like(fact: dict[str, Any]) -> dict[str, Any]:
    """A request with the same features as a recorded one."""
    features = fact["with"]
    body: dict[str, Any] = {
        "messages": [{"role": "user", "content": [{"text": "What is in the file?"}]}],
        "system": [{"text": "Answer in one sentence."}],
        "inferenceConfig": {},
    }
    if "cache_point" in features:
        long = {"text": "Answer in one sentence. " * 300}
        body["system"] += [long, {"cachePoint": {"type": "default"}}]
    if "tools" in features:
        choice = {"any": {}} if fact.get("stop_reason") == "tool_use" else {"auto": {}}
        body["toolConfig"] = {"tools": [TOOL], "toolChoice": choice}
    if "schema" in features:
        structure = {"jsonSchema": {"name": "City", "schema": SCHEMA}}
        body["outputConfig"] = {"textFormat": {"type": "json_schema", "structure": structure}}
    # A recorded model chose its tool; one that is forced to may not think, and says no less.
    if "thinking" in features and "any" not in body.get("toolConfig", {}).get("toolChoice", ()):
        body["additionalModelRequestFields"] = {
            "thinking": {"type": "enabled", "budget_tokens": 1_024}
        }
    if fact.get("stop_reason") == "max_tokens":
        body["inferenceConfig"]["maxTokens"] = 5
    return body


PLAIN = [fact for fact in FACTS["converse"] if "system_tool" not in fact["with"]]


@pytest.mark.parametrize("fact", PLAIN, ids=fact_id)
def test_converse_has_the_recorded_members(
    engine: Engine, fixed: Engine, fact: dict[str, Any]
) -> None:
    request = call("Converse", fact["model"], request_like(fact))
    answer = (fixed if "cache_point" in fact["with"] else engine).answer(request)
    assert sorted(answer.body) == fact["members"]
    assert answer.body["stopReason"] == fact["stop_reason"]
    assert set(answer.body["usage"]) - NEWER_USAGE == set(fact["usage"]) - NEWER_USAGE


@pytest.mark.parametrize("fact", PLAIN, ids=fact_id)
def test_content_blocks_have_the_recorded_members(engine: Engine, fact: dict[str, Any]) -> None:
    """Which blocks come is the model's choice; what stands in each is the service's."""
    recorded = dict(block.split(":") for block in fact["blocks"])
    fact = {**fact, "with": [name for name in fact["with"] if name != "cache_point"]}
    content = engine.answer(call("Converse", fact["model"], request_like(fact))).body
    for block in content["output"]["message"]["content"]:
        ((kind, value),) = block.items()
        members = set(value) if isinstance(value, dict) else set()
        if kind in recorded and recorded[kind] != "redactedContent":
            expected = set(filter(None, recorded[kind].split(",")))
            assert members - NEWER_TOOL_MEMBERS == expected - NEWER_TOOL_MEMBERS
        if kind == "toolUse":
            assert value["toolUseId"].startswith("tooluse_")


@pytest.mark.parametrize(
    ("model", "kinds"),
    [
        ("us.deepseek.r1-v1:0", ["text", "reasoningContent"]),
        ("moonshot.kimi-k2-thinking", ["reasoningContent", "text"]),
        ("openai.gpt-oss-120b-1:0", ["reasoningContent", "text"]),
    ],
)
def test_reasoning_stands_where_the_recorded_model_has_it(
    engine: Engine, model: str, kinds: list[str]
) -> None:
    body = request_like({"with": []})
    content = engine.answer(call("Converse", model, body)).body["output"]["message"]["content"]
    assert [next(iter(block)) for block in content] == kinds


def delta_name(payload: dict[str, Any]) -> str:
    ((kind, value),) = payload["delta"].items()
    return f"{kind}.{next(iter(value))}" if kind == "reasoningContent" else kind


def order_of(events: Any) -> list[str]:
    """Event types in order, runs of equal ones as one."""
    names: list[str] = []
    for event in events:
        name = event.type
        if name == "contentBlockDelta":
            name += ":" + delta_name(event.payload)
        elif name == "contentBlockStart":
            name += ":" + next(iter(event.payload["start"]))
        if not names or names[-1] != name:
            names.append(name)
    return names


def comparable(order: list[str]) -> list[str]:
    """An order without what a model may choose: empty text first, redaction of its thoughts."""
    folded = " ".join(order).replace(
        "contentBlockDelta:reasoningContent.redactedContent contentBlockStop "
        "contentBlockDelta:reasoningContent.redactedContent",
        "contentBlockDelta:reasoningContent.text contentBlockDelta:reasoningContent.signature",
    )
    first_is_empty_text = (
        "contentBlockDelta:text contentBlockStop contentBlockDelta:reasoningContent.text"
    )
    return folded.replace(first_is_empty_text, "contentBlockDelta:reasoningContent.text").split()


STREAMS = [fact for fact in FACTS["converse_stream"] if "system_tool" not in fact["with"]]


@pytest.mark.parametrize("fact", STREAMS, ids=fact_id)
def test_streams_have_the_recorded_order_and_members(engine: Engine, fact: dict[str, Any]) -> None:
    events = engine.answer(call("ConverseStream", fact["model"], request_like(fact))).events
    assert order_of(events) == comparable(fact["order"])
    for event in events:
        if event.type in fact["members"]:
            padded = sorted([*event.payload, "p"])  # the wire pads the frames
            assert padded == fact["members"][event.type]
    usage = events[-1].payload["usage"]
    assert set(usage) - NEWER_USAGE == set(fact["usage"]) - NEWER_USAGE


def test_a_streamed_tool_use_has_the_recorded_events(engine: Engine) -> None:
    """The recorded one also ran a tool of Nova's own, which the emulator does not have."""
    fact = next(f for f in FACTS["converse_stream"] if "system_tool" in f["with"])
    body = request_like({"with": ["tools"], "stop_reason": "tool_use"})
    body["toolConfig"]["tools"] = [
        {"toolSpec": {"name": "t", "inputSchema": {"json": json.loads(SCHEMA)}}}
    ]
    events = engine.answer(call("ConverseStream", fact["model"], body)).events
    start = fact["order"].index("contentBlockStart:toolUse")
    assert order_of(events)[1:4] == fact["order"][start : start + 3]
    assert order_of(events)[-2:] == fact["order"][-2:]


def refused_body(fact: dict[str, Any]) -> Any:
    content: list[dict[str, Any]] = [{"text": "hello"}]
    if fact["with"] == "video":
        content.append({"video": {"format": "mp4", "source": {"bytes": "AAAA"}}})
    if fact["with"] == "image_s3":
        location = {"s3Location": {"uri": "s3://bucket/kiwi.jpg"}}
        content.append({"image": {"format": "jpeg", "source": location}})
    converse = {"messages": [{"role": "user", "content": content}]}
    if fact["operation"] != "count-tokens":
        return converse
    native = {
        "anthropic_version": "bedrock-2023-05-31",
        "max_tokens": 16,
        "messages": [{"role": "user", "content": "hello"}],
    }
    if fact["with"] == "server_tool":
        native["tools"] = [{"type": "web_search_20250305", "name": "web_search"}]
    encoded = base64.b64encode(json.dumps(native).encode()).decode()
    return {"input": {"invokeModel": {"body": encoded}}}


OPERATIONS: dict[str, Operation] = {
    "converse": "Converse",
    "converse-stream": "ConverseStream",
    "count-tokens": "CountTokens",
}


@pytest.mark.parametrize("fact", FACTS["errors"], ids=lambda f: f"{f['operation']}-{f['with']}")
def test_refusals_have_the_recorded_status_and_words(engine: Engine, fact: dict[str, Any]) -> None:
    refused = call(OPERATIONS[fact["operation"]], fact["model"], refused_body(fact))
    run = engine.count_tokens if refused.operation == "CountTokens" else engine.answer
    with pytest.raises(EmulatedError) as caught:
        run(refused)
    assert (caught.value.name, caught.value.status) == ("ValidationException", fact["status"])
    words = fact["message_starts"]
    if fact["with"] == "server_tool":
        words = words[: words.index("'bash_20250124'")]  # the list of known tools grows
    assert caught.value.message.startswith(words)


@pytest.mark.parametrize("fact", FACTS["answered"], ids=lambda f: f"{f['model']}-{f['with']}")
def test_what_bedrock_has_answered_is_answered(engine: Engine, fact: dict[str, Any]) -> None:
    video = {"video": {"format": fact["with"], "source": {"bytes": "AAAA"}}}
    body = {"messages": [{"role": "user", "content": [{"text": "hello"}, video]}]}
    answer = engine.answer(call("Converse", fact["model"], body))
    assert sorted(answer.body) == fact["members"]


def invoke_body(fact: dict[str, Any]) -> dict[str, Any]:
    return fact["body"] or {
        "anthropic_version": "bedrock-2023-05-31",
        "max_tokens": 64,
        "messages": [{"role": "user", "content": "hello"}],
    }


@pytest.mark.parametrize(
    "fact", FACTS["invoke"], ids=lambda f: f"{f['model']}-{f['dimensions']}".replace("/", "-")
)
def test_invoke_has_the_recorded_members_and_headers(fixed: Engine, fact: dict[str, Any]) -> None:
    answer = fixed.answer(call("InvokeModel", fact["model"], invoke_body(fact)))
    assert sorted(answer.body) == fact["members"]
    of_the_wire = {"content-type", "x-amzn-bedrock-invocation-latency"}
    assert set(answer.headers) == set(fact["headers"]) - of_the_wire
    if fact["usage"]:
        assert sorted(answer.body["usage"]) == fact["usage"]
    if fact["dimensions"]:
        assert fact["dimensions"] in dimensions(answer.body)


def dimensions(body: dict[str, Any]) -> set[int]:
    """Lengths of all innermost lists of numbers."""
    found: set[int] = set()
    todo: list[Any] = [body.get("embedding") or body["embeddings"]]
    while todo:
        node = todo.pop()
        if isinstance(node, dict):
            todo += node.values()
        elif isinstance(node, list) and node and isinstance(node[0], float):
            found.add(len(node))
        elif isinstance(node, list):
            todo += node
    return found


@pytest.mark.parametrize("fact", FACTS["prompt_sizes"], ids=fact_id)
def test_prompts_count_nearly_as_recorded(engine: Engine, fact: dict[str, Any]) -> None:
    """No provider's own tokeniser is public for all; the stand-in stays within a few tokens."""
    counted = engine.prepare(call("Converse", fact["model"], fact["body"])).input_tokens
    assert abs(counted - fact["input_tokens"]) <= 4


@pytest.mark.parametrize("fact", FACTS["embedding_sizes"], ids=lambda f: str(f["input_tokens"]))
def test_embeddings_count_nearly_as_recorded(fixed: Engine, fact: dict[str, Any]) -> None:
    answer = fixed.answer(call("InvokeModel", fact["model"], fact["body"]))
    counted = int(answer.headers["x-amzn-bedrock-input-token-count"])
    assert abs(counted - fact["input_tokens"]) <= 2


@pytest.mark.parametrize("fact", FACTS["count_tokens"], ids=lambda f: str(f["input_tokens"]))
def test_count_tokens_counts_nearly_as_recorded(engine: Engine, fact: dict[str, Any]) -> None:
    body = {"input": {"converse": fact["body"]}}
    counted = engine.count_tokens(call("CountTokens", fact["model"], body))
    slack = 200 if "toolConfig" in fact["body"] else 2
    assert abs(counted - fact["input_tokens"]) <= slack


@pytest.mark.parametrize("fact", FACTS["cache"])
def test_cached_tokens_add_up_as_recorded(fixed: Engine, fact: dict[str, Any]) -> None:
    body = request_like({"with": ["cache_point"]})
    for usage in (
        fact["usage"],
        fixed.answer(call("Converse", fact["model"], body)).body["usage"],
        fixed.answer(call("Converse", fact["model"], body)).body["usage"],
    ):
        read, written = usage["cacheReadInputTokens"], usage["cacheWriteInputTokens"]
        assert usage["cacheReadInputTokenCount"] == read
        assert usage["cacheWriteInputTokenCount"] == written
        assert read + written >= 1_024
        total = usage["inputTokens"] + read + written + usage["outputTokens"]
        assert usage["totalTokens"] == total
        if "cacheDetails" in usage:
            assert sum(entry["inputTokens"] for entry in usage["cacheDetails"]) == written
