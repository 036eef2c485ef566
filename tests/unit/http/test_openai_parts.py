"""Parts of OpenAI's messages: cache marks, members that nobody reads, texts that stay parted."""

from __future__ import annotations

from typing import Any

import pytest
from tests.support.openai_bodies import PNG, image

from tenantry.domain.bound import bound_of_converse
from tenantry.domain.catalogue import Model
from tenantry.domain.errors import BadRequest
from tenantry.entrypoints.http.openai.refusing import read
from tenantry.entrypoints.http.openai.schema import ChatRequest
from tenantry.entrypoints.http.openai.to_converse import to_converse

MARK = {"type": "ephemeral"}
POINT = {"cachePoint": {"type": "default"}}
HOUR = {"cachePoint": {"type": "default", "ttl": "1h"}}
MODEL = Model("m", "anthropic", "chat", 200_000, 4_096, "m")
OFFICE = "application/vnd.openxmlformats-officedocument"


def text(words: str, **members: Any) -> dict[str, Any]:
    return {"type": "text", "text": words, **members}


def file(media: str = "application/pdf", **members: Any) -> dict[str, Any]:
    data = f"data:{media};base64,{PNG}"
    return {"type": "file", "file": {"file_data": data, "filename": "a.pdf", **members}}


def converse(*messages: dict[str, Any], **members: Any) -> dict[str, Any]:
    return to_converse(read(ChatRequest, {"model": "m", "messages": list(messages), **members}))


def user(*parts: dict[str, Any]) -> dict[str, Any]:
    return {"role": "user", "content": list(parts)}


def refusal(*messages: dict[str, Any], **members: Any) -> BadRequest:
    with pytest.raises(BadRequest) as caught:
        converse(*messages, **members)
    return caught.value


def test_a_mark_is_a_cache_point_behind_its_part_wherever_it_stands() -> None:
    hour = {**MARK, "ttl": "1h"}
    tool = {"type": "function", "function": {"name": "look"}}
    body = converse(
        {"role": "system", "content": [text("You are X.", cache_control=hour), text("Be brief.")]},
        user(text("a", cache_control=MARK), image()),
        {"role": "assistant", "content": "b", "cache_control": MARK},
        {"role": "user", "content": "c"},
        tools=[{**tool, "cache_control": hour}],
    )
    assert body["system"] == [{"text": "You are X."}, HOUR, {"text": "Be brief."}]
    first, second, third = (turn["content"] for turn in body["messages"])
    assert (first[:2], second, third) == (
        [{"text": "a"}, POINT],
        [{"text": "b"}, POINT],
        [{"text": "c"}],
    )
    assert body["toolConfig"]["tools"][1:] == [HOUR]
    bound = bound_of_converse({**body, "messages": body["messages"][1:]}, MODEL)
    assert bound.cache_writes_5m and bound.cache_writes_1h, "the dearest write is reserved"
    inside = {"type": "function", "function": {"name": "look", "cache_control": MARK}}
    body = converse(user(text("a")), tools=[inside])
    assert body["toolConfig"]["tools"][1:] == [POINT]


def test_a_mark_on_what_a_tool_said_stands_behind_its_result() -> None:
    called = {"id": "t", "function": {"name": "look", "arguments": "{}"}}
    said = {"role": "tool", "tool_call_id": "t", "content": [text("y", cache_control=MARK)]}
    tools = [{"type": "function", "function": {"name": "look"}}]
    turns = [user(text("x")), {"role": "assistant", "tool_calls": [called]}, said]
    last = converse(*turns, tools=tools)["messages"][-1]["content"]
    assert [list(block) for block in last] == [["toolResult"], ["cachePoint"]]
    assert last[0]["toolResult"]["content"] == [{"text": "y"}]


def test_a_mark_on_nothing_is_nothing() -> None:
    blank = {"role": "assistant", "content": [text(" ", cache_control=MARK)]}
    body = converse(
        {"role": "system", "content": [text("", cache_control=MARK)], "cache_control": MARK},
        user(text("x", cache_control=None)),
        blank,
        {**user(text("y", cache_control=MARK)), "cache_control": MARK},
    )
    assert "system" not in body
    assert body["messages"] == [{"role": "user", "content": [{"text": "x"}, {"text": "y"}, POINT]}]


@pytest.mark.parametrize("first", [text("x"), text("x", cache_control=MARK)])
def test_a_mark_on_a_blank_part_is_of_what_stands_before_it(first: dict[str, Any]) -> None:
    """As of clients that mark the last part, whatever it says: the long prompt is before it."""
    turns = converse(user(first, text(" ", cache_control=MARK)), user(text("y")))["messages"]
    assert turns[0]["content"] == [{"text": "x"}, POINT, {"text": "y"}]


def test_marks_are_as_many_as_bedrock_takes() -> None:
    four = [text("x", cache_control=MARK)] * 4
    assert converse(user(*four))["messages"][0]["content"].count(POINT) == 4
    told = refusal({"role": "system", "content": four[:1]}, user(*four))
    assert (told.details["param"], told.message) == (
        "cache_control",
        "`cache_control` is taken 4 times in a request at most.",
    )


