"""Answers of Anthropic's Messages API, as InvokeModel returns and streams them."""

from __future__ import annotations

import re
from typing import Any

from bedrock_emulator.engine.citing import Citation
from bedrock_emulator.engine.generation import Block, Generation, chunks
from bedrock_emulator.engine.native.family import Chunks, Family
from bedrock_emulator.engine.prompt import Prompt
from bedrock_emulator.engine.requests.anthropic import read_anthropic
from bedrock_emulator.engine.types import TokenUsage

_OF_BLOCKS = "content_block_location"
_VERSION = re.compile(r"-v\d+(:\d+)?$")


def _body(prompt: Prompt, made: Generation, usage: TokenUsage, identity: str) -> dict[str, Any]:
    return {
        "model": _model_name(prompt),
        "id": _id("msg_bdrk_01", identity),
        "type": "message",
        "role": "assistant",
        "content": [_content(block, identity, i) for i, block in enumerate(made.blocks)],
        "stop_reason": made.stop_reason,
        "stop_sequence": made.stop_sequence,
        "usage": _usage(usage, usage.output),
    }


def _stream(prompt: Prompt, made: Generation, usage: TokenUsage, identity: str) -> Chunks:
    message = _body(prompt, Generation((), "end_turn", 0), usage, identity)
    message["stop_reason"] = None
    message["usage"] = _usage(usage, min(1, made.output_tokens))
    parts: Chunks = [({"type": "message_start", "message": message}, 0)]
    for index, block in enumerate(made.blocks):
        parts += _block(index, block, prompt, identity)
    delta = {"stop_reason": made.stop_reason, "stop_sequence": made.stop_sequence}
    done = {"type": "message_delta", "delta": delta, "usage": {"output_tokens": usage.output}}
    parts.append((done, made.output_tokens))
    parts.append(({"type": "message_stop"}, made.output_tokens))
    return parts


def _block(index: int, block: Block, prompt: Prompt, identity: str) -> Chunks:
    start = _content(block, identity, index)
    empty: dict[str, Any] = {
        "text": "",
        "thinking": "",
        "signature": "",
        "input": {},
        "citations": [],
    }
    start |= {member: empty[member] for member in start if member in empty}
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
    for citation in block.citations:
        delta({"type": "citations_delta", "citation": _citation(citation)}, block.tokens)
    if block.kind == "reasoning":
        signature = _content(block, identity, index)["signature"]
        delta({"type": "signature_delta", "signature": signature}, block.tokens)
    parts.append(({"type": "content_block_stop", "index": index}, block.tokens))
    return parts


def _content(block: Block, identity: str, index: int) -> dict[str, Any]:
    if block.call is not None:
        identity = _id("toolu_bdrk_01", identity[index:] + identity[:index])
        call = block.call
        return {"type": "tool_use", "id": identity, "name": call.name, "input": call.input}
    if block.kind == "reasoning":
        return {"type": "thinking", "thinking": block.text, "signature": identity}
    text: dict[str, Any] = {"type": "text", "text": block.text}
    if block.citations:
        text["citations"] = [_citation(citation) for citation in block.citations]
    return text


def _citation(citation: Citation) -> dict[str, Any]:
    source, cited = citation.source, {"cited_text": "".join(citation.texts)}
    if source.kind == "search_result":
        kind, unit = "search_result_location", "block"
        named = {
            "source": source.origin,
            "title": source.title,
            "search_result_index": source.index,
        }
    else:
        kind, unit = ("char_location", "char") if source.one_text else (_OF_BLOCKS, "block")
        named = {"document_index": source.index, "document_title": source.title}
    place = {f"start_{unit}_index": citation.start, f"end_{unit}_index": citation.end}
    return {"type": kind, **cited, **named, **place}


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


def _id(prefix: str, identity: str) -> str:
    return prefix + identity[:22]


def _model_name(prompt: Prompt) -> str:
    """Anthropic's own name: without the provider and Bedrock's version."""
    return _VERSION.sub("", prompt.model.id.partition(".")[2])


FAMILY = Family(read_anthropic, _body, _stream)
