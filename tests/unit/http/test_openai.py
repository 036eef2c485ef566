"""OpenAI ↔ Converse: pure converters, by example and by property."""

from itertools import pairwise
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.openai_bodies import PNG, image

from tenantry.domain import eventstream
from tenantry.domain.errors import BadRequest, UpstreamRubbish
from tenantry.domain.eventstream import Decoder, Frame
from tenantry.domain.usage import Usage
from tenantry.entrypoints.http.json_body import to
from tenantry.entrypoints.http.openai.chunks import ChunkMaker
from tenantry.entrypoints.http.openai.from_converse import from_converse
from tenantry.entrypoints.http.openai.schema import ChatRequest
from tenantry.entrypoints.http.openai.to_converse import to_converse

USAGE = Usage(uncached_in=10, cache_read=3, out=5)
TOOLS = [{"type": "function", "function": {"name": "look"}}]


def converse(**members: Any) -> dict[str, Any]:
    body = {"model": "m", "messages": [{"role": "user", "content": "hi"}], **members}
    return to_converse(to(ChatRequest, body))


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"n": 2}, "`n` is not supported here: leave it out."),
        ({"logprobs": True}, "`logprobs` is not supported here: leave it out."),
        ({"store": True}, "`store` is not supported here: leave it out."),
        (
            {"response_format": {"type": "json_object"}},
            "`response_format` json_object is not supported here; json_schema is.",
        ),
    ],
)
def test_what_no_model_can_do_on_this_route_is_told_as_that(
    members: dict[str, Any], message: str
) -> None:
    with pytest.raises(BadRequest, match=message):
        converse(**members)


def test_a_whole_conversation() -> None:
    body = converse(
        tools=TOOLS,
        messages=[
            {"role": "system", "content": "be kind"},
            {"role": "user", "content": [{"type": "text", "text": "what is"}, image()]},
            {
                "role": "assistant",
                "content": "",
                "tool_calls": [call("t1", "look", '{"at":"it"}'), call("t2", "see", "")],
            },
            {"role": "tool", "tool_call_id": "t1", "content": "a cat"},
            {"role": "tool", "tool_call_id": "t2", "content": [{"type": "text", "text": "black"}]},
            {"role": "developer", "content": "briefly"},
            {"role": "user", "content": "so?"},
        ],
    )
    assert body["system"] == [{"text": "be kind"}, {"text": "briefly"}]
    assert [turn["role"] for turn in body["messages"]] == ["user", "assistant", "user"]
    assert body["messages"][0]["content"] == [
        {"text": "what is"},
        {"image": {"format": "png", "source": {"bytes": PNG}}},
    ]
    assert body["messages"][1]["content"] == [
        {"toolUse": {"toolUseId": "t1", "name": "look", "input": {"at": "it"}}},
        {"toolUse": {"toolUseId": "t2", "name": "see", "input": {}}},
    ]
    assert body["messages"][2]["content"] == [
        {"toolResult": {"toolUseId": "t1", "content": [{"text": "a cat"}]}},
        {"toolResult": {"toolUseId": "t2", "content": [{"text": "black"}]}},
        {"text": "so?"},
    ]


@pytest.mark.parametrize("content", ["", " \n", None, [], [{"type": "text", "text": " "}]])
def test_a_tool_that_said_nothing_is_told_as_that(content: Any) -> None:
    used = [
        {"role": "user", "content": "x"},
        {"role": "assistant", "tool_calls": [call("t", "look", "{}")]},
        {"role": "tool", "tool_call_id": "t", "content": content},
    ]
    result = {"toolUseId": "t", "content": [{"text": "(no output)"}]}
    sent = converse(messages=used, tools=TOOLS)["messages"]
    assert sent[2]["content"] == [{"toolResult": result}]


