"""Reads Converse and ConverseStream requests, and Nova's native body, which has the same parts."""

from __future__ import annotations

import json
from typing import Any

from bedrock_emulator.engine import errors
from bedrock_emulator.engine.catalogue import Model
from bedrock_emulator.engine.prompt import Prompt, Turn
from bedrock_emulator.engine.requests import cache_points, checks, content, shapes
from bedrock_emulator.engine.requests.answer_format import read_format
from bedrock_emulator.engine.requests.thinking import Beside, check_choice, read_thinking
from bedrock_emulator.engine.requests.tooling import read_tool_config
from bedrock_emulator.engine.types import EmulatedError

# Service model, ConverseRequest and what it holds.
_FIELD_PATHS_MAX = 10
_LATENCIES = ("standard", "optimized")
_TEXT_FORMATS = ("json_schema",)
_EFFORT_MAX = 16  # characters: which efforts there are is the models' own
_NOVA_MEMBERS = frozenset({"schemaVersion", "messages", "system", "inferenceConfig", "toolConfig"})


def read_converse(body: Any, model: Model) -> Prompt:
    """The prompt of a Converse request.

    Raises EmulatedError with the first fault, in the order in which the service finds them.
    """
    body = checks.as_object(body, "")
    prompt = Prompt(model)
    prompt.open()
    _read_settings(body, prompt)
    _read_inference(body.get("inferenceConfig"), prompt)
    _read_output_config(checks.object_in(body, "outputConfig"), prompt)
    _read_prompt(body, prompt)
    if model.native == "anthropic":
        _read_passed_on(body, prompt)
    return prompt


def read_nova(body: Any, model: Model) -> Prompt:
    """The prompt of a native Nova body (schemaVersion messages-v1)."""
    body = checks.as_object(body, "")
    for key in body:
        if key not in _NOVA_MEMBERS:
            raise errors.extraneous_key("", key)
    if body.get("schemaVersion", "messages-v1") != "messages-v1":
        raise errors.validation(
            "Malformed input request: #/schemaVersion: must be the constant value 'messages-v1'"
        )
    prompt = Prompt(model)
    prompt.open()
    _read_inference(_nova_names(body.get("inferenceConfig")), prompt)
    return _read_prompt(body, prompt)


def _nova_names(inference: Any) -> Any:
    """The native body also knows the older name max_new_tokens."""
    if isinstance(inference, dict) and "max_new_tokens" in inference:
        inference = dict(inference)
        inference["maxTokens"] = inference.pop("max_new_tokens")
    return inference


def _read_prompt(body: dict[str, Any], prompt: Prompt) -> Prompt:
    if body.get("toolConfig") is not None:
        read_tool_config(checks.as_object(body["toolConfig"], "toolConfig"), prompt)
    _read_system(checks.list_in(body, "system"), prompt)
    _read_messages(checks.list_in(body, "messages"), prompt)
    checks.within_limits(prompt)
    return prompt


def _read_settings(body: dict[str, Any], prompt: Prompt) -> None:
    if body.get("requestMetadata") is not None:
        checks.request_metadata(body["requestMetadata"])
    tier = body.get("serviceTier")
    if tier is not None:
        name = checks.as_object(tier, "serviceTier").get("type")
        if name not in checks.TIERS:
            raise errors.not_in_set("serviceTier.type", name, checks.TIERS)
        prompt.tier = name if name in prompt.model.tiers else "default"
    performance = checks.object_in(body, "performanceConfig")
    latency = performance.get("latency")
    if latency is not None and latency not in _LATENCIES:
        raise errors.not_in_set("performanceConfig.latency", latency, _LATENCIES)
    paths = body.get("additionalModelResponseFieldPaths")
    if paths is not None:
        prompt.field_paths = _field_paths(paths)
    fields = body.get("additionalModelRequestFields")
    if not isinstance(fields, dict):
        return
    prompt.use_betas(fields.get("anthropic_beta"))
    thinking = fields.get("thinking")
    if isinstance(thinking, dict) and thinking.get("type") in ("enabled", "adaptive"):
        prompt.think()


def _read_passed_on(body: dict[str, Any], prompt: Prompt) -> None:
    """Converse lets Claude's own fields pass unread; it is the model that refuses them."""
    fields = body.get("additionalModelRequestFields")
    if not isinstance(fields, dict):
        return
    temperature = checks.object_in(body, "inferenceConfig").get("temperature")
    beside = Beside(prompt.output_limit, temperature, fields.get("anthropic_beta"))
    try:
        thinking = read_thinking(fields.get("thinking"), beside)
        check_choice(prompt.tool_choice, thinking=thinking)
        read_format(fields, prompt)
    except EmulatedError as refusal:
        raise errors.from_model(refusal) from None


