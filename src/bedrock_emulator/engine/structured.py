"""Answers whose form the request fixes: a forced tool call, or text that fits a JSON schema."""

from __future__ import annotations

import json

from bedrock_emulator.engine.generation import Draft, ToolCall
from bedrock_emulator.engine.prompt import Prompt, Tool
from bedrock_emulator.engine.schema_values import build


def is_forced(prompt: Prompt) -> bool:
    """Whether the request leaves the model no choice but to call a tool."""
    return bool(prompt.tools) and prompt.tool_choice not in ("auto", "none")


def forced_call(prompt: Prompt, hint: str) -> Draft:
    """The call that `toolChoice` any or tool demands; free strings of its input take `hint`.

    Left to choose among several, it takes those that it has not called yet, one after the other,
    and then the last: agents put the tool that ends their loop there.
    """
    name = prompt.tool_choice.removeprefix("tool:")
    named = [tool for tool in prompt.tools if tool.name == name]
    called = {called for called, _ in prompt.called}
    uncalled = [tool for tool in prompt.tools if tool.name not in called]
    chosen = [*named, *uncalled, prompt.tools[-1]][0]
    return Draft(calls=(call_of(chosen, hint),))


def call_of(tool: Tool, hint: str) -> ToolCall:
    made = build(tool.schema, hint)
    return ToolCall(tool.name, made if isinstance(made, dict) else {})


def schema_text(prompt: Prompt, hint: str) -> Draft:
    """JSON that fits the asked schema; free strings take `hint`."""
    return Draft(text=json.dumps(build(prompt.schema, hint), ensure_ascii=False))
