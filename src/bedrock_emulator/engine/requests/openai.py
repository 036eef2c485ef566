"""Reads OpenAI-shaped chat bodies, as InvokeModel takes them for several families."""

from __future__ import annotations

import json
from typing import Any

from bedrock_emulator.engine import errors
from bedrock_emulator.engine.catalogue import Model
from bedrock_emulator.engine.prompt import Prompt, Tool, Turn
from bedrock_emulator.engine.requests import checks

_LIMITS = ("max_completion_tokens", "max_tokens")
_ROLES = ("system", "developer", "user", "assistant", "tool")


def read_chat(body: dict[str, Any], model: Model) -> Prompt:
    """The prompt of a chat body. Members that do not bear on the answer are taken as they are."""
    prompt = Prompt(model, chat=True)
    prompt.open()
    for name in _LIMITS:
        if body.get(name) is not None:
            prompt.max_tokens = checks.whole_number(body[name], name)
    if body.get("n") is not None and checks.whole_number(body["n"], "n") != 1:
        raise errors.validation("n: only 1 answer can be asked for.")
    stop = body.get("stop")
    if stop is not None:
        prompt.stop_sequences = checks.stop_sequences(
            [stop] if isinstance(stop, str) else stop, "stop"
        )
    for index, entry in enumerate(checks.list_in(body, "tools")):
        prompt.add_tool(_tool(entry, index))
    prompt.tool_choice = _choice(body.get("tool_choice"))
    form = body.get("response_format")
    if isinstance(form, dict) and form.get("type") == "json_schema":
        schema = checks.as_object(form.get("json_schema"), "response_format/json_schema")
        prompt.schema = checks.as_object(schema.get("schema"), "response_format/json_schema/schema")
    messages = checks.as_list(body.get("messages"), "messages")
    if not messages:
        raise errors.validation(
            "Malformed input request: #/messages: expected minimum item count: 1, found: 0, "
            "please reformat your input and try again."
        )
    for index, message in enumerate(messages):
        _read_message(checks.as_object(message, f"messages/{index}"), index, prompt)
    checks.within_limits(prompt)
    return prompt


def _tool(entry: Any, index: int) -> Tool:
    function = checks.as_object(
        checks.as_object(entry, f"tools/{index}").get("function"), f"tools/{index}/function"
    )
    name = checks.as_text(function.get("name"), f"tools/{index}/function/name")
    schema = checks.object_in(function, "parameters", f"tools/{index}/function/parameters")
    return Tool(name, str(function.get("description") or ""), schema)


def _choice(choice: Any) -> str:
    if isinstance(choice, dict):
        function = checks.as_object(choice.get("function"), "tool_choice/function")
        return f"tool:{function.get('name')}"
    return {"required": "any", "none": "none"}.get(str(choice), "auto")


def _read_message(message: dict[str, Any], index: int, prompt: Prompt) -> None:
    role = message.get("role")
    if role not in _ROLES:
        raise errors.validation(
            f"Malformed input request: #/messages/{index}/role: {role} is not a valid enum value, "
            "please reformat your input and try again."
        )
    text = _text(message.get("content"), index)
    prompt.begin_turn(str(role))
    prompt.add_text(f"{role}:", text)
    for call in checks.list_in(message, "tool_calls", f"messages/{index}/tool_calls"):
        prompt.add_text("call:", json.dumps(call, ensure_ascii=False))
        function = call.get("function") if isinstance(call, dict) else None
        if isinstance(function, dict):
            prompt.called.append((str(function.get("name")), _arguments(function)))
    if role == "user":
        prompt.called.clear()
    if role in ("system", "developer"):
        prompt.system = "\n\n".join(part for part in (prompt.system, text) if part)
    else:
        prompt.turns.append(Turn("assistant" if role == "assistant" else "user", text))


def _arguments(function: dict[str, Any]) -> Any:
    """The input of a call, which this shape holds as a text of JSON; None where it is none."""
    try:
        return json.loads(str(function.get("arguments")))
    except ValueError:
        return None


def _text(content: Any, index: int) -> str:
    if content is None or isinstance(content, str):
        return content or ""
    parts = checks.as_list(content, f"messages/{index}/content")
    return "\n".join(str(part.get("text", "")) for part in parts if isinstance(part, dict))
