"""Amazon Nova's native body: Converse's shapes, wrapped one member a chunk when streamed."""

from __future__ import annotations

from typing import Any

from bedrock_emulator.engine import answers
from bedrock_emulator.engine.generation import Generation
from bedrock_emulator.engine.native.family import Chunks, Family
from bedrock_emulator.engine.prompt import Prompt
from bedrock_emulator.engine.requests.converse import read_nova
from bedrock_emulator.engine.types import TokenUsage


def _body(prompt: Prompt, made: Generation, usage: TokenUsage, identity: str) -> dict[str, Any]:
    answer = answers.converse_body({}, prompt, made, usage, identity)
    return {
        "output": answer["output"],
        "stopReason": answer["stopReason"],
        "usage": _usage(usage),
    }


def _stream(prompt: Prompt, made: Generation, usage: TokenUsage, identity: str) -> Chunks:
    parts: Chunks = []
    for event in answers.converse_stream({}, prompt, made, usage, identity, None).events:
        payload = event.payload
        if event.type == "metadata":
            payload = {"usage": _usage(usage), "metrics": {}, "trace": {}}
        parts.append(({event.type: payload}, event.output_tokens))
    return parts


def _usage(usage: TokenUsage) -> dict[str, int]:
    return {
        "inputTokens": usage.input,
        "outputTokens": usage.output,
        "totalTokens": usage.input + usage.cached + usage.output,
        "cacheReadInputTokenCount": usage.cache_read,
        "cacheWriteInputTokenCount": usage.cache_write,
    }


FAMILY = Family(read_nova, _body, _stream)