def _field_paths(paths: Any) -> tuple[str, ...]:
    name = "additionalModelResponseFieldPaths"
    if len(checks.as_list(paths, name)) > _FIELD_PATHS_MAX:
        raise errors.too_long(name, _FIELD_PATHS_MAX)
    shapes.hold(paths, shapes.FIELD_PATHS, name)
    return tuple(paths)


def _read_inference(inference: Any, prompt: Prompt) -> None:
    if inference is None:
        return
    inference = checks.as_object(inference, "inferenceConfig")
    if inference.get("maxTokens") is not None:
        prompt.max_tokens = checks.whole_number(inference["maxTokens"], "inferenceConfig.maxTokens")
    for name in ("temperature", "topP"):
        if inference.get(name) is not None:
            checks.fraction(inference[name], f"inferenceConfig.{name}")
    if inference.get("stopSequences") is not None:
        prompt.stop_sequences = checks.stop_sequences(
            inference["stopSequences"], "inferenceConfig/stopSequences"
        )


def _read_output_config(config: dict[str, Any], prompt: Prompt) -> None:
    """A JSON schema for the answer, which comes as text; Claude is billed for its tokens."""
    if config.get("effort") is not None:
        _check_effort(checks.as_text(config["effort"], "outputConfig/effort"))
    form = config.get("textFormat")
    if form is None:
        return
    form = checks.as_object(form, "outputConfig/textFormat")
    if form.get("type") not in _TEXT_FORMATS:
        raise errors.not_in_set("outputConfig.textFormat.type", form.get("type"), _TEXT_FORMATS)
    structure = checks.as_object(form.get("structure"), "outputConfig/textFormat/structure")
    shapes.hold(structure, shapes.ANSWER_FORMAT, "outputConfig.textFormat.structure")
    text = structure["jsonSchema"]["schema"]
    try:
        prompt.schema = checks.as_object(json.loads(text), "outputConfig/schema")
    except ValueError:
        raise errors.validation("The JSON schema in outputConfig is not valid JSON.") from None
    if prompt.model.native == "anthropic":  # the others are held to the schema by other means
        prompt.add_text("schema:", text)


def _check_effort(effort: str) -> None:
    if len(effort) > _EFFORT_MAX:
        raise errors.too_long("outputConfig.effort", _EFFORT_MAX)


def _read_system(blocks: list[Any], prompt: Prompt) -> None:
    texts = []
    for index, block in enumerate(blocks):
        path = f"system.{index}"
        kind, value = checks.only_member(block, path, "SystemContentBlock")
        if kind == "cachePoint":
            cache_points.read_cache_point(value, prompt)
        elif kind == "text":
            texts.append(content.read_text(value, path, "SystemContentBlock"))
            prompt.add_text("system:", texts[-1])
        elif kind == "guardContent":
            texts.append(content.guarded_text(value, path))
            prompt.add_text("system:", texts[-1])
        else:
            raise errors.extraneous_key(f"/{path.replace('.', '/')}", kind)
    prompt.system = "\n\n".join(texts)


def _read_messages(messages: list[Any], prompt: Prompt) -> None:
    if not messages:
        raise errors.validation(
            "A conversation must start with a user message. Try again with a conversation that "
            "starts with a user message."
        )
    previous: str | None = None
    pending: list[str] = []  # ids of tool uses that the next user turn must answer
    for index, message in enumerate(messages):
        path = f"messages.{index}"
        message = checks.as_object(message, f"messages/{index}")
        role = _role(message.get("role"), previous, index)
        blocks = checks.as_list(message.get("content"), f"messages/{index}/content")
        if not blocks:
            raise errors.validation(
                f"The content field in the Message object at {path} is empty. Add a ContentBlock "
                "object to the content field and try again."
            )
        prompt.begin_turn(role)
        reader = content.ContentReader(prompt, path, role)
        text = reader.read(blocks)
        if role == "user":
            content.match_tool_results(pending, reader.tool_results, path)
            if not reader.tool_results:
                prompt.called.clear()
        pending = reader.tool_uses
        prompt.turns.append(Turn(role, text))
        previous = role if role != "system" else previous


def _role(role: Any, previous: str | None, index: int) -> Any:
    if role not in ("user", "assistant", "system"):
        raise errors.not_in_set(f"messages.{index + 1}.member.role", role, ("user", "assistant"))
    if previous is None and role == "assistant":
        raise errors.validation(
            "A conversation must start with a user message. Try again with a conversation that "
            "starts with a user message."
        )
    if role == previous and role != "system":
        raise errors.validation(
            "A conversation must alternate between user and assistant roles. Make sure the "
            "conversation alternates between user and assistant roles and try again."
        )
    return role
