"""Reads OpenAI-shaped chat bodies, as InvokeModel takes them for several families."""

from __future__ import annotations

import json
from typing import Any

from bedrock_emulator.engine import errors
from bedrock_emulator.engine.catalogue import Model
from bedrock_emulator.engine.prompt import Prompt, Tool, Turn
from bedrock_emulator.engine.requests import checks

_LIMITS = ("max_completion_tokens", "max_tokens")
_NUMBERS = ("temperature", "top_p", "frequency_penalty", "presence_penalty")
_ROLES = ("system", "developer", "user", "assistant", "tool")


def read_chat(body: dict[str, Any], model: Model) -> Prompt:
    """The prompt of a chat body. Members that do not bear on the answer are taken as they are."""
    prompt = Prompt(model, chat=True)
    prompt.open()
    for name in _LIMITS:
        if body.get(name) is not None:
            prompt.max_tokens = checks.whole_number(body[name], name)
    checks.numbers_in(body, _NUMBERS)
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
    description = _text_in(function, "description", f"tools/{index}/function")
    return Tool(name, description, schema)


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
    path = f"messages/{index}"
    text = _text(message.get("content"), f"{path}/content")
    prompt.begin_turn(str(role))
    prompt.add_text(f"{role}:", text)
    for place, call in enumerate(checks.list_in(message, "tool_calls", f"{path}/tool_calls")):
        where = f"{path}/tool_calls/{place}"
        function = checks.as_object(checks.as_object(call, where).get("function"), where)
        name = checks.as_text(function.get("name"), f"{where}/function/name")
        prompt.add_text("call:", json.dumps(call, ensure_ascii=False))
        prompt.called.append((name, _arguments(function, f"{where}/function")))
    if role == "user":
        prompt.called.clear()
    if role in ("system", "developer"):
        prompt.system = "\n\n".join(part for part in (prompt.system, text) if part)
    else:
        prompt.turns.append(Turn("assistant" if role == "assistant" else "user", text))


def _arguments(function: dict[str, Any], path: str) -> Any:
    """The input of a call, which this shape holds as a text of JSON; None where it is none."""
    try:
        return json.loads(_text_in(function, "arguments", path))
    except ValueError:
        return None


def _text_in(owner: dict[str, Any], name: str, path: str) -> str:
    """A member that is a text, or is left out."""
    value = owner.get(name)
    return "" if value is None else checks.as_text(value, f"{path}/{name}")


def _text(content: Any, path: str) -> str:
    if content is None or isinstance(content, str):
        return content or ""
    return "\n".join(
        checks.as_text(checks.as_object(part, f"{path}/{place}").get("text", ""), f"{path}/{place}")
        for place, part in enumerate(checks.as_list(content, path))
    )