@pytest.mark.parametrize("content", ["", " \n", None, [], [{"type": "text", "text": ""}]])
def test_an_answer_that_said_nothing_is_left_out(content: Any) -> None:
    """As `from_converse` makes one of an answer that was thought about alone."""
    said_nothing = {"role": "assistant", "content": content}
    turns = [{"role": "user", "content": "a"}, said_nothing, {"role": "user", "content": "b"}]
    together = [{"role": "user", "content": [{"text": "a"}, {"text": "b"}]}]
    assert converse(messages=turns)["messages"] == together
    assert converse(messages=turns[:2])["messages"] == [
        {"role": "user", "content": [{"text": "a"}]}
    ]
    used = {**said_nothing, "tool_calls": [call("t", "look", "{}")]}
    blocks = converse(messages=[turns[0], used], tools=TOOLS)["messages"][1]["content"]
    assert [list(block) for block in blocks] == [["toolUse"]]


def test_a_question_that_says_nothing_is_refused() -> None:
    with pytest.raises(BadRequest, match=r"`messages\[0\]` is empty"):
        converse(messages=[{"role": "user", "content": ""}])


def call(identity: str, name: str, arguments: str) -> dict[str, Any]:
    return {
        "id": identity,
        "type": "function",
        "function": {"name": name, "arguments": arguments},
    }


def test_inference_parameters() -> None:
    body = converse(
        max_tokens=7, max_completion_tokens=9, temperature=0, top_p=0.5, stop="END", seed=1
    )
    assert body["inferenceConfig"] == {
        "maxTokens": 9,
        "temperature": 0,
        "topP": 0.5,
        "stopSequences": ["END"],
    }
    assert "inferenceConfig" not in converse()


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (None, None),
        ("auto", {"auto": {}}),
        ("required", {"any": {}}),
        ({"type": "function", "function": {"name": "look"}}, {"tool": {"name": "look"}}),
    ],
)
def test_tools(choice: Any, expected: Any) -> None:
    tool = {"name": "look", "description": "d", "parameters": {"type": "object"}, "strict": True}
    body = converse(tools=[{"type": "function", "function": tool}], tool_choice=choice)
    spec = {
        "name": "look",
        "inputSchema": {"json": {"type": "object"}},
        "description": "d",
        "strict": True,
    }
    assert body["toolConfig"]["tools"] == [{"toolSpec": spec}]
    assert body["toolConfig"].get("toolChoice") == expected


def test_no_tool_is_to_be_used() -> None:
    assert "toolConfig" not in converse(tools=TOOLS, tool_choice="none")


def test_options_of_a_stream_are_for_streams_alone() -> None:
    with pytest.raises(BadRequest, match="goes with `stream` alone"):
        converse(stream_options={"include_usage": True})


def test_arguments_in_a_text_are_nested_no_deeper_than_a_body() -> None:
    deep = '{"a":' * 300 + "1" + "}" * 300
    used = [
        {"role": "user", "content": "x"},
        {"role": "assistant", "tool_calls": [call("t", "look", deep)]},
    ]
    with pytest.raises(BadRequest, match="nested deeper"):
        converse(messages=used)


def test_structured_output() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}}
    form = {"type": "json_schema", "json_schema": {"name": "A", "schema": schema, "strict": True}}
    output = converse(response_format=form, reasoning_effort="low")["outputConfig"]
    held = output["textFormat"]["structure"]["jsonSchema"]
    assert (orjson.loads(held["schema"]), held["name"], output["effort"]) == (schema, "A", "low")
    assert "outputConfig" not in converse(response_format={"type": "text"})


def test_a_file_keeps_a_name_that_bedrock_takes() -> None:
    data = f"data:application/pdf;base64,{PNG}"
    part = {"type": "file", "file": {"filename": "Größe_1.final.pdf", "file_data": data}}
    content = converse(messages=[{"role": "user", "content": [part]}])["messages"][0]["content"]
    assert content[0]["document"]["name"] == "Gr e 1 final"
    assert content[0]["document"]["format"] == "pdf"


