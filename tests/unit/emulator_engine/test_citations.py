"""Documents and search results are read as passages, and cited where that is asked for."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from bedrock_emulator.engine.types import EmulatedError

CLAUDE = "anthropic.claude-sonnet-4-5-20250929-v1:0"
WAL = (
    "SQLite supports write-ahead logging. In WAL mode readers do not\nblock writers. "
    "A checkpoint moves pages back into the database."
)
LISTS = "Python lists are mutable sequences. You can sort a list with its sort method."
ASKED = {"text": "Do readers block writers in WAL mode?"}
QUOTE = "In WAL mode readers do not block writers."
STANDS = "In WAL mode readers do not\nblock writers."
START = WAL.index(STANDS)
END = START + len(STANDS)


def document(name: str, source: dict[str, Any], enabled: Any = True) -> dict[str, Any]:
    cited = {"citations": {"enabled": enabled}} if enabled is not None else {}
    return {"document": {"format": "txt", "name": name, "source": source, **cited}}


def texts(*parts: str) -> list[dict[str, str]]:
    return [{"text": part} for part in parts]


def search(name: str, *parts: str, enabled: Any = True) -> dict[str, Any]:
    result = {"source": f"https://{name}.test", "title": name, "content": texts(*parts)}
    return {"searchResult": {**result, "citations": {"enabled": enabled}}}


def asked(*blocks: dict[str, Any]) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": [*blocks, ASKED]}]}


def encoded(text: str) -> dict[str, str]:
    return {"bytes": base64.b64encode(text.encode()).decode()}


OTHER = document("lists", {"text": LISTS})
CONVERSE = [
    (
        asked(OTHER, document("wal", {"text": WAL})),
        {
            "title": "wal",
            "sourceContent": [{"text": STANDS}],
            "location": {"documentChar": {"documentIndex": 1, "start": START, "end": END}},
        },
    ),
    (
        asked(document("wal", encoded(WAL)), search("a", LISTS)),
        {
            "title": "wal",
            "sourceContent": [{"text": STANDS}],
            "location": {"documentChar": {"documentIndex": 0, "start": START, "end": END}},
        },
    ),
    (
        asked(OTHER, document("wal", {"content": texts(LISTS, QUOTE)})),
        {
            "title": "wal",
            "sourceContent": [{"text": QUOTE}],
            "location": {"documentChunk": {"documentIndex": 1, "start": 1, "end": 2}},
        },
    ),
    (
        asked(OTHER, search("a", LISTS), search("b", LISTS, "Of logs.", WAL)),
        {
            "title": "b",
            "source": "https://b.test",
            "sourceContent": [{"text": WAL}],
            "location": {"searchResultLocation": {"searchResultIndex": 1, "start": 2, "end": 3}},
        },
    ),
]


@pytest.mark.parametrize(("body", "citation"), CONVERSE)
def test_converse_cites_what_it_quotes(models, call, body, citation) -> None:
    answer = models.answer(call(body)).body
    block = answer["output"]["message"]["content"][0]["citationsContent"]
    assert block == {"content": [{"text": QUOTE}], "citations": [citation]}
    body = {"messages": [*body["messages"], answer["output"]["message"]]}
    body["messages"].append({"role": "user", "content": [ASKED]})
    assert models.answer(call(body)).body["stopReason"] == "end_turn"


@pytest.mark.parametrize(("body", "citation"), CONVERSE)
def test_a_stream_cites_after_the_text(models, call, body, citation) -> None:
    events = models.answer(call(body, "ConverseStream")).events
    deltas = [
        event.payload["delta"]
        for event in events
        if event.type == "contentBlockDelta" and event.payload["contentBlockIndex"] == 0
    ]
    assert "".join(delta["text"] for delta in deltas[:-1]) == QUOTE
    assert deltas[-1] == {"citation": citation}
    whole = models.answer(call(body)).body["usage"]
    assert events[-1].payload["usage"]["outputTokens"] == whole["outputTokens"]


def of_text(data: str, **members: Any) -> dict[str, Any]:
    source = {"type": "text", "media_type": "text/plain", "data": data}
    return {"type": "document", "source": source, "citations": {"enabled": True}, **members}


def typed(*parts: str) -> list[dict[str, str]]:
    return [{"type": "text", "text": part} for part in parts]


def found(name: str, *parts: str) -> dict[str, Any]:
    result = {"type": "search_result", "source": f"https://{name}.test", "title": name}
    return {**result, "content": typed(*parts), "citations": {"enabled": True}}


def native(*blocks: dict[str, Any]) -> dict[str, Any]:
    content = [*blocks, *typed(ASKED["text"])]
    return {
        "anthropic_version": "bedrock-2023-05-31",
        "max_tokens": 200,
        "messages": [{"role": "user", "content": content}],
    }


NATIVE = [
    (
        native(of_text(LISTS), of_text(WAL, title="wal")),
        {
            "type": "char_location",
            "cited_text": STANDS,
            "document_index": 1,
            "document_title": "wal",
            "start_char_index": START,
            "end_char_index": END,
        },
    ),
    (
        native(of_text("", source={"type": "content", "content": typed(LISTS, WAL)})),
        {
            "type": "content_block_location",
            "cited_text": WAL,
            "document_index": 0,
            "document_title": None,
            "start_block_index": 1,
            "end_block_index": 2,
        },
    ),
    (
        native(found("a", LISTS), found("b", WAL, LISTS)),
        {
            "type": "search_result_location",
            "cited_text": WAL,
            "source": "https://b.test",
            "title": "b",
            "search_result_index": 1,
            "start_block_index": 0,
            "end_block_index": 1,
        },
    ),
]


@pytest.mark.parametrize(("body", "citation"), NATIVE)
def test_a_messages_body_cites_what_it_quotes(models, call, body, citation) -> None:
    answer = models.answer(call(body, "InvokeModel")).body
    assert answer["content"][0] == {"type": "text", "text": QUOTE, "citations": [citation]}
    turns = [*body["messages"], {"role": "assistant", "content": answer["content"]}]
    again = {**body, "messages": [*turns, body["messages"][0]]}
    assert models.answer(call(again, "InvokeModel")).body["stop_reason"] == "end_turn"


@pytest.mark.parametrize(("body", "citation"), NATIVE)
def test_a_messages_stream_cites_after_the_text(models, call, body, citation) -> None:
    parts = [e.payload for e in models.answer(call(body, "InvokeModelWithResponseStream")).events]
    parts = [part for part in parts if part.get("index") == 0]
    assert parts[0]["content_block"] == {"type": "text", "text": "", "citations": []}
    assert "".join(part["delta"]["text"] for part in parts[1:-2]) == QUOTE
    assert parts[-2]["delta"] == {"type": "citations_delta", "citation": citation}
    assert parts[-1]["type"] == "content_block_stop"


@pytest.mark.parametrize(
    ("body", "model"),
    [
        (asked(document("wal", {"text": WAL}, enabled=None)), CLAUDE),
        (asked(document("wal", {"text": WAL}, enabled=False)), CLAUDE),
        (asked(search("wal", WAL, enabled=False)), CLAUDE),
        (asked(document("wal", {"text": WAL})), "amazon.nova-pro-v1:0"),
        (asked(search("wal", WAL)), "amazon.nova-pro-v1:0"),
    ],
)
def test_nothing_is_cited_where_it_is_not_asked_for_or_not_known(models, call, body, model) -> None:
    content = models.answer(call(body, model=model)).body["output"]["message"]["content"]
    assert content == [{"text": f"{QUOTE} [1]"}]


def test_search_results_that_a_tool_returned_are_passages_too(models, call) -> None:
    used = {"toolUse": {"toolUseId": "1", "name": "t", "input": {}}}
    result = {"toolResult": {"toolUseId": "1", "content": [search("wal", WAL)]}}
    turns = [("user", ASKED), ("assistant", used), ("user", result)]
    spec = {"toolSpec": {"name": "t", "inputSchema": {"json": {"type": "object"}}}}
    body = {
        "messages": [{"role": role, "content": [block]} for role, block in turns],
        "toolConfig": {"tools": [spec]},
    }
    [block] = models.answer(call(body)).body["output"]["message"]["content"]
    [citation] = block["citationsContent"]["citations"]
    assert citation["location"] == {
        "searchResultLocation": {"searchResultIndex": 0, "start": 0, "end": 1}
    }


def test_a_part_that_is_cut_off_is_not_cited(models, call) -> None:
    for inference in ({"maxTokens": 4}, {"stopSequences": ["block"]}):
        body = {**asked(document("wal", {"text": WAL})), "inferenceConfig": inference}
        [block] = models.answer(call(body)).body["output"]["message"]["content"]
        assert QUOTE.startswith(block["text"])


def test_a_schema_leaves_no_room_for_citations(models, call) -> None:
    form = {"type": "json_schema", "structure": {"jsonSchema": {"schema": '{"type": "object"}'}}}
    body = {**asked(document("wal", {"text": WAL})), "outputConfig": {"textFormat": form}}
    assert models.answer(call(body)).body["output"]["message"]["content"] == [{"text": "{}"}]


@pytest.mark.parametrize("wrong", [1, "true", {}])
def test_a_switch_is_true_or_false(models, call, wrong) -> None:
    blocks = [document("wal", {"text": WAL}, enabled=wrong), search("wal", WAL, enabled=wrong)]
    for body in map(asked, blocks):
        with pytest.raises(EmulatedError, match=r"citations.enabled: expected type: boolean"):
            models.answer(call(body))
    for block in (of_text(WAL), found("wal", WAL)):
        body = native({**block, "citations": {"enabled": wrong}})
        with pytest.raises(EmulatedError, match=r"citations\.enabled: .* valid boolean"):
            models.answer(call(body, "InvokeModel"))
