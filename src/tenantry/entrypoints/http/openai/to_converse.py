"""An OpenAI chat request as a Converse request. Pure: no I/O, no clock."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson

from tenantry.application import exact_json
from tenantry.domain.errors import BadRequest
from tenantry.entrypoints.http.json_body import check_nesting, check_values
from tenantry.entrypoints.http.openai.parts import to_blocks, to_text
from tenantry.entrypoints.http.openai.schema import ChatRequest, Message, NamedTool, ToolCall

# Of a tool that said nothing. Models differ in whether they take a result without content or with
# a blank text; one with a text they all take.
NO_OUTPUT = "(no output)"


def to_converse(chat: ChatRequest) -> dict[str, Any]:
    """The Converse body. Raises `BadRequest` for what Converse cannot express."""
    _refuse_unsupported(chat)
    _check_arguments(chat)
    system, messages = _conversation(chat.messages)
    body: dict[str, Any] = {"messages": messages}
    if system:
        body["system"] = system
    if inference := _inference(chat):
        body["inferenceConfig"] = inference
    if tools := _tools(chat, messages):
        body["toolConfig"] = tools
    if output := _output(chat):
        body["outputConfig"] = output
    return body


def service_tier(chat: ChatRequest) -> str | None:
    """`auto` leaves the choice to Bedrock, which is its default tier."""
    return None if chat.service_tier in (None, "auto") else chat.service_tier


def _refuse_unsupported(chat: ChatRequest) -> None:
    refused = {
        "n": chat.n not in (None, 1),
        "logprobs": bool(chat.logprobs),
        "top_logprobs": bool(chat.top_logprobs),
        "logit_bias": bool(chat.logit_bias),
        "presence_penalty": bool(chat.presence_penalty),
        "frequency_penalty": bool(chat.frequency_penalty),
        "store": bool(chat.store),
        "modalities": chat.modalities not in (None, ["text"]),
        "parallel_tool_calls": chat.parallel_tool_calls is False,
    }
    for name, asked in refused.items():
        if asked:
            raise BadRequest(f"`{name}` is not supported here: leave it out.")
    if chat.response_format is not None and chat.response_format.type == "json_object":
        raise BadRequest("`response_format` json_object is not supported here; json_schema is.")
    if chat.stream_options is not None and not chat.stream:
        raise BadRequest("`stream_options` goes with `stream` alone.")
    if not chat.messages:
        raise BadRequest("`messages` must not be empty.")


def _check_arguments(chat: ChatRequest) -> None:
    """They are JSON in strings, of which the body's own bounds know nothing."""
    said = "".join(
        call.function.arguments for message in chat.messages for call in message.tool_calls or ()
    )
    check_values(said.encode(), "`tool_calls`")


