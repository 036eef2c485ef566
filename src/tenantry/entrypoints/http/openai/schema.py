"""The bodies of OpenAI requests that are understood; everything else is refused by name."""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct


class FunctionCall(Struct):
    """The openai SDK sends what its `parse()` made of the arguments back beside them."""

    name: str
    arguments: str


class ToolCall(Struct, forbid_unknown_fields=True):
    id: str
    function: FunctionCall
    type: Literal["function"] = "function"
    index: int | None = None  # some clients send a streamed call back as they collected it


class Message(Struct):
    """`content` is a string or a list of parts. Members that carry nothing are not looked at, nor
    what only some models know: a participant's `name`, `reasoning_content`, `annotations`."""

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str | list[dict[str, Any]] | None = None
    tool_calls: list[ToolCall] | None = None
    tool_call_id: str | None = None
    refusal: str | None = None
    cache_control: Any = None  # of a message whose content is a string
    # Refused, where they say anything.
    audio: Any = None
    function_call: Any = None


class Function(Struct, forbid_unknown_fields=True):
    name: str
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None
    cache_control: Any = None


class Tool(Struct, forbid_unknown_fields=True):
    """Clients set a cache mark beside the function, or within."""

    type: Literal["function"]
    function: Function
    cache_control: Any = None


class NamedFunction(Struct, forbid_unknown_fields=True):
    name: str


class NamedTool(Struct, forbid_unknown_fields=True):
    type: Literal["function"]
    function: NamedFunction


class JsonSchema(Struct, forbid_unknown_fields=True):
    name: str
    schema: dict[str, Any] | None = None
    description: str | None = None
    strict: bool | None = None


class ResponseFormat(Struct, forbid_unknown_fields=True):
    type: Literal["text", "json_schema", "json_object"]
    json_schema: JsonSchema | None = None


class StreamOptions(Struct, forbid_unknown_fields=True):
    include_usage: bool | None = None
    include_obfuscation: bool | None = None


class ChatRequest(Struct, forbid_unknown_fields=True):
    model: str
    messages: list[Message]
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    stop: str | list[str] | None = None
    tools: list[Tool] | None = None
    tool_choice: Literal["none", "auto", "required"] | NamedTool | None = None
    parallel_tool_calls: bool | None = None
    response_format: ResponseFormat | None = None
    reasoning_effort: Literal["low", "medium", "high", "xhigh", "max"] | None = None
    service_tier: Literal["auto", "default", "flex", "priority"] | None = None
    metadata: dict[str, str] | None = None
    user: str | None = None
    # Hints, which promise nothing.
    safety_identifier: str | None = None
    prompt_cache_key: str | None = None
    seed: int | None = None
    # Accepted at the value that changes nothing.
    n: int | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    logit_bias: dict[str, float] | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    store: bool | None = None
    modalities: list[str] | None = None


def given(body: dict[str, Any]) -> dict[str, Any]:
    """Without members that are null, which says as much as nothing, also of those not here."""
    return {name: value for name, value in body.items() if value is not None}


class EmbeddingsRequest(Struct, forbid_unknown_fields=True):
    model: str
    input: str | list[Any]
    dimensions: int | None = None
    encoding_format: Literal["float", "base64"] = "float"
    user: str | None = None