def test_files_of_one_name_are_told_apart_for_bedrock() -> None:
    def part(name: str | None) -> dict[str, Any]:
        return {"type": "file", "file": {"filename": name, "file_data": file}}

    file = f"data:application/pdf;base64,{PNG}"
    asked = [["a.pdf", "a 2.pdf", "a.pdf"], [None, "a.pdf"], [None]]
    turns = [{"role": "user", "content": [part(name) for name in names]} for names in asked]
    turns.insert(1, {"role": "assistant", "content": "x"})
    sent = converse(messages=turns)["messages"]
    names = [
        block["document"]["name"]
        for turn in sent
        for block in turn["content"]
        if len(block) == 1 and "document" in block
    ]
    assert names == ["a", "a 2", "a 3", "document", "a 4", "document 2"]


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com/a.png",
        "data:image/svg+xml;base64,AA==",
        "data:image/png,AA",
        "data:image/png;base64,a==b",
        "",
        None,
    ],
)
def test_images_are_not_fetched(url: Any) -> None:
    part = {"type": "image_url", "image_url": {"url": url}}
    with pytest.raises(BadRequest):
        converse(messages=[{"role": "user", "content": [part]}])


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        (f"data:image/jpg;base64,{PNG}", "jpeg"),
        (f"data:image/PNG;base64,{PNG}", "png"),
        (f"data:image/webp;charset=utf-8;base64,{PNG}", "webp"),
    ],
)
def test_images_are_taken_as_programs_name_them(url: str, kind: str) -> None:
    part = {"type": "image_url", "image_url": {"url": url}}
    content = converse(messages=[{"role": "user", "content": [part]}])["messages"][0]["content"]
    assert content == [{"image": {"format": kind, "source": {"bytes": PNG}}}]


def test_a_parsed_answer_is_taken_back_as_the_sdk_sends_it() -> None:
    parsed = call("t", "look", '{"at": 1}')
    parsed["function"]["parsed_arguments"] = {"at": 1}
    turns = [
        {"role": "user", "content": "x"},
        {"role": "assistant", "tool_calls": [parsed], "parsed": None},
        {"role": "tool", "tool_call_id": "t", "content": "y"},
    ]
    used = converse(messages=turns, tools=TOOLS)["messages"][1]["content"]
    assert used == [{"toolUse": {"toolUseId": "t", "name": "look", "input": {"at": 1}}}]


# Properties

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner),
    max_leaves=8,
)
members = st.sampled_from(sorted(ChatRequest.__struct_fields__))
parts = st.fixed_dictionaries(
    {"type": st.sampled_from(["text", "image_url", "file", "x"])},
    optional={
        "text": st.text(max_size=9) | json_values,
        "image_url": json_values,
        "file": json_values,
        "cache_control": st.just({"type": "ephemeral"}) | json_values,
    },
)
messages = st.fixed_dictionaries(
    {"role": st.sampled_from(["system", "developer", "user", "assistant", "tool"])},
    optional={
        "content": st.text(max_size=9) | st.lists(parts, max_size=3) | json_values,
        "tool_call_id": st.text(max_size=4),
        "tool_calls": st.lists(st.just(call("t", "f", "{}")), max_size=2) | json_values,
        "cache_control": st.just({"type": "ephemeral"}) | json_values,
    },
)


@given(st.dictionaries(members, json_values), st.lists(messages, max_size=5))
def test_whatever_comes_is_converted_or_refused(body: dict[str, Any], turns: list[Any]) -> None:
    try:
        converted = to_converse(to(ChatRequest, {"model": "m", **body, "messages": turns}))
    except BadRequest:
        return
    roles = [turn["role"] for turn in converted["messages"]]
    assert all(a != b for a, b in pairwise(roles)), "roles alternate"
    assert all(turn["content"] for turn in converted["messages"])
    orjson.dumps(converted)


texts = st.text(min_size=1, max_size=20)
words = texts.filter(str.strip)  # a user who says none is refused
others = st.sampled_from(["assistant", "system"])


@given(st.lists(st.tuples(st.just("user"), words) | st.tuples(others, texts), min_size=1))
def test_every_text_arrives_once_and_in_order(said: list[tuple[str, str]]) -> None:
    body = converse(messages=[{"role": role, "content": text} for role, text in said])
    spoken = [block["text"] for turn in body["messages"] for block in turn["content"]]
    assert spoken == [
        text for role, text in said if role == "user" or (role == "assistant" and text.strip())
    ]
    system = [block["text"] for block in body.get("system", [])]
    assert system == [text for role, text in said if role == "system" and text.strip()]


@given(st.binary(max_size=40) | json_values.map(orjson.dumps))
def test_rubbish_from_upstream_is_told_as_such(body: bytes) -> None:
    with pytest.raises(UpstreamRubbish):
        from_converse(body, USAGE, completion_id="c", created=0, model="m")