@pytest.mark.parametrize(
    ("control", "param"),
    [
        ("ephemeral", "cache_control"),
        ({"type": "persistent"}, "cache_control"),
        ({**MARK, "ttl": "2h"}, "cache_control.ttl"),
        ({**MARK, "ttl": ["5m"]}, "cache_control.ttl"),
        ({**MARK, "scope": "global"}, "cache_control.scope"),
    ],
)
def test_a_mark_that_bedrock_has_not_is_refused(control: Any, param: str) -> None:
    told = refusal(user(text("x", cache_control=control)))
    assert told.details["param"] == f"messages[0].content[0].{param}"


@pytest.mark.parametrize(
    ("part", "param"),
    [
        (text("x", prompt_cache_breakpoint={"mode": "explicit"}), "prompt_cache_breakpoint"),
        ({**image(), "foo": 1}, "foo"),
        ({"type": "image_url", "image_url": {**image()["image_url"], "foo": 1}}, "image_url.foo"),
        (file(file_id="file-1"), "file.file_id"),
    ],
)  # fmt: skip
def test_what_nobody_reads_is_refused_by_name(part: dict[str, Any], param: str) -> None:
    told = refusal(user(text("x"), part))
    param = f"messages[0].content[1].{param}"
    assert told.details["param"] == param
    assert told.message == f"Unrecognized request argument supplied: {param}"


def test_what_sdks_send_is_taken() -> None:
    beside = {"detail": "low", "format": "image/png"}  # Strands says the URL's media type again
    detailed = {"type": "image_url", "image_url": {**image()["image_url"], **beside}}
    said = {"role": "assistant", "content": [text("y", annotations=[]), {
        "type": "refusal", "refusal": "No."}]}  # fmt: skip
    turns = converse(user(text("x", foo=None), detailed, file(file_id=None)), said)["messages"]
    assert turns[1]["content"] == [{"text": "y"}, {"text": "No."}]


@pytest.mark.parametrize("blank", ["", " \n"])
def test_a_blank_part_beside_others_is_left_out(blank: str) -> None:
    """As chat programs send of a picture without a word; Bedrock takes no blank text."""
    said = user(text(blank), image(), text(blank), text("x"))
    content = converse(said)["messages"][0]["content"]
    assert [list(block) for block in content] == [["image"], ["text"]]
    alone = refusal(user(text(blank)))
    assert (alone.message, alone.details["param"]) == ("`messages[0]` is empty.", "messages[0]")


@pytest.mark.parametrize("form", ["image/jpeg", "jpeg", 1])
def test_an_image_of_two_formats_is_refused(form: Any) -> None:
    twice = {"type": "image_url", "image_url": {**image()["image_url"], "format": form}}
    told = refusal(user(text("x"), twice))
    assert told.details["param"] == "messages[0].content[1].image_url.format"
    assert told.message.endswith("must be image/png, as its URL says.")


@pytest.mark.parametrize(
    ("media", "form"),
    [
        ("application/msword", "doc"),
        (f"{OFFICE}.wordprocessingml.document", "docx"),
        ("application/vnd.ms-excel", "xls"),
        (f"{OFFICE}.spreadsheetml.sheet", "xlsx"),
    ],
)
def test_files_of_offices_are_taken(media: str, form: str) -> None:
    (turn,) = converse(user(text("x"), file(media)))["messages"]
    assert turn["content"][1]["document"]["format"] == form


def test_a_file_alone_has_words_beside_it() -> None:
    (turn,) = converse(user(file()))["messages"]
    assert [list(block) for block in turn["content"]] == [["document"], ["text"]]
    (turn,) = converse(user(file()), user(text("x")))["messages"]
    assert [list(block) for block in turn["content"]] == [["document"], ["text"]]


@pytest.mark.parametrize(
    ("members", "param", "message"),
    [
        ({"temperature": 1.5}, "temperature", "`temperature` must be 0 to 1 here"),
        ({"temperature": -1}, "temperature", "`temperature` must be 0 to 1 here"),
        ({"top_p": 2}, "top_p", "`top_p` must be 0 to 1 here"),
        ({"stop": ""}, "stop", "`stop` takes texts that are not empty."),
        ({"stop": ["a", ""]}, "stop", "`stop` takes texts that are not empty."),
        ({"max_tokens": 0}, "max_tokens", "`max_tokens` must be at least 1."),
        ({"n": 2}, "n", "`n` is not supported here"),
        ({"logprobs": True}, "logprobs", "`logprobs` is not supported here"),
        ({"foo": 1}, "foo", "Unrecognized request argument supplied: foo"),
        ({"stream_options": {"foo": 1}}, "stream_options.foo",
         "Unrecognized request argument supplied: stream_options.foo"),
        ({"n": "x"}, "n", "Expected `int | null`, got `str` at `n`."),
        ({"metadata": {"a": 1}}, "metadata", "Expected `str`, got `int` at `metadata[...]`."),
        ({"tools": [{"type": "function"}]}, "tools[0].function",
         "Missing required parameter: 'tools[0].function'."),
    ],
)  # fmt: skip
def test_a_refusal_names_its_parameter(members: dict[str, Any], param: str, message: str) -> None:
    told = refusal(user(text("x")), **members)
    assert (told.details["param"], told.message[: len(message)]) == (param, message)
