"""Reads `toolConfig` and the choice that it makes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from bedrock_emulator.engine import errors
from bedrock_emulator.engine.prompt import Prompt, Tool
from bedrock_emulator.engine.requests import cache_points, checks, shapes

_SYSTEM_TOOL_TOKENS = 400  # the template of a built-in tool; about what recorded calls show


def read_tool_config(config: dict[str, Any], prompt: Prompt) -> None:
    tools = checks.as_list(config.get("tools"), "toolConfig/tools")
    if not tools:
        raise errors.validation(
            "1 validation error detected: Value '[]' at 'toolConfig.tools' failed to satisfy "
            "constraint: Member must have length greater than or equal to 1"
        )
    for index, entry in enumerate(tools):
        path = f"toolConfig.tools.{index}"
        kind, value = checks.only_member(entry, path, "Tool")
        if kind == "cachePoint":
            cache_points.read_cache_point(value, prompt)
        elif kind == "toolSpec":
            prompt.add_tool(_tool(checks.as_object(value, f"{path}.toolSpec"), path))
        elif kind == "systemTool":
            shapes.hold(value, shapes.SYSTEM_TOOL, f"{path}.systemTool")
            prompt.built_in_tools += 1
            prompt.add(f"systemTool:{value}", _SYSTEM_TOOL_TOKENS)
        else:
            raise errors.extraneous_key(f"/{path.replace('.', '/')}", kind)
    if (name := named_twice(prompt.tools)) is not None:
        raise errors.validation(
            f"The toolConfig.tools field contains duplicate tool names: {name}. "
            "Remove duplicate tool names and try again."
        )
    if config.get("toolChoice") is not None:
        prompt.tool_choice = _choice(config["toolChoice"], prompt)


def named_twice(tools: Iterable[Tool]) -> str | None:
    """The first name that more than one tool has."""
    seen: set[str] = set()
    for tool in tools:
        if tool.name in seen:
            return tool.name
        seen.add(tool.name)
    return None


def _tool(spec: dict[str, Any], path: str) -> Tool:
    name = checks.word(spec.get("name"), f"{path}.member.toolSpec.name", checks.TOOL_NAME)
    where = f"{path}.toolSpec.inputSchema"
    kind, schema = checks.only_member(spec.get("inputSchema"), where, "ToolInputSchema")
    if kind != "json":
        raise errors.extraneous_key("/" + where.replace(".", "/"), kind)
    document = checks.as_object(schema, f"{where}.json".replace(".", "/"))
    if document.get("type") != "object":
        raise errors.validation(
            f"The value at {where}.json.type must be one of the following: object."
        )
    description = spec.get("description")
    if description is not None and not checks.as_text(description, f"{path}.toolSpec.description"):
        raise errors.too_short(f"{path}.toolSpec.description")
    strict = spec.get("strict")
    if strict is not None and not isinstance(strict, bool):
        raise errors.wrong_type(f"{path}.toolSpec.strict".replace(".", "/"), "boolean")
    return Tool(name, description or "", document)


def _choice(choice: Any, prompt: Prompt) -> str:
    kind, value = checks.only_member(choice, "toolConfig.toolChoice", "ToolChoice")
    if kind in ("auto", "any"):
        checks.as_object(value, f"toolConfig/toolChoice/{kind}")
        return kind
    if kind != "tool":
        raise errors.extraneous_key("/toolConfig/toolChoice", kind)
    return named_choice(checks.as_object(value, "toolConfig/toolChoice/tool").get("name"), prompt)


def named_choice(name: Any, prompt: Prompt) -> str:
    if not any(tool.name == name for tool in prompt.tools):
        raise errors.validation(
            "The toolConfig.toolChoice.tool.name field does not match any of the tools that you "
            "provided. Update the name and try again."
        )
    return f"tool:{name}"
