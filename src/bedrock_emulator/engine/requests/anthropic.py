"""Reads Anthropic's Messages bodies, with the messages of Anthropic's own validation."""

from __future__ import annotations

import json
from typing import Any

from bedrock_emulator.engine import errors, media
from bedrock_emulator.engine.catalogue import Model
from bedrock_emulator.engine.prompt import Prompt, Tool, Turn
from bedrock_emulator.engine.requests import checks
from bedrock_emulator.engine.requests.content import mark_cache
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
_TOOL_TYPES = ("bash_20250124", "custom", "memory_20250818", "text_editor_20250728")
_BLOCK_TYPES = (
    *("document", "image", "redacted_thinking", "search_result", "text", "thinking"),
    *("tool_result", "tool_use"),
)
_SERVER_TOOL_TOKENS = 300
_BLOCK_OVERHEAD = 4  # tokens around a tool use or result in the family's template


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
    _read_limits(body, prompt)
    _read_format(body, prompt)
    for index, tool in enumerate(_list(body.get("tools") or [], "tools")):
        _read_tool(_object(tool, f"tools.{index}"), index, prompt)
    if named_twice(prompt.tools) is not None:
        raise errors.validation("tools: Tool names must be unique.")
    _read_choice(body.get("tool_choice"), prompt)
    _read_system(body.get("system"), prompt)
    _read_messages(_list(body["messages"], "messages"), prompt)
    checks.within_limits(prompt)
    return prompt


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
    thinking = body.get("thinking")
    if isinstance(thinking, dict):
        prompt.thinking = thinking.get("type") in ("enabled", "adaptive")


def _read_format(body: dict[str, Any], prompt: Prompt) -> None:
    """A JSON schema for the answer, billed for its tokens; `output_format` is its older name."""
    config = body.get("output_config")
    form = config.get("format") if isinstance(config, dict) else body.get("output_format")
    if isinstance(form, dict) and form.get("type") == "json_schema":
        prompt.schema = _object(form.get("schema"), "output_config.format.schema")
        prompt.add_text("schema:", json.dumps(prompt.schema, ensure_ascii=False))


def _read_tool(tool: dict[str, Any], index: int, prompt: Prompt) -> None:
    kind = tool.get("type", "custom")
    if kind not in _TOOL_TYPES:
        tags = ", ".join(f"'{name}'" for name in _TOOL_TYPES)
        raise errors.validation(
            f"tools.{index}: Input tag '{kind}' found using 'type' does not match any of the "
            f"expected tags: {tags}"
        )
    if kind != "custom":
        prompt.add("tool:" + json.dumps(tool, sort_keys=True), _SERVER_TOOL_TOKENS)
    else:
        name = tool.get("name")
        if not isinstance(name, str):
            raise errors.validation(f"tools.{index}.custom.name: Field required")
        schema = tool.get("input_schema")
        if not isinstance(schema, dict):
            raise errors.validation(f"tools.{index}.custom.input_schema: Field required")
        prompt.add_tool(Tool(name, str(tool.get("description") or ""), schema))
    _mark(tool, prompt)


def _read_choice(choice: Any, prompt: Prompt) -> None:
    kind = choice.get("type") if isinstance(choice, dict) else None
    if kind in ("auto", "any", "none"):
        prompt.tool_choice = kind
    elif kind == "tool":
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
    for index, block in enumerate(_list(blocks, "system")):
        block = _object(block, f"system.{index}")
        text = block.get("text")
        if not isinstance(text, str):
            raise errors.validation(f"system.{index}.text: Field required")
        prompt.add_text("system:", text)
        texts.append(text)
        _mark(block, prompt)
    prompt.system = "\n\n".join(texts)


def _read_messages(messages: list[Any], prompt: Prompt) -> None:
    if not messages:
        raise errors.validation("messages: at least one message is required")
    for index, message in enumerate(messages):
        message = _object(message, f"messages.{index}")
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
        content = message.get("content")
        blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
        path = f"messages.{index}.content"
        prompt.begin_turn(role)
        texts = [
            _read_block(_object(block, f"{path}.{i}"), f"{path}.{i}", role, prompt)
            for i, block in enumerate(_list(blocks, path))
        ]
        if not texts:
            raise errors.validation(
                f"messages.{index}: all messages must have non-empty content except for the "
                "optional final assistant message"
            )
        prompt.turns.append(Turn(role, "\n".join(text for text in texts if text)))