blocks = st.lists(
    texts.map(lambda text: {"text": text})
    | st.builds(
        lambda name, arguments: {
            "toolUse": {"toolUseId": f"id-{name}", "name": name, "input": arguments}
        },
        st.text("abc", min_size=1, max_size=3),
        st.dictionaries(st.text("xyz", max_size=2), st.integers(0, 9), max_size=2),
    )
    | texts.map(lambda text: {"reasoningContent": {"reasoningText": {"text": text}}}),
    max_size=5,
)


def frame(kind: str, payload: Any) -> Frame:
    return Decoder().feed(eventstream.encode_event(kind, orjson.dumps(payload)))[0]


def events_of(content: list[dict[str, Any]], stop: str) -> list[Frame]:
    """The events in which Bedrock streams a message."""
    frames = [frame("messageStart", {"role": "assistant"})]
    for index, block in enumerate(content):
        at = {"contentBlockIndex": index}
        if "toolUse" in block:
            use = block["toolUse"]
            start = {"toolUse": {"toolUseId": use["toolUseId"], "name": use["name"]}}
            frames.append(frame("contentBlockStart", {"start": start, **at}))
            # Claude says nothing at all for a tool without parameters.
            text = orjson.dumps(use["input"]).decode() if use["input"] else ""
            for piece in (text[:2], text[2:]):
                delta = {"toolUse": {"input": piece}}
                frames.append(frame("contentBlockDelta", {"delta": delta, **at}))
        elif "text" in block:
            for piece in (block["text"][:3], block["text"][3:]):
                frames.append(frame("contentBlockDelta", {"delta": {"text": piece}, **at}))
        else:
            delta = {"reasoningContent": block["reasoningContent"]["reasoningText"]}
            frames.append(frame("contentBlockDelta", {"delta": delta, **at}))
        frames.append(frame("contentBlockStop", at))
    frames.append(frame("messageStop", {"stopReason": stop}))
    frames.append(frame("metadata", {"usage": {}}))
    return frames


stops = st.sampled_from(["end_turn", "max_tokens", "tool_use", "something_new"])


@given(blocks, stops, st.booleans())
def test_a_stream_says_what_the_whole_answer_says(
    content: list[Any], stop: str, one_call: bool
) -> None:
    body = {"output": {"message": {"role": "assistant", "content": content}}, "stopReason": stop}
    told: Any = {"completion_id": "c", "created": 0, "model": "m", "one_call": one_call}
    whole = from_converse(orjson.dumps(body), USAGE, **told)
    maker = ChunkMaker(**told, include_usage=True)
    chunks = [c for f in events_of(content, stop) for c in maker.feed(f, USAGE, "1 USD")]
    assert maker.finished
    deltas = [choice["delta"] for chunk in chunks for choice in chunk["choices"]]
    message = whole["choices"][0]["message"]
    assert "".join(d.get("content", "") for d in deltas) == (message["content"] or "")
    thought = "".join(d.get("reasoning_content", "") for d in deltas)
    assert thought == message.get("reasoning_content", "")
    calls = message.get("tool_calls", [])
    assert collected(deltas) == calls
    called = [block["toolUse"]["toolUseId"] for block in content if "toolUse" in block]
    assert [call["id"] for call in calls] == (called[:1] if one_call else called)
    assert chunks[-2]["choices"][0]["finish_reason"] == whole["choices"][0]["finish_reason"]
    assert chunks[-1]["usage"] == whole["usage"]
    assert chunks[-1]["tenantry"] == {"charge": "1 USD"}
    assert [chunk for chunk in chunks if "tenantry" in chunk] == chunks[-1:]


def collected(deltas: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Tool calls as an SDK puts them together."""
    calls: list[dict[str, Any]] = []
    for piece in (piece for delta in deltas for piece in delta.get("tool_calls", [])):
        if piece["index"] == len(calls):
            calls.append({"id": piece["id"], "type": "function", "function": piece["function"]})
        else:
            calls[piece["index"]]["function"]["arguments"] += piece["function"]["arguments"]
    return calls
