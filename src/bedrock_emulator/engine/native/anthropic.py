"""Answers of Anthropic's Messages API, as InvokeModel returns and streams them."""

from __future__ import annotations

import re
from typing import Any

from bedrock_emulator.engine.generation import Block, Generation, chunks
from bedrock_emulator.engine.native.family import Chunks, Family
from bedrock_emulator.engine.prompt import Prompt
from bedrock_emulator.engine.requests.anthropic import read_anthropic
from bedrock_emulator.engine.types import TokenUsage

_VERSION = re.compile(r"-v\d+(:\d+)?$")


def _body(prompt: Prompt, made: Generation, usage: TokenUsage, seed: str) -> dict[str, Any]:
    return {
        "model": _model_name(prompt),
        "id": _id("msg_bdrk_01", seed),
        "type": "message",
        "role": "assistant",
        "content": [_content(block, seed, i) for i, block in enumerate(made.blocks)],
        "stop_reason": made.stop_reason,
        "stop_sequence": made.stop_sequence,
        "usage": _usage(usage, usage.output),
    }


def _stream(prompt: Prompt, made: Generation, usage: TokenUsage, seed: str) -> Chunks:
    message = _body(prompt, Generation((), "end_turn", 0), usage, seed)
    message["stop_reason"] = None
    message["usage"] = _usage(usage, min(1, made.output_tokens))
    parts: Chunks = [({"type": "message_start", "message": message}, 0)]
    for index, block in enumerate(made.blocks):
        parts += _block(index, block, prompt, seed)
    delta = {"stop_reason": made.stop_reason, "stop_sequence": made.stop_sequence}
    done = {"type": "message_delta", "delta": delta, "usage": {"output_tokens": usage.output}}
    parts.append((done, made.output_tokens))
    parts.append(({"type": "message_stop"}, made.output_tokens))
    return parts


def _block(index: int, block: Block, prompt: Prompt, seed: str) -> Chunks:
    start = _content(block, seed, index)
    for member, empty in (("text", ""), ("thinking", ""), ("signature", ""), ("input", {})):
        if member in start:
            start[member] = empty
    opened = {"type": "content_block_start", "index": index, "content_block": start}
    parts: Chunks = [(opened, block.first)]

    def delta(member: dict[str, Any], tokens: int) -> None:
        parts.append(({"type": "content_block_delta", "index": index, "delta": member}, tokens))

    for text, tokens in chunks(block, prompt.tokeniser):
        if block.kind == "tool":
            delta({"type": "input_json_delta", "partial_json": text}, tokens)
        elif block.kind == "reasoning":
            delta({"type": "thinking_delta", "thinking": text}, tokens)
        else:
            delta({"type": "text_delta", "text": text}, tokens)
    if block.kind == "reasoning":
        signature = _content(block, seed, index)["signature"]
        delta({"type": "signature_delta", "signature": signature}, block.tokens)
    parts.append(({"type": "content_block_stop", "index": index}, block.tokens))
    return parts


def _content(block: Block, seed: str, index: int) -> dict[str, Any]:
    if block.call is not None:
        identity = _id("toolu_bdrk_01", seed[index:] + seed[:index])
        call = block.call
        return {"type": "tool_use", "id": identity, "name": call.name, "input": call.input}
    if block.kind == "reasoning":
        return {"type": "thinking", "thinking": block.text, "signature": seed}
    return {"type": "text", "text": block.text}


def _usage(usage: TokenUsage, output: int) -> dict[str, Any]:
    return {
        "input_tokens": usage.input,
        "cache_creation_input_tokens": usage.cache_write,
        "cache_read_input_tokens": usage.cache_read,
        "cache_creation": {
            "ephemeral_5m_input_tokens": usage.cache_write_5m,
            "ephemeral_1h_input_tokens": usage.cache_write_1h,
        },
        "output_tokens": output,
    }


def _id(prefix: str, seed: str) -> str:
    return prefix + seed[:22]


def _model_name(prompt: Prompt) -> str:
    """Anthropic's own name: without the provider and Bedrock's version."""
    return _VERSION.sub("", prompt.model.id.partition(".")[2])


FAMILY = Family(read_anthropic, _body, _stream)