def _read_block(block: dict[str, Any], path: str, role: str, prompt: Prompt) -> str:
    kind = block.get("type")
    if kind not in _BLOCK_TYPES:
        tags = ", ".join(f"'{name}'" for name in _BLOCK_TYPES)
        raise errors.validation(
            f"{path}: Input tag '{kind}' found using 'type' does not match any of the expected "
            f"tags: {tags}"
        )
    text = ""
    if kind == "text":
        value = block.get("text")
        if not isinstance(value, str):
            raise errors.validation(f"{path}.text: Field required")
        text = value
        if not text.strip():
            raise errors.validation("messages: text content blocks must be non-empty")
        prompt.add_text(f"{role}:", text)
    elif kind in ("image", "document"):
        text = _read_media(kind, block, path, role, prompt)
    else:
        text = _inner_text(kind, block)
        prompt.add(f"{role}:{kind}:{text}", prompt.tokeniser.count(text) + _BLOCK_OVERHEAD)
        text = text if kind in ("tool_result", "search_result") else ""
    _mark(block, prompt)
    return text


def _read_media(kind: str, block: dict[str, Any], path: str, role: str, prompt: Prompt) -> str:
    source = _object(block.get("source"), f"{path}.source")
    if source.get("type") == "url":
        raise errors.validation(f"{path}.source: URL sources are not supported")
    path = f"{path}.{kind}.source"
    text = None
    if kind == "image":
        tokens = _image_tokens(source, path)
    elif source.get("type") == "text":
        text = _plain_text(source, f"{path}.text")
        tokens = prompt.tokeniser.count(text)
    elif source.get("type") == "content":
        text, tokens = _custom_content(source.get("content"), f"{path}.content", prompt)
    else:
        tokens = media.document_tokens(_bytes_of(source, path))
    prompt.add(f"{role}:{kind}:{json.dumps(source, sort_keys=True)}", tokens)
    return "" if text is None else f"<document>\n{text}\n</document>"


def _bytes_of(source: dict[str, Any], path: str) -> bytes:
    data = media.decode(source.get("data"))
    if not data:
        raise errors.no_base64(f"{path}.base64")
    return data


def _image_tokens(source: dict[str, Any], path: str) -> int:
    tokens = media.image_tokens(_bytes_of(source, path))
    if tokens is None:
        raise errors.no_image(f"{path}.base64")
    return tokens


def _plain_text(source: dict[str, Any], path: str) -> str:
    """A document that is one text. Its type is said beside it and can be one alone."""
    if source.get("media_type") != "text/plain":
        raise errors.validation(f"{path}.media_type: Input should be 'text/plain'")
    text = source.get("data")
    if not isinstance(text, str):
        raise errors.validation(f"{path}.data: Input should be a valid string")
    return text


def _custom_content(content: Any, path: str, prompt: Prompt) -> tuple[str, int]:
    """Text and tokens of a document in blocks, which answers cite one by one; or of one text."""
    texts, tokens = [], 0
    blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
    for index, block in enumerate(_list(blocks, path)):
        where = f"{path}.{index}"
        kind = _object(block, where).get("type")
        if kind == "image":
            tokens += _image_tokens(_object(block.get("source"), f"{where}.source"), where)
        elif kind != "text":
            raise errors.validation(
                f"{where}: Input tag '{kind}' found using 'type' does not match any of the "
                "expected tags: 'image', 'text'"
            )
        elif not isinstance(block.get("text"), str):
            raise errors.validation(f"{where}.text: Field required")
        else:
            texts.append(block["text"])
            tokens += prompt.tokeniser.count(block["text"])
    return "\n".join(texts), tokens


def _inner_text(kind: str, block: dict[str, Any]) -> str:
    if kind == "tool_use":
        return json.dumps([block.get("name"), block.get("input")], ensure_ascii=False)
    if kind in ("thinking", "redacted_thinking"):
        return str(block.get("thinking") or block.get("data") or "")
    content = block.get("content")
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return "\n".join(str(part.get("text", "")) for part in parts if isinstance(part, dict))


def _mark(block: dict[str, Any], prompt: Prompt) -> None:
    control = block.get("cache_control")
    if control is not None and prompt.model.cache_min:
        mark_cache(_object(control, "cache_control").get("ttl", "5m"), prompt)


def _object(value: Any, path: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise errors.validation(f"{path}: Input should be a valid dictionary")
    return value


def _list(value: Any, path: str) -> list[Any]:
    if not isinstance(value, list):
        raise errors.validation(f"{path}: Input should be a valid list")
    return value
