"""What Bedrock refuses is refused here too, before anything is counted or billed."""

from __future__ import annotations

import base64
import struct
from typing import Any

import pytest
from tests.support.images import png

from bedrock_emulator.engine import media
from bedrock_emulator.engine.types import EmulatedError

NO_IMAGE = base64.b64encode(b"no image at all").decode()
TEXT = {"text": "What is that?"}


def image(data: Any = None, **source: Any) -> dict[str, Any]:
    return {"image": {"format": "png", "source": source or {"bytes": data}}}


def document(number: int = 0) -> dict[str, Any]:
    source = {"bytes": "YSBjYXQ="}
    return {"document": {"format": "txt", "name": f"d{number}", "source": source}}


def user(*blocks: Any, **more: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": list(blocks)}], **more}


def tool(name: str) -> dict[str, Any]:
    return {"toolSpec": {"name": name, "inputSchema": {"json": {"type": "object"}}}}


@pytest.mark.parametrize(
    ("block", "words"),
    [
        (image(NO_IMAGE), "Could not process image"),
        (image(png(0, 5)), "Could not process image"),
        (image(png()[:20]), "Could not process image"),
        (image("%%%"), "invalid base64"),
        (image("AAA"), "invalid base64"),
        (image(""), "length greater than or equal to 1"),
        (image(7), "expected type: string"),
        (image(bytes=png(), s3Location={}), "ImageSource object"),
        (image(text="a"), "extraneous key"),
        ({"guardContent": image(NO_IMAGE)}, "Could not process image"),
        ({"guardContent": {"text": {"text": "a", "qualifiers": True}}}, "expected type: array"),
        ({"guardContent": {"text": {"text": "a", "qualifiers": ["mine"]}}}, "enum value set"),
        ({"guardContent": {"text": {}}}, "expected type: string"),
    ],
)
def test_data_that_is_not_what_it_says_is_refused(fixed, call, block, words) -> None:
    for body in (user(TEXT, block), user(TEXT, *[block] * 2)):
        for act in (fixed.prepare, fixed.answer):
            with pytest.raises(EmulatedError, match=words) as refused:
                act(call(body))
            assert (refused.value.name, refused.value.status) == ("ValidationException", 400)
    with pytest.raises(EmulatedError, match=words):
        fixed.count_tokens(call({"input": {"converse": user(TEXT, block)}}, "CountTokens"))


@pytest.mark.parametrize(
    ("block", "model", "words"),
    [
        (
            {"document": {"name": "d", "format": "pdf", "source": {"s3Location": {"uri": "s3:"}}}},
            "us.amazon.nova-2-lite-v1:0",
            r"^The model returned the following errors: Malformed input request: "
            r"#/messages/2/content/0: extraneous key \[toolResult\] is not permitted",
        ),
        (document(), "us.amazon.nova-2-lite-v1:0", None),
        (image(s3Location={"uri": "s3://bucket/a"}), "us.amazon.nova-2-lite-v1:0", None),
        (image(s3Location={"uri": "s3:"}), None, "doesn't support the s3Uri field"),
    ],
)
def test_what_a_tool_returns_may_lie_in_s3_as_recorded(fixed, call, block, model, words) -> None:
    turns = [
        ("user", TEXT),
        ("assistant", {"toolUse": {"toolUseId": "1", "name": "t", "input": {}}}),
        ("user", {"toolResult": {"toolUseId": "1", "content": [block]}}),
    ]
    messages = [{"role": role, "content": [content]} for role, content in turns]
    body = {"messages": messages, "toolConfig": {"tools": [tool("t")]}}
    asked = call(body, **({} if model is None else {"model": model}))
    if words is None:
        fixed.answer(asked)
        return
    with pytest.raises(EmulatedError, match=words):
        fixed.answer(asked)


def test_images_and_documents_of_a_message_are_counted(fixed, call) -> None:
    fixed.answer(call(user(TEXT, *[image(png())] * 20, *map(document, range(5)))))
    with pytest.raises(EmulatedError, match="more than 20 image"):
        fixed.answer(call(user(TEXT, *[image(png())] * 21)))
    with pytest.raises(EmulatedError, match="more than 5 document"):
        fixed.answer(call(user(TEXT, *map(document, range(6)))))


def test_a_document_has_a_text_beside_it_in_its_message(fixed, call) -> None:
    answered = {"role": "assistant", "content": [TEXT]}
    alone = {"role": "user", "content": [document()]}
    before = {"role": "user", "content": [TEXT]}
    for messages in ([alone], [before, answered, alone]):
        with pytest.raises(EmulatedError, match="no text block"):
            fixed.answer(call({"messages": messages}))
    fixed.answer(call(user(document(), TEXT)))


@pytest.mark.parametrize(
    ("blocks", "blank"),
    [
        ([TEXT, {"text": "\n"}, document()], None),
        ([{"text": " "}, TEXT], None),
        ([TEXT, {"text": ""}], 1),
        ([{"text": " "}], 0),
        ([image(png()), {"text": "\n"}, {"text": "\t"}], 1),
    ],
)
def test_a_text_may_be_white_space_beside_another(fixed, call, blocks, blank) -> None:
    for operation, model in (("Converse", None), ("InvokeModel", "amazon.nova-lite-v1:0")):
        asked = call(user(*blocks), operation, **({} if model is None else {"model": model}))
        if blank is None:
            fixed.answer(asked)
            continue
        with pytest.raises(EmulatedError, match=rf"messages\.0\.content\.{blank} is blank"):
            fixed.answer(asked)


def test_a_document_is_read_from_text_and_from_parts(fixed, call) -> None:
    def counted(**source: Any) -> int:
        block = {"document": {"name": "d", "format": "pdf", "source": source}}
        return fixed.prepare(call(user(TEXT, block))).input_tokens

    assert counted(text="many words " * 50) > counted(text="few") + 90
    parts = [{"text": "many words " * 25}, {"text": "many words " * 25}]
    assert counted(content=parts) > counted(content=[{"text": "few"}]) + 90


@pytest.mark.parametrize("model", ["amazon.nova-lite-v1:0", None])
def test_a_tool_is_named_once(fixed, call, model) -> None:
    chosen = {} if model is None else {"model": model}
    tools = [tool("a"), tool("b")]
    fixed.answer(call(user(TEXT, toolConfig={"tools": tools}), **chosen))
    with pytest.raises(EmulatedError, match="duplicate tool names: a"):
        fixed.answer(call(user(TEXT, toolConfig={"tools": [*tools, tool("a")]}), **chosen))


@pytest.mark.parametrize(
    ("identity", "name", "words"),
    [
        ("call_" + "x" * 60, "a", "toolUseId' .* length less than or equal to 64"),
        ("call|fc", "a", "toolUseId' .* pattern"),
        ("", "a", "toolUseId' .* pattern"),
        ("1", "a b", r"toolUse\.name' .* pattern"),
        ("1", None, "expected type: string"),
    ],
)
def test_a_tool_that_was_used_is_called_as_the_service_allows(
    fixed, call, identity, name, words
) -> None:
    def body(identity: str, name: Any) -> dict[str, Any]:
        used = {"toolUse": {"toolUseId": identity, "name": name, "input": {}}}
        result = {"toolResult": {"toolUseId": identity, "content": [TEXT]}}
        turns = [("user", TEXT), ("assistant", used), ("user", result)]
        messages = [{"role": role, "content": [block]} for role, block in turns]
        return {"messages": messages, "toolConfig": {"tools": [tool("a")]}}

    fixed.answer(call(body("functions.a:0", "a")))
    with pytest.raises(EmulatedError, match=words):
        fixed.answer(call(body(identity, name)))


TYPED = {"name": "t", "input_schema": {"type": "object"}}


def native(*blocks: Any, **more: Any) -> dict[str, Any]:
    messages = [{"role": "user", "content": [{"type": "text", "text": "a"}, *blocks]}]
    body = {"anthropic_version": "bedrock-2023-05-31", "max_tokens": 5, "messages": messages}
    return body | more


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (native({"type": "image", "source": {"type": "base64", "data": NO_IMAGE}}), "process"),
        (native({"type": "image", "source": {"type": "base64", "data": "%"}}), "invalid base64"),
        (native({"type": "document", "source": {"type": "base64"}}), "invalid base64"),
        (native(tools=[TYPED] * 2), "Tool names must be unique"),
    ],
)
def test_the_same_in_anthropics_shape(fixed, call, body, words) -> None:
    with pytest.raises(EmulatedError, match=words):
        fixed.answer(call(body, "InvokeModel"))


