"""Converse answers as OpenAI chat completions. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import orjson

from tenantry.application import exact_json
from tenantry.domain.errors import UpstreamRubbish
from tenantry.domain.usage import Usage

_FINISH: Final = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "tool_use": "tool_calls",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "guardrail_intervened": "content_filter",
    "content_filtered": "content_filter",
}


def finish_reason(stop_reason: object) -> str:
    """Malformed output and what is new to us are an ordinary end."""
    return _FINISH.get(str(stop_reason), "stop")


def to_usage(usage: Usage) -> dict[str, Any]:
    """OpenAI counts tokens that a cache gave, or was given, inside `prompt_tokens`. A search before
    the chat is no prompt."""
    prompt = usage.prompt_tokens - usage.embedding
    written = usage.cache_write_5m + usage.cache_write_1h
    return {
        "prompt_tokens": prompt,
        "completion_tokens": usage.out,
        "total_tokens": prompt + usage.out,
        "prompt_tokens_details": {
            "cached_tokens": usage.cache_read,
            "cache_write_tokens": written,
        },
    }


def from_converse(
    body: bytes,
    usage: Usage,
    *,
    completion_id: str,
    created: int,
    model: str,
    one_call: bool = False,
) -> dict[str, Any]:
    """A whole `chat.completion`. `one_call`: of several tool calls the first alone is told. Raises
    `UpstreamRubbish`."""
    try:
        answer = exact_json.read(body)
        content = answer["output"]["message"]["content"]
        message = _message(content, 1 if one_call else None)
        reason = finish_reason(answer.get("stopReason"))
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError, RecursionError):
        raise UpstreamRubbish from None
    choice = {"index": 0, "message": message, "finish_reason": reason, "logprobs": None}
    completion = {
        "id": completion_id,
        "object": "chat.completion",
        "created": created,
        "model": model,
        "choices": [choice],
        "usage": to_usage(usage),
    }
    if tier := tier_name(answer.get("serviceTier")):
        completion["service_tier"] = tier
    return completion


def tier_name(tier: object) -> str | None:
    found = tier.get("type") if isinstance(tier, Mapping) else None
    return found if isinstance(found, str) else None


def _message(content: list[dict[str, Any]], calls_max: int | None) -> dict[str, Any]:
    texts = [block["text"] for block in content if "text" in block]
    message: dict[str, Any] = {
        "role": "assistant",
        "content": "".join(texts) if texts else None,
        "refusal": None,
    }
    thoughts = [
        block["reasoningContent"].get("reasoningText", {}).get("text", "")
        for block in content
        if "reasoningContent" in block
    ]
    if any(thoughts):
        message["reasoning_content"] = "".join(thoughts)
    calls = [_tool_call(block["toolUse"]) for block in content if "toolUse" in block]
    if calls:
        message["tool_calls"] = calls[:calls_max]
    return message


def _tool_call(use: Mapping[str, Any]) -> dict[str, Any]:
    arguments = exact_json.write(use.get("input", {})).decode()
    function = {"name": use["name"], "arguments": arguments}
    return {"id": use["toolUseId"], "type": "function", "function": function}
