"""Which parts of a body are media, and which only look like them."""

from __future__ import annotations

from typing import Any

import pytest

from bedrock_emulator.log_media import MEDIA, without_media

BYTES = {"bytes": "SECRET"}
URL = {"url": "data:image/png;base64,SECRET"}
CLAUDES = {"type": "image", "source": {"type": "base64", "data": "SECRET"}}


def said(*blocks: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": [{"text": "a"}, *blocks]}]}


def converse(medium: str) -> dict[str, Any]:
    return {medium: {"format": "x", "source": BYTES}}


BODIES = {
    "converse image": ("image", said(converse("image"))),
    "converse video": ("video", said(converse("video"))),
    "converse audio": ("audio", said(converse("audio"))),
    "guarded": ("image", said({"guardContent": converse("image")})),
    "tool result": ("image", said({"toolResult": {"content": [converse("image")]}})),
    "claude": ("image", said(CLAUDES)),
    "claude tool result": ("image", said({"type": "tool_result", "content": [CLAUDES]})),
    "claude document": (
        "image",
        said({"type": "document", "source": {"type": "content", "content": [CLAUDES]}}),
    ),
    "chat": ("image", said({"type": "image_url", "image_url": URL})),
    "chat sound": ("audio", said({"type": "input_audio", "input_audio": {"data": "SECRET"}})),
    "chat video": ("video", said({"type": "video_url", "video_url": URL})),
    "llama": ("image", {"prompt": "a", "images": ["SECRET"]}),
    "titan": ("image", {"inputText": "a", "inputImage": "SECRET"}),
    "nova embedding": ("video", {"singleEmbeddingParams": converse("video")}),
    "cohere": ("image", {"inputs": [{"content": [{"type": "image_url", "image_url": URL}]}]}),
    "not in its place": ("image", {"messages": {"content": CLAUDES}, "system": [CLAUDES]}),
    "an answer": ("image", {"output": {"message": {"content": [converse("image")]}}}),
    "chunks": ("image", [{"delta": {"image": {"source": BYTES}}}]),
}


@pytest.mark.parametrize(("medium", "body"), BODIES.values(), ids=list(BODIES))
def test_a_medium_is_left_out_by_its_own_switch(medium, body) -> None:
    given = repr(body)
    assert "SECRET" not in repr(without_media(body, {medium}))
    assert without_media(body, set(MEDIA) - {medium}) == body
    assert without_media(body, set()) == body
    assert repr(body) == given


LIKE_MEDIA = {"image": {"source": "a map"}, "type": "image", "source": "the sea"}


@pytest.mark.parametrize(
    "body",
    [
        said({"toolUse": {"name": "t", "input": LIKE_MEDIA}}),
        said({"toolResult": {"content": [{"json": LIKE_MEDIA}]}}),
        said({"type": "tool_use", "name": "t", "input": LIKE_MEDIA}),
        {"toolConfig": {"tools": [{"toolSpec": {"inputSchema": {"json": LIKE_MEDIA}}}]}},
        {"tools": [{"name": "t", "input_schema": {"properties": LIKE_MEDIA}}]},
        {"tools": [{"type": "function", "function": {"parameters": LIKE_MEDIA}}]},
        {"output_config": {"format": {"schema": LIKE_MEDIA}}},
        {"additionalModelRequestFields": LIKE_MEDIA},
    ],
)
def test_what_callers_name_freely_is_left_alone(body) -> None:
    assert without_media(body, set(MEDIA)) == body