def webp(kind: bytes, head: bytes) -> bytes:
    return (b"RIFF\0\0\0\0WEBP" + kind + b"\0\0\0\0" + head).ljust(30, b"\0")


def jpeg(before: bytes = b"") -> bytes:
    frame = b"\xff\xc0\x00\x11\x08" + struct.pack(">HH", 600, 800)
    return b"\xff\xd8" + before + frame + b"\0" * 12


@pytest.mark.parametrize(
    "data",
    [
        base64.b64decode(png(800, 600)),
        b"GIF89a" + struct.pack("<HH", 800, 600),
        jpeg(),
        jpeg(b"\xff\xff\xff\xe0\x00\x04ab"),  # fill bytes, and a segment to pass over
        webp(b"VP8X", b"\0\0\0\0" + (799).to_bytes(3, "little") + (599).to_bytes(3, "little")),
        webp(b"VP8L", b"\x2f" + (799 | 599 << 14).to_bytes(4, "little")),
        webp(b"VP8 ", b"\0\0\0\x9d\x01\x2a" + struct.pack("<HH", 800, 600)),
    ],
)
def test_an_image_of_each_format_counts_by_its_size(data) -> None:
    size = media.image_size(data)
    assert size == (800, 600)
    assert media.image_tokens(size) == 800 * 600 // 750


