"""The OpenAI-shaped chat body of gpt-oss, Qwen, DeepSeek, Kimi, GLM and others."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from bedrock_emulator.engine.answers import tool_id
from bedrock_emulator.engine.generation import Block, Generation, chunks
from bedrock_emulator.engine.native.family import Chunks, Family
from bedrock_emulator.engine.prompt import Prompt
from bedrock_emulator.engine.requests.openai import read_chat
from bedrock_emulator.engine.types import Answer, TokenUsage

_OBJECTS = ("chat.completion", "chat.completion.chunk")
# Around the reasoning, which this shape shows in front of the answer, in the same text.
_OPEN, _CLOSE = "<reasoning>", "</reasoning>"
_FINISH = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "tool_use": "tool_calls",
    "guardrail_intervened": "stop",
}


def _body(prompt: Prompt, made: Generation, usage: TokenUsage, identity: str) -> dict[str, Any]:
    text = "".join(
        f"{_OPEN}{block.text}{_CLOSE}" if block.kind == "reasoning" else block.text
        for block in made.blocks
        if block.call is None
    )
    calls = [_call(b, identity, i) for i, b in enumerate(made.blocks) if b.call is not None]
    message: dict[str, Any] = {"role": "assistant", "content": text if text or not calls else None}
    if calls:
        message["tool_calls"] = calls
    choice = {"index": 0, "message": message, "finish_reason": _FINISH[made.stop_reason]}
    return {**_frame(_OBJECTS[0], prompt, identity), "choices": [choice], "usage": _usage(usage)}


def _stream(prompt: Prompt, made: Generation, usage: TokenUsage, identity: str) -> Chunks:
    def part(delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        return {**_frame(_OBJECTS[1], prompt, identity), "choices": [choice]}

    parts: Chunks = [(part({"role": "assistant", "content": ""}), 0)]
    for index, block in enumerate(made.blocks):
        if block.call is not None:
            call = {"index": 0, **_call(block, identity, index)}
            parts.append((part({"tool_calls": [call]}), block.tokens))
        else:
            said = [(part({"content": t}), n) for t, n in chunks(block, prompt.tokeniser)]
            if block.kind == "reasoning":
                opened = (part({"content": _OPEN}), block.first)
                said = [opened, *said, (part({"content": _CLOSE}), block.tokens)]
            parts += said
    last = {**part({}, _FINISH[made.stop_reason]), "usage": _usage(usage)}
    parts.append((last, made.output_tokens))
    return parts


def _frame(kind: str, prompt: Prompt, identity: str) -> dict[str, Any]:
    """`created` is a placeholder: the engine has no wall clock."""
    name = f"chatcmpl-{identity[:24]}"
    return {"id": name, "object": kind, "created": 0, "model": prompt.model.id}


def created(answer: Answer, at_s: int) -> Answer:
    """The answer with the time at which it was made, in seconds since 1970, where it tells one."""

    def told(payload: Any) -> Any:
        is_chat = isinstance(payload, dict) and payload.get("object") in _OBJECTS
        return {**payload, "created": at_s} if is_chat else payload

    if answer.body is not None:
        return replace(answer, body=told(answer.body))
    events = [replace(event, payload=told(event.payload)) for event in answer.events]
    return replace(answer, events=events)


def _call(block: Block, identity: str, index: int) -> dict[str, Any]:
    assert block.call is not None
    function = {"name": block.call.name, "arguments": block.text or "{}"}
    return {"id": tool_id(identity, index), "type": "function", "function": function}


def _usage(usage: TokenUsage) -> dict[str, int]:
    prompt_tokens = usage.input + usage.cached
    return {
        "prompt_tokens": prompt_tokens,
        "completion_tokens": usage.output,
        "total_tokens": prompt_tokens + usage.output,
    }


FAMILY = Family(read_chat, _body, _stream)