def _conversation(
    messages: Sequence[Message],
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """System blocks, and turns: Converse wants roles to alternate, so neighbours are joined."""
    system: list[dict[str, Any]] = []
    turns: list[dict[str, Any]] = []
    for number, message in enumerate(messages):
        where = f"messages[{number}]"
        _refuse_unsaid(message, where)
        if message.role in ("system", "developer"):
            if text := to_text(message.content, where):
                system.append({"text": text})
            continue
        role = "assistant" if message.role == "assistant" else "user"
        blocks = _blocks(message, where)
        if not blocks and role == "assistant":  # an answer that said nothing
            continue
        if not blocks:
            raise BadRequest(f"`{where}` is empty.")
        if turns and turns[-1]["role"] == role:
            turns[-1]["content"] += blocks
        else:
            turns.append({"role": role, "content": blocks})
    _tell_apart(turns)
    return system, turns


def _refuse_unsaid(message: Message, where: str) -> None:
    """What would be lost on the way to Converse, though the model was meant to have it."""
    if message.audio is not None:
        raise BadRequest(f"`{where}.audio` is not supported: send what was said as `content`.")
    if message.function_call is not None:
        raise BadRequest(f"`{where}.function_call` is not supported: use `tool_calls`.")
    if message.refusal and message.role != "assistant":
        raise BadRequest(f"`{where}.refusal` belongs to the assistant.")


def _tell_apart(turns: Sequence[dict[str, Any]]) -> None:
    """Numbers files of one name: Bedrock takes each name once in a conversation."""
    numbers: dict[str, int] = {}
    for document in (
        block["document"] for turn in turns for block in turn["content"] if "document" in block
    ):
        name = asked = document["name"]
        while name in numbers:
            numbers[asked] += 1
            name = f"{asked} {numbers[asked]}"
        numbers[name] = 1
        document["name"] = name


def _blocks(message: Message, where: str) -> list[dict[str, Any]]:
    if message.role == "tool":
        if not message.tool_call_id:
            raise BadRequest(f"`{where}.tool_call_id` is missing.")
        text = to_text(message.content, where)
        content = [{"text": text if text.strip() else NO_OUTPUT}]
        return [{"toolResult": {"toolUseId": message.tool_call_id, "content": content}}]
    blocks = to_blocks(message.content, where)
    if message.refusal:  # an answer in words, as a part of that name is
        blocks.append({"text": message.refusal})
    if message.role == "assistant":  # an answer may hold blank texts, which no request may
        blocks = [block for block in blocks if "text" not in block or block["text"].strip()]
    if message.tool_calls:
        if message.role != "assistant":
            raise BadRequest(f"`{where}.tool_calls` belongs to the assistant.")
        blocks += [
            _tool_use(call, f"{where}.tool_calls[{i}]") for i, call in enumerate(message.tool_calls)
        ]
    return blocks


def _tool_use(call: ToolCall, where: str) -> dict[str, Any]:
    said = call.function.arguments or "{}"
    try:
        arguments = orjson.loads(said)
    except orjson.JSONDecodeError:
        arguments = None
    where = f"`{where}.function.arguments`"
    if not isinstance(arguments, dict):
        raise BadRequest(f"{where} must be a JSON object in a string.")
    check_nesting(arguments)
    exact = exact_json.exactly(arguments, said.encode())
    return {"toolUse": {"toolUseId": call.id, "name": call.function.name, "input": exact}}


def _inference(chat: ChatRequest) -> dict[str, Any]:
    name, limit = "max_completion_tokens", chat.max_completion_tokens
    if limit is None:
        name, limit = "max_tokens", chat.max_tokens
    if limit is not None and limit < 1:
        raise BadRequest(f"`{name}` must be at least 1.")
    stop = [chat.stop] if isinstance(chat.stop, str) else chat.stop
    members = {
        "maxTokens": limit,
        "temperature": chat.temperature,
        "topP": chat.top_p,
        "stopSequences": stop or None,
    }
    return {name: value for name, value in members.items() if value is not None}


def _tools(chat: ChatRequest, messages: Sequence[dict[str, Any]]) -> dict[str, Any]:
    choice = chat.tool_choice
    if choice == "none":
        if any("toolUse" in block for turn in messages for block in turn["content"]):
            raise BadRequest("`tool_choice` none is not supported after a tool was used.")
        return {}
    if not chat.tools:
        if choice not in (None, "auto"):
            raise BadRequest("`tool_choice` needs `tools`.")
        return {}
    config: dict[str, Any] = {"tools": [_tool(tool.function) for tool in chat.tools]}
    if isinstance(choice, NamedTool):
        config["toolChoice"] = {"tool": {"name": choice.function.name}}
    elif choice is not None:
        config["toolChoice"] = {"any": {}} if choice == "required" else {"auto": {}}
    return config


def _tool(function: Any) -> dict[str, Any]:
    parameters = function.parameters or {"type": "object", "properties": {}}
    spec: dict[str, Any] = {"name": function.name, "inputSchema": {"json": parameters}}
    if function.description:
        spec["description"] = function.description
    if function.strict:
        spec["strict"] = True
    return {"toolSpec": spec}


def _output(chat: ChatRequest) -> dict[str, Any]:
    output: dict[str, Any] = {}
    form = chat.response_format
    if form is not None and form.type == "json_schema":
        if form.json_schema is None or form.json_schema.schema is None:
            raise BadRequest("`response_format.json_schema.schema` is missing.")
        schema: dict[str, Any] = {
            "schema": orjson.dumps(form.json_schema.schema).decode(),
            "name": form.json_schema.name,
        }
        if form.json_schema.description:
            schema["description"] = form.json_schema.description
        output["textFormat"] = {"type": "json_schema", "structure": {"jsonSchema": schema}}
    if chat.reasoning_effort is not None:
        output["effort"] = chat.reasoning_effort
    return output