@pytest.mark.parametrize(
    "data", [b"", b"\xff\xd8", b"\xff\xd8\xff\xd9" + b"\0" * 20, webp(b"ABCD", b""), b"GIF89a\x01"]
)
def test_what_has_no_size_is_no_image(data) -> None:
    assert media.image_size(data) is None


NEWER = "2026-10-21"
DOCUMENT = {
    "type": "document",
    "source": {"type": "text", "media_type": "text/plain", "data": "a"},
}
CITED = {"type": "text", "text": "a", "citations": [{"type": "char_location"}]}


def test_the_newer_api_version_is_taken_from_claude_4_7_on(fixed, call) -> None:
    for model in ("anthropic.claude-opus-4-7", "us.anthropic.claude-haiku-5-5"):
        for version in (NEWER, "bedrock-2023-05-31"):
            body = native(DOCUMENT, anthropic_version=version)
            fixed.answer(call(body, "InvokeModel", model))
    for body in (native(anthropic_version=NEWER), native(anthropic_version="2023-06-01")):
        with pytest.raises(EmulatedError, match="Invalid API version"):
            fixed.answer(call(body, "InvokeModel"))


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"temperature": 1}, "temperature: Extra inputs"),
        ({"top_p": 1}, "top_p: Extra inputs"),
        ({"top_k": 5}, "top_k: Extra inputs"),
        ({"messages": [{"role": "user", "content": [CITED]}]}, r"0\.citations: Extra inputs"),
        (
            {"messages": [{"role": role, "content": [DOCUMENT]} for role in ("user", "assistant")]},
            r"messages\.1\.content\.0: document",
        ),
    ],
)
def test_what_the_newer_api_version_took_away(fixed, call, more, words) -> None:
    model = "anthropic.claude-opus-5-5"
    fixed.answer(call(native(**more), "InvokeModel", model))
    with pytest.raises(EmulatedError, match=words):
        fixed.answer(call(native(**more, anthropic_version=NEWER), "InvokeModel", model))
