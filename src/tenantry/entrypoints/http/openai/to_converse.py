"""An OpenAI chat request as a Converse request. Pure: no I/O, no clock."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import orjson

from tenantry.application import exact_json
from tenantry.entrypoints.http.json_body import check_nesting, check_values
from tenantry.entrypoints.http.openai.parts import (
    cache_point,
    marked,
    to_blocks,
    to_texts,
    without_blanks,
)
from tenantry.entrypoints.http.openai.past_tools import in_words
from tenantry.entrypoints.http.openai.refusing import refused
from tenantry.entrypoints.http.openai.schema import ChatRequest, Message, NamedTool, Tool, ToolCall

# Of a tool that said nothing. Models differ in whether they take a result without content or with
# a blank text; one with a text they all take.
NO_OUTPUT: Final = "(no output)"
FILE_ALONE: Final = "(see the file)"  # Bedrock takes no document without a text beside it
CACHE_POINTS_MAX: Final = 4  # of one request (Bedrock user guide, prompt caching, 2026-11)


def to_converse(chat: ChatRequest) -> dict[str, Any]:
    """The Converse body. Raises `BadRequest` for what Converse cannot express."""
    _refuse_unsupported(chat)
    _check_arguments(chat)
    system, messages = _conversation(chat.messages)
    tools = _tools(chat)
    if not tools:
        messages = in_words(messages)
    _put_words_beside_files(messages)
    body: dict[str, Any] = {"messages": messages}
    if system:
        body["system"] = system
    if inference := _inference(chat):
        body["inferenceConfig"] = inference
    if tools:
        body["toolConfig"] = tools
    _check_cache_points(body)
    if output := _output(chat):
        body["outputConfig"] = output
    return body


def service_tier(chat: ChatRequest) -> str | None:
    """`auto` leaves the choice to Bedrock, which is its default tier."""
    return None if chat.service_tier in (None, "auto") else chat.service_tier


def limit_name(chat: ChatRequest) -> str:
    """What the client has called its output limit; the newer name goes first."""
    return "max_tokens" if chat.max_completion_tokens is None else "max_completion_tokens"


def has_one_call(chat: ChatRequest) -> bool:
    """Whether an answer may hold one tool call at most, which no model can be told by Converse."""
    return chat.parallel_tool_calls is False


def _refuse_unsupported(chat: ChatRequest) -> None:
    asked_for = {
        "n": chat.n not in (None, 1),
        "logprobs": bool(chat.logprobs),
        "top_logprobs": bool(chat.top_logprobs),
        "logit_bias": bool(chat.logit_bias),
        "presence_penalty": bool(chat.presence_penalty),
        "frequency_penalty": bool(chat.frequency_penalty),
        "store": bool(chat.store),
        "modalities": chat.modalities not in (None, ["text"]),
    }
    for name, asked in asked_for.items():
        if asked:
            raise refused(name, "is not supported here: leave it out.")
    if chat.response_format is not None and chat.response_format.type == "json_object":
        raise refused("response_format", "json_object is not supported here; json_schema is.")
    if chat.stream_options is not None and not chat.stream:
        raise refused("stream_options", "goes with `stream` alone.")
    if not chat.messages:
        raise refused("messages", "must not be empty.")


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
            system += _system(message, where)
            continue
        role = "assistant" if message.role == "assistant" else "user"
        blocks = _blocks(message, where)
        if not blocks and role == "assistant":  # an answer that said nothing
            continue
        if not blocks:
            raise refused(where, "is empty.")
        if turns and turns[-1]["role"] == role:
            turns[-1]["content"] += blocks
        else:
            turns.append({"role": role, "content": blocks})
    _tell_apart(turns)
    return system, turns


def _system(message: Message, where: str) -> list[dict[str, Any]]:
    """A block for each text, as the client has parted them; a blank one is refused by Bedrock."""
    point = cache_point(message.cache_control, f"{where}.cache_control")
    return marked(without_blanks(to_texts(message.content, where)), point)


def _put_words_beside_files(turns: Sequence[dict[str, Any]]) -> None:
    for turn in turns:
        kinds = {kind for block in turn["content"] for kind in block}
        if turn["role"] == "user" and "document" in kinds and "text" not in kinds:
            turn["content"].append({"text": FILE_ALONE})


def _check_cache_points(body: dict[str, Any]) -> None:
    blocks = [*body.get("system", ()), *body.get("toolConfig", {}).get("tools", ())]
    blocks += [block for turn in body["messages"] for block in turn["content"]]
    if sum("cachePoint" in block for block in blocks) > CACHE_POINTS_MAX:
        raise refused("cache_control", f"is taken {CACHE_POINTS_MAX} times in a request at most.")


def _refuse_unsaid(message: Message, where: str) -> None:
    """What would be lost on the way to Converse, though the model was meant to have it."""
    if message.audio is not None:
        raise refused(f"{where}.audio", "is not supported: send what was said as `content`.")
    if message.function_call is not None:
        raise refused(f"{where}.function_call", "is not supported: use `tool_calls`.")
    if message.refusal and message.role != "assistant":
        raise refused(f"{where}.refusal", "belongs to the assistant.")


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
    point = cache_point(message.cache_control, f"{where}.cache_control")
    if message.role == "tool":
        return _tool_result(message, point, where)
    blocks = to_blocks(message.content, where)
    if message.refusal:  # an answer in words, as a part of that name is
        blocks.append({"text": message.refusal})
    blocks = without_blanks(blocks)  # which Bedrock takes from nobody
    if message.tool_calls:
        if message.role != "assistant":
            raise refused(f"{where}.tool_calls", "belongs to the assistant.")
        blocks += [
            _tool_use(call, f"{where}.tool_calls[{i}]") for i, call in enumerate(message.tool_calls)
        ]
    return marked(blocks, point)


def _tool_result(message: Message, point: list[dict[str, Any]], where: str) -> list[dict[str, Any]]:
    """A result holds no cache points: they stand behind it."""
    if not message.tool_call_id:
        raise refused(f"{where}.tool_call_id", "is missing.")
    said = without_blanks(to_texts(message.content, where))
    texts = [block for block in said if "text" in block] or [{"text": NO_OUTPUT}]
    points = [block for block in said if "cachePoint" in block] or point
    result = {"toolUseId": message.tool_call_id, "content": texts}
    return [{"toolResult": result}, *points[-1:]]


def _tool_use(call: ToolCall, where: str) -> dict[str, Any]:
    said = call.function.arguments or "{}"
    try:
        arguments = orjson.loads(said)
    except orjson.JSONDecodeError:
        arguments = None
    if not isinstance(arguments, dict):
        raise refused(f"{where}.function.arguments", "must be a JSON object in a string.")
    check_nesting(arguments)
    exact = exact_json.exactly(arguments, said.encode())
    return {"toolUse": {"toolUseId": call.id, "name": call.function.name, "input": exact}}


def _inference(chat: ChatRequest) -> dict[str, Any]:
    limit = chat.max_completion_tokens
    if limit is None:
        limit = chat.max_tokens
    if limit is not None and limit < 1:
        raise refused(limit_name(chat), "must be at least 1.")
    for of, value in (("temperature", chat.temperature), ("top_p", chat.top_p)):
        if value is not None and not 0 <= value <= 1:  # OpenAI's own models take 0 to 2
            raise refused(of, "must be 0 to 1 here: Bedrock's models take no more.")
    stop = [chat.stop] if isinstance(chat.stop, str) else chat.stop
    if stop and not all(stop):
        raise refused("stop", "takes texts that are not empty.")
    members = {
        "maxTokens": limit,
        "temperature": chat.temperature,
        "topP": chat.top_p,
        "stopSequences": stop or None,
    }
    return {name: value for name, value in members.items() if value is not None}


def _tools(chat: ChatRequest) -> dict[str, Any]:
    """Nothing where the model may call none."""
    choice = chat.tool_choice
    if choice == "none":
        return {}
    if not chat.tools:
        if choice not in (None, "auto"):
            raise refused("tool_choice", "needs `tools`.")
        return {}
    tools = [block for i, tool in enumerate(chat.tools) for block in _tool(tool, f"tools[{i}]")]
    config: dict[str, Any] = {"tools": tools}
    if isinstance(choice, NamedTool):
        config["toolChoice"] = {"tool": {"name": choice.function.name}}
    elif choice is not None:
        config["toolChoice"] = {"any": {}} if choice == "required" else {"auto": {}}
    return config


def _tool(tool: Tool, where: str) -> list[dict[str, Any]]:
    function = tool.function
    parameters = function.parameters or {"type": "object", "properties": {}}
    spec: dict[str, Any] = {"name": function.name, "inputSchema": {"json": parameters}}
    if function.description:
        spec["description"] = function.description
    if function.strict:
        spec["strict"] = True
    point = cache_point(tool.cache_control, f"{where}.cache_control")
    inner = cache_point(function.cache_control, f"{where}.function.cache_control")
    return [{"toolSpec": spec}, *(point or inner)]


def _output(chat: ChatRequest) -> dict[str, Any]:
    output: dict[str, Any] = {}
    form = chat.response_format
    if form is not None and form.type == "json_schema":
        if form.json_schema is None or form.json_schema.schema is None:
            raise refused("response_format.json_schema.schema", "is missing.")
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
