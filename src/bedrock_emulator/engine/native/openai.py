"""The OpenAI-shaped chat body of gpt-oss, Qwen, DeepSeek, Kimi, GLM and others."""

from __future__ import annotations

from typing import Any

from bedrock_emulator.engine.answers import tool_id
from bedrock_emulator.engine.generation import Block, Generation, chunks
from bedrock_emulator.engine.native.family import Chunks, Family
from bedrock_emulator.engine.prompt import Prompt
from bedrock_emulator.engine.requests.openai import read_chat
from bedrock_emulator.engine.types import TokenUsage

_FINISH = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "tool_use": "tool_calls",
    "guardrail_intervened": "stop",
}


def _body(prompt: Prompt, made: Generation, usage: TokenUsage, seed: str) -> dict[str, Any]:
    text = "".join(block.text for block in made.blocks if block.kind == "text")
    calls = [_call(b, seed, i) for i, b in enumerate(made.blocks) if b.call is not None]
    message: dict[str, Any] = {"role": "assistant", "content": text if text or not calls else None}
    if calls:
        message["tool_calls"] = calls
    choice = {"index": 0, "message": message, "finish_reason": _FINISH[made.stop_reason]}
    return {**_frame("chat.completion", prompt, seed), "choices": [choice], "usage": _usage(usage)}


def _stream(prompt: Prompt, made: Generation, usage: TokenUsage, seed: str) -> Chunks:
    def part(delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        return {**_frame("chat.completion.chunk", prompt, seed), "choices": [choice]}

    parts: Chunks = [(part({"role": "assistant", "content": ""}), 0)]
    for index, block in enumerate(made.blocks):
        if block.call is not None:
            call = {"index": 0, **_call(block, seed, index)}
            parts.append((part({"tool_calls": [call]}), block.tokens))
        elif block.kind == "text":
            parts += [(part({"content": t}), n) for t, n in chunks(block, prompt.tokeniser)]
    last = {**part({}, _FINISH[made.stop_reason]), "usage": _usage(usage)}
    parts.append((last, made.output_tokens))
    return parts


def _frame(kind: str, prompt: Prompt, seed: str) -> dict[str, Any]:
    """`created` is fixed: the engine has no wall clock, and clients only show it."""
    return {"id": f"chatcmpl-{seed[:24]}", "object": kind, "created": 0, "model": prompt.model.id}


def _call(block: Block, seed: str, index: int) -> dict[str, Any]:
    assert block.call is not None
    function = {"name": block.call.name, "arguments": block.text or "{}"}
    return {"id": tool_id(seed, index), "type": "function", "function": function}


def _usage(usage: TokenUsage) -> dict[str, int]:
    prompt_tokens = usage.input + usage.cached
    return {
        "prompt_tokens": prompt_tokens,
        "completion_tokens": usage.output,
        "total_tokens": prompt_tokens + usage.output,
    }


FAMILY = Family(read_chat, _body, _stream)
