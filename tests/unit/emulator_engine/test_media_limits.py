"""Images and documents that are larger than a message may hold are refused before they count."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from tests.support.images import png

from bedrock_emulator.engine.types import EmulatedError

IMAGE_BYTES = 3_932_160  # 3.75 MB
DOCUMENT_BYTES = 4_718_592  # 4.5 MB


def picture(size: int = 0, width: int = 1, height: int = 1) -> str:
    return base64.b64encode(base64.b64decode(png(width, height)).ljust(size, b"\0")).decode()


def image(data: str) -> dict[str, Any]:
    return {"image": {"format": "png", "source": {"bytes": data}}}


def document(size: int) -> dict[str, Any]:
    data = base64.b64encode(b"a" * size).decode()
    return {"document": {"format": "pdf", "name": "d", "source": {"bytes": data}}}


def body(block: dict[str, Any]) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": [{"text": "a"}, block]}]}


def returned(block: dict[str, Any]) -> dict[str, Any]:
    """The same in a tool's result."""
    used = {"toolUse": {"toolUseId": "1", "name": "t", "input": {}}}
    result = {"toolResult": {"toolUseId": "1", "content": [block]}}
    turns = [("user", {"text": "a"}), ("assistant", used), ("user", result)]
    spec = {"toolSpec": {"name": "t", "inputSchema": {"json": {"type": "object"}}}}
    messages = [{"role": role, "content": [content]} for role, content in turns]
    return {"messages": messages, "toolConfig": {"tools": [spec]}}


@pytest.mark.parametrize(
    "block", [image(picture(IMAGE_BYTES, 8_000, 8_000)), document(DOCUMENT_BYTES)]
)
def test_the_largest_that_may_be_is_counted(fixed, call, block) -> None:
    for asked in (body(block), returned(block)):
        assert fixed.prepare(call(asked)).input_tokens > 0


@pytest.mark.parametrize(
    ("block", "words"),
    [
        (image(picture(IMAGE_BYTES + 1)), r"image at messages\.\d.content.* 3\.75 MB"),
        (image(picture(width=8_001)), "image at .* 8000 px"),
        (image(picture(height=8_001)), "image at .* 8000 px"),
        (document(DOCUMENT_BYTES + 1), r"document at messages\.\d.content.* 4\.5 MB"),
    ],
)
def test_what_is_larger_is_refused(fixed, call, block, words) -> None:
    for asked in (body(block), returned(block)):
        with pytest.raises(EmulatedError, match=words) as caught:
            fixed.prepare(call(asked))
        assert (caught.value.name, caught.value.status) == ("ValidationException", 400)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (picture(IMAGE_BYTES + 1), "image exceeds 5 MB maximum: 52428[0-9]{2} bytes > 5242880"),
        (picture(width=8_001), "image dimensions exceed max allowed size: 8000 pixels"),
    ],
)
def test_messages_bodies_have_the_same_bounds_in_claude_s_words(fixed, call, data, words) -> None:
    source = {"type": "base64", "media_type": "image/png", "data": data}
    native = {
        "anthropic_version": "bedrock-2023-05-31",
        "max_tokens": 9,
        "messages": [{"role": "user", "content": [{"type": "image", "source": source}]}],
    }
    with pytest.raises(EmulatedError, match=words):
        fixed.prepare(call(native, "InvokeModel"))
