"""Renders a generation in the shapes of Converse: body, event stream, usage members."""

from __future__ import annotations

import hashlib
from typing import Any

from bedrock_emulator.engine.citing import Citation
from bedrock_emulator.engine.generation import Block, Generation, ToolCall, chunks
from bedrock_emulator.engine.prompt import Prompt
from bedrock_emulator.engine.types import Answer, Event, Json, TokenUsage


def converse_body(
    body: Json, prompt: Prompt, made: Generation, usage: TokenUsage, identity: str
) -> dict[str, Any]:
    """The response body of Converse."""
    answer: dict[str, Any] = {
        "metrics": {"latencyMs": 0},
        "output": {
            "message": {"content": _content(prompt, made, identity), "role": "assistant"},
        },
        "stopReason": made.stop_reason,
        "usage": usage_members(prompt, usage, stream=False),
    }
    answer.update(_extras(body, prompt, made))
    return answer


def converse(
    body: Json,
    prompt: Prompt,
    made: Generation,
    usage: TokenUsage,
    identity: str,
    region: str | None,
) -> Answer:
    answer = converse_body(body, prompt, made, usage, identity)
    return Answer(
        usage,
        body=answer,
        service_tier=prompt.tier,
        inference_region=region,
    )


def converse_stream(
    body: Json,
    prompt: Prompt,
    made: Generation,
    usage: TokenUsage,
    identity: str,
    region: str | None,
) -> Answer:
    """The events of ConverseStream; `metadata` with the usage is last."""
    events = [Event("messageStart", {"role": "assistant"}, 0)]
    for index, block in enumerate(made.blocks):
        events += _block_events(index, block, prompt, identity)
    extras = _extras(body, prompt, made)
    stop: dict[str, Any] = {"stopReason": made.stop_reason}
    if "additionalModelResponseFields" in extras:
        stop["additionalModelResponseFields"] = extras.pop("additionalModelResponseFields")
    events.append(Event("messageStop", stop, made.output_tokens))
    members = usage_members(prompt, usage, stream=True)
    metadata = {"metrics": {"latencyMs": 0}, "usage": members, **extras}
    events.append(Event("metadata", metadata, made.output_tokens))
    return Answer(
        usage,
        events=events,
        service_tier=prompt.tier,
        inference_region=region,
    )


def usage_members(prompt: Prompt, usage: TokenUsage, *, stream: bool) -> dict[str, Any]:
    """`usage` as recorded exchanges show it.

    Members of the cache come twice under two names, and mean one count: always for Claude's plain
    answers, in streams and for Nova only where the request asked for the cache. `cacheDetails`
    splits the writes by class of life and stands only where a model has two classes. Counts that
    are not zero are reported by every model.
    """
    total = usage.input + usage.cached + usage.output
    members: dict[str, Any] = {
        "inputTokens": usage.input,
        "outputTokens": usage.output,
        "totalTokens": total,
        "serverToolUsage": {},
    }
    model = prompt.model
    always = model.cache_members == "always" and not stream
    asked = model.cache_min and (always or prompt.checkpoints)
    if not asked and not usage.cached:
        return members
    members["cacheReadInputTokens"] = members["cacheReadInputTokenCount"] = usage.cache_read
    members["cacheWriteInputTokens"] = members["cacheWriteInputTokenCount"] = usage.cache_write
    if usage.cache_write and (len(model.cache_ttls) > 1 or usage.cache_write_1h):
        classes = (("1h", usage.cache_write_1h), ("5m", usage.cache_write_5m))
        members["cacheDetails"] = [
            {"ttl": ttl, "inputTokens": tokens} for ttl, tokens in classes if tokens
        ]
    return members


def tool_id(identity: str, index: int) -> str:
    digest = hashlib.sha256(f"{identity}/{index}".encode("utf-8", "replace")).hexdigest()
    return f"tooluse_{digest[:22]}"


def _content(prompt: Prompt, made: Generation, identity: str) -> list[dict[str, Any]]:
    content: list[dict[str, Any]] = []
    for index, block in enumerate(made.blocks):
        if block.call is not None:
            use = {"input": block.call.input, **_tool_use(prompt, block.call, identity, index)}
            content.append({"toolUse": use})
        elif block.kind == "reasoning":
            reasoning = {"text": block.text}
            if _is_claude(prompt):
                reasoning["signature"] = _signature(block.text)
            content.append({"reasoningContent": {"reasoningText": reasoning}})
        elif block.citations:
            citations = [_citation(citation) for citation in block.citations]
            member = {"content": [{"text": block.text}], "citations": citations}
            content.append({"citationsContent": member})
        else:
            content.append({"text": block.text})
    if prompt.model.reasons_last:
        content.sort(key=lambda block: "reasoningContent" in block)
    return content


def _block_events(index: int, block: Block, prompt: Prompt, identity: str) -> list[Event]:
    events = []

    def delta(member: dict[str, Any], tokens: int) -> None:
        payload = {"contentBlockIndex": index, "delta": member}
        events.append(Event("contentBlockDelta", payload, tokens))

    if block.call is not None:
        start = {"toolUse": _tool_use(prompt, block.call, identity, index)}
        payload = {"contentBlockIndex": index, "start": start}
        events.append(Event("contentBlockStart", payload, block.first))
        for text, tokens in chunks(block, prompt.tokeniser):
            delta({"toolUse": {"input": text}}, tokens)
    elif block.kind == "reasoning":
        for text, tokens in chunks(block, prompt.tokeniser):
            delta({"reasoningContent": {"text": text}}, tokens)
        if _is_claude(prompt):
            delta({"reasoningContent": {"signature": _signature(block.text)}}, block.tokens)
    else:
        for text, tokens in chunks(block, prompt.tokeniser):
            delta({"text": text}, tokens)
        for citation in block.citations:
            delta({"citation": _citation(citation)}, block.tokens)
    events.append(Event("contentBlockStop", {"contentBlockIndex": index}, block.tokens))
    return events


def _citation(citation: Citation) -> dict[str, Any]:
    """A Citation of the service model, whose CitationsDelta has the same members."""
    source, place = citation.source, {"start": citation.start, "end": citation.end}
    member: dict[str, Any] = {"title": source.title or ""}
    if source.kind == "search_result":
        member["source"] = source.origin
        location = {"searchResultLocation": {"searchResultIndex": source.index, **place}}
    else:
        name = "documentChar" if source.one_text else "documentChunk"
        location = {name: {"documentIndex": source.index, **place}}
    texts = [{"text": text} for text in citation.texts]
    return {**member, "sourceContent": texts, "location": location}


def _is_claude(prompt: Prompt) -> bool:
    """Whether the model shows Claude's extra members: types of tool uses, signed reasoning."""
    return prompt.model.native == "anthropic"


def _tool_use(prompt: Prompt, call: ToolCall, identity: str, index: int) -> dict[str, str]:
    members = {"name": call.name, "toolUseId": tool_id(identity, index)}
    return {**members, "type": "tool_use"} if _is_claude(prompt) else members


def _signature(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()


def _extras(body: Json, prompt: Prompt, made: Generation) -> dict[str, Any]:
    extras: dict[str, Any] = {}
    if body.get("serviceTier") is not None:
        extras["serviceTier"] = {"type": prompt.tier}
    if body.get("performanceConfig") is not None:
        extras["performanceConfig"] = body["performanceConfig"]
    known = {"/stop_sequence": made.stop_sequence, "/stop_reason": made.stop_reason}
    asked = [path for path in prompt.field_paths if path in known]
    if asked:
        extras["additionalModelResponseFields"] = {path[1:]: known[path] for path in asked}
    return extras
