"""Reads Anthropic's Messages bodies, with the messages of Anthropic's own validation."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Sequence
from typing import Any

from bedrock_emulator.engine import errors
from bedrock_emulator.engine.catalogue import Model
from bedrock_emulator.engine.prompt import Prompt, Tool, Turn
from bedrock_emulator.engine.requests import checks
from bedrock_emulator.engine.requests.answer_format import read_format
from bedrock_emulator.engine.requests.anthropic_blocks import BlockReader, mark, text_of
from bedrock_emulator.engine.requests.anthropic_members import (
    as_dict,
    as_kind,
    as_list,
    hold,
    one_of,
    unknown_tag,
)
from bedrock_emulator.engine.requests.thinking import Beside, check_choice, read_thinking
from bedrock_emulator.engine.requests.tooling import named_twice

_REQUIRED = ("anthropic_version", "max_tokens", "messages")
_MEMBERS = frozenset(
    {
        *_REQUIRED,
        *("system", "tools", "tool_choice", "thinking", "anthropic_beta", "temperature", "top_p"),
        *("top_k", "stop_sequences", "metadata", "output_config", "output_format"),
        *("context_management", "mcp_servers"),
    }
)
# What the Anthropic SDKs of its day and later send; Bedrock takes it for Claude 4.7 and later
# (platform.claude.com, "Versions", 2026-11).
_VERSION_2026 = "2026-10-21"
# As Bedrock names them where a body has another.
_TOOL_TYPES = (
    *("bash_20250124", "custom", "memory_20250818"),
    *("text_editor_20250124", "text_editor_20250429", "text_editor_20250728"),
    *("tool_search_tool_bm25", "tool_search_tool_bm25_20251119"),
    *("tool_search_tool_regex", "tool_search_tool_regex_20251119"),
)
# Tools that a beta brings.
_BETA_TOOLS = {
    "computer-use-2025-01-24": "computer_20250124",
    "computer-use-2025-11-24": "computer_20251124",
}
_TOOL_NAME = re.compile("[a-zA-Z0-9_-]{1,128}")
_CHOICES = ("any", "auto", "none", "tool")
_SERVER_TOOL_TOKENS = 300


def read_anthropic(body: dict[str, Any], model: Model) -> Prompt:
    """The prompt of a Messages body. Raises EmulatedError with the first fault."""
    for key in _REQUIRED:
        if key not in body:
            raise errors.validation(f"{key}: Field required")
    for key in body:
        if key not in _MEMBERS:
            raise errors.validation(f"{key}: Extra inputs are not permitted")
    if body["anthropic_version"] not in model.api_versions:
        raise errors.validation("Invalid API version")
    if body["anthropic_version"] == _VERSION_2026:
        _check_2026(body)
    prompt = Prompt(model)
    prompt.open()
    _read_header(body, prompt)
    _read_limits(body, prompt)
    read_format(body, prompt)
    known = _known_tools(body)
    for index, tool in enumerate(_tools(body)):
        _read_tool(as_dict(tool, f"tools.{index}"), index, prompt, known)
    if named_twice(prompt.tools) is not None:
        raise errors.validation("tools: Tool names must be unique.")
    _read_choice(body, prompt)
    _read_system(body.get("system"), prompt)
    _read_messages(as_list(body["messages"], "messages"), prompt)
    checks.within_limits(prompt)
    return prompt


def _read_header(body: dict[str, Any], prompt: Prompt) -> None:
    """What stands beside the prompt: betas and labels."""
    betas = body.get("anthropic_beta")
    for index, name in enumerate(as_list(betas, "anthropic_beta") if betas is not None else ()):
        as_kind(name, str, f"anthropic_beta.{index}")
    prompt.use_betas(betas)
    if body.get("metadata") is None:
        return
    metadata = as_dict(body["metadata"], "metadata")
    for name in metadata:
        if name != "user_id":
            raise errors.validation(f"metadata.{name}: Extra inputs are not permitted")
    hold(metadata, {"user_id": str}, "metadata")


def _check_2026(body: dict[str, Any]) -> None:
    """What this version took away."""
    for name in ("temperature", "top_p", "top_k"):
        if name in body:
            raise errors.validation(f"{name}: Extra inputs are not permitted")
    messages = body["messages"] if isinstance(body["messages"], list) else []
    for index, message in enumerate(messages):
        content = message.get("content") if isinstance(message, dict) else None
        for place, block in enumerate(content if isinstance(content, list) else []):
            path = f"messages.{index}.content.{place}"
            if not isinstance(block, dict):
                continue
            if message.get("role") == "assistant" and block.get("type") == "document":
                raise errors.validation(f"{path}: document blocks go into user messages alone")
            if message.get("role") == "user" and block.get("citations") and "text" in block:
                raise errors.validation(f"{path}.citations: Extra inputs are not permitted")


def _read_limits(body: dict[str, Any], prompt: Prompt) -> None:
    most = body["max_tokens"]
    if isinstance(most, bool) or not isinstance(most, int):
        raise errors.validation("max_tokens: Input should be a valid integer")
    if most < 1:
        raise errors.validation("max_tokens: Input should be greater than or equal to 1")
    limit = prompt.model.max_output
    if most > limit:
        raise errors.validation(
            f"max_tokens: {most} > {limit}, which is the maximum allowed number of output tokens "
            f"for {prompt.model.id.partition('.')[2]}"
        )
    prompt.max_tokens = most
    for name in ("temperature", "top_p"):
        value = body.get(name)
        if value is not None and (
            isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1
        ):
            raise errors.validation(f"{name}: range: 0..1")
    if body.get("stop_sequences") is not None:
        prompt.stop_sequences = checks.stop_sequences(body["stop_sequences"], "stop_sequences")
        if any(not stop.strip() for stop in prompt.stop_sequences):
            raise errors.validation(
                "stop_sequences: each stop sequence must contain non-whitespace"
            )
    top_k = body.get("top_k")
    if top_k is not None and (isinstance(top_k, bool) or not isinstance(top_k, int)):
        raise errors.validation("top_k: Input should be a valid integer")
    if top_k is not None and top_k < 0:
        raise errors.validation("top_k: Input should be greater than or equal to 0")
    beside = Beside(most, body.get("temperature"), body.get("anthropic_beta"))
    if read_thinking(body.get("thinking"), beside):
        prompt.think()


def _tools(body: dict[str, Any]) -> list[Any]:
    return [] if body.get("tools") is None else as_list(body["tools"], "tools")


def _known_tools(body: dict[str, Any]) -> list[str]:
    betas = body.get("anthropic_beta") or ()
    brought = (kind for beta, kind in _BETA_TOOLS.items() if beta in betas)
    return sorted((*_TOOL_TYPES, *brought))


def _read_tool(tool: dict[str, Any], index: int, prompt: Prompt, known: Sequence[str]) -> None:
    kind = checks.given(tool, "type", "custom")
    if kind not in known:
        raise unknown_tag(kind, known, f"tools.{index}")
    if kind != "custom":
        prompt.add("tool:" + json.dumps(tool, sort_keys=True), _SERVER_TOOL_TOKENS)
    else:
        name = tool.get("name")
        if not isinstance(name, str):
            raise errors.validation(f"tools.{index}.custom.name: Field required")
        if not _TOOL_NAME.fullmatch(name):
            raise errors.validation(
                f"tools.{index}.custom.name: String should match pattern '^{_TOOL_NAME.pattern}$'"
            )
        schema = tool.get("input_schema")
        if not isinstance(schema, dict):
            raise errors.validation(f"tools.{index}.custom.input_schema: Field required")
        if schema.get("type") != "object":
            raise errors.validation(
                f"tools.{index}.custom.input_schema.type: Input should be 'object'"
            )
        hold(tool, {"description": str}, f"tools.{index}.custom")
        prompt.add_tool(Tool(name, tool.get("description") or "", schema))
    mark(tool, prompt)


def _read_choice(body: dict[str, Any], prompt: Prompt) -> None:
    if body.get("tool_choice") is None:
        return
    choice = as_dict(body["tool_choice"], "tool_choice")
    kind = choice.get("type")
    if kind not in _CHOICES:
        raise unknown_tag(kind, _CHOICES, "tool_choice")
    hold(choice, {"disable_parallel_tool_use": bool}, f"tool_choice.{kind}")
    if kind in ("any", "tool") and not body.get("tools"):
        raise errors.validation("tool_choice may only be specified while providing tools")
    check_choice(str(kind), thinking=prompt.thinking)
    if kind != "tool":
        prompt.tool_choice = str(kind)
    else:
        name = choice.get("name")
        if not any(tool.name == name for tool in prompt.tools):
            raise errors.validation(
                f"tool_choice.tool.name: Tool '{name}' not found in provided tools"
            )
        prompt.tool_choice = f"tool:{name}"


def _read_system(system: Any, prompt: Prompt) -> None:
    if system is None:
        return
    blocks = [{"type": "text", "text": system}] if isinstance(system, str) else system
    texts = []
    for index, block in enumerate(as_list(blocks, "system")):
        block = as_dict(block, f"system.{index}")
        one_of(block.get("type"), ("text",), f"system.{index}.type")
        text = text_of(block, f"system.{index}")
        prompt.add_text("system:", text)
        texts.append(text)
        mark(block, prompt)
    prompt.system = "\n\n".join(texts)


def _read_messages(messages: list[Any], prompt: Prompt) -> None:
    readers: list[BlockReader] = []
    if not messages:
        raise errors.validation("messages: at least one message is required")
    for index, message in enumerate(messages):
        message = as_dict(message, f"messages.{index}")
        role = message.get("role")
        if role not in ("user", "assistant"):
            raise errors.validation(
                f'messages: Unexpected role "{role}". The Messages API accepts a top-level '
                '`system` parameter, not "system" as an input message role.'
                if role == "system"
                else f"messages.{index}.role: Input should be 'user' or 'assistant'"
            )
        if index == 0 and role != "user":
            raise errors.validation('messages: first message must use the "user" role')
        path = f"messages.{index}.content"
        content = message.get("content")
        if isinstance(content, str):
            content = [{"type": "text", "text": content}] if content else []
        blocks = as_list(content, path)
        is_last = index == len(messages) - 1 and role == "assistant"
        if not blocks and not is_last:
            raise errors.validation(
                f"messages.{index}: all messages must have non-empty content except for the "
                "optional final assistant message"
            )
        prompt.begin_turn(role)
        reader = BlockReader(prompt, role)
        texts = [
            reader.read(as_dict(block, f"{path}.{i}"), f"{path}.{i}")
            for i, block in enumerate(blocks)
        ]
        if is_last and blocks and str(blocks[-1].get("text", ""))[-1:].isspace():
            raise errors.validation(
                "messages: final assistant content cannot end with trailing whitespace"
            )
        if role == "user" and not reader.tool_results:
            prompt.called.clear()
        prompt.turns.append(Turn(role, "\n".join(text for text in texts if text)))
        readers.append(reader)
    _match_tools(readers)


def _match_tools(readers: list[BlockReader]) -> None:
    """Every tool use of a turn is answered in the next, and nothing else is.

    Messages of one role that follow one another are one turn.
    """
    pending: list[str] = []
    before = 0  # messages up to the turn
    for role, turn in itertools.groupby(readers, key=lambda reader: reader.role):
        messages = list(turn)
        if role == "user":
            results = [result for message in messages for result in message.tool_results]
            _match_turn(pending, results, before)
        pending = [identity for message in messages for identity in message.tool_uses]
        before += len(messages)


def _match_turn(pending: list[str], results: list[tuple[str, str]], index: int) -> None:
    for identity, path in results:
        if identity not in pending:
            raise errors.validation(
                f"{path}: unexpected `tool_use_id` found in `tool_result` blocks: {identity}. Each "
                "`tool_result` block must have a corresponding `tool_use` block in the previous "
                "message."
            )
    answered = {identity for identity, _ in results}
    missing = [identity for identity in pending if identity not in answered]
    if missing:
        raise errors.validation(
            f"messages.{index}: `tool_use` ids were found without `tool_result` blocks immediately "
            f"after: {', '.join(missing)}. Each `tool_use` block must have a corresponding "
            "`tool_result` block in the next message."
        )
