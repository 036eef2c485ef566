"""Bedrock requests as calls of the use cases. Pure: no I/O."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Final, Literal

from msgspec import Meta, Struct

from tenantry.application import exact_json
from tenantry.application.calls import ChatCall
from tenantry.domain.errors import BadRequest
from tenantry.domain.model_ids import MODEL_ID_CHARS_MAX
from tenantry.domain.shape import check_content, check_shape
from tenantry.domain.sources import image_source
from tenantry.entrypoints.http.bedrock import metadata
from tenantry.entrypoints.http.json_body import LONG_IN, parse_object, to

# Members of a Converse request (botocore 1.44.5, bedrock-runtime) and what each must be.
CONVERSE_MEMBERS: Final[Mapping[str, type]] = {
    "messages": list,
    "system": list,
    "inferenceConfig": dict,
    "toolConfig": dict,
    "guardrailConfig": dict,
    "additionalModelRequestFields": object,
    "promptVariables": dict,
    "additionalModelResponseFieldPaths": list,
    "requestMetadata": dict,
    "performanceConfig": dict,
    "serviceTier": dict,
    "outputConfig": dict,
}
_NAMES: Final[Mapping[type, str]] = {list: "a list", dict: "an object", str: "a string"}
# Said beside the body of a call, never twice.
_TAKEN_OUT: Final = frozenset({"requestMetadata", "serviceTier"})
# Request headers that the service model names for InvokeModel and its stream.
INVOKE_HEADERS: Final = (
    "accept",
    "content-type",
    "x-amzn-bedrock-accept",
    "x-amzn-bedrock-trace",
    "x-amzn-bedrock-guardrailidentifier",
    "x-amzn-bedrock-guardrailversion",
    "x-amzn-bedrock-performanceconfig-latency",
)
COUNTED_MEMBERS: Final = frozenset(
    {"messages", "system", "toolConfig", "additionalModelRequestFields"}
)


class InferenceConfiguration(Struct, forbid_unknown_fields=True):
    maxTokens: Annotated[int, Meta(ge=1)] | None = None  # noqa: N815 - the wire's name
    temperature: float | None = None
    topP: float | None = None  # noqa: N815
    stopSequences: list[str] | None = None  # noqa: N815


def to_converse_call(
    model: str, body: dict[str, Any], operation: Literal["Converse", "ConverseStream"]
) -> ChatCall:
    """Raises `BadRequest` for unknown members, wrong types, and metadata keys that are ours."""
    _check_model(model)
    _check_members(body, CONVERSE_MEMBERS)
    check_shape(body)
    _check_conversation(body)
    to(InferenceConfiguration, body.get("inferenceConfig") or {})
    return ChatCall(
        operation,
        model,
        {
            name: value
            for name, value in body.items()
            if value is not None and name not in _TAKEN_OUT
        },
        service_tier=metadata.service_tier(body.get("serviceTier")),
        request_metadata=metadata.request_metadata(body.get("requestMetadata")),
    )


def to_invoke_call(
    model: str,
    body: bytes,
    headers: Mapping[str, str],
    operation: Literal["InvokeModel", "InvokeModelWithResponseStream"],
) -> ChatCall:
    """`headers` are the request's, lower case. Raises `BadRequest`."""
    _check_model(model)
    native = parse_object(body, long_in=LONG_IN)
    check_shape(native)
    return ChatCall(
        operation,
        model,
        native,
        {name: headers[name] for name in INVOKE_HEADERS if name in headers},
        metadata.service_tier_name(headers.get("x-amzn-bedrock-service-tier")),
        metadata.request_metadata_header(headers.get("x-amzn-bedrock-request-metadata")),
    )


def to_count_tokens(model: str, body: dict[str, Any]) -> dict[str, Any]:
    """A CountTokens body, checked, as it leaves. Raises `BadRequest`."""
    _check_model(model)
    _check_members(body, {"input": dict})
    union = body.get("input")
    if not isinstance(union, dict) or len(union) != 1:
        raise BadRequest("`input` must hold exactly one of `converse` and `invokeModel`.")
    ((kind, value),) = union.items()
    if kind not in ("converse", "invokeModel") or not isinstance(value, dict):
        raise BadRequest("`input` must hold exactly one of `converse` and `invokeModel`.")
    if kind == "converse":
        _check_members(value, {name: CONVERSE_MEMBERS[name] for name in COUNTED_MEMBERS})
        check_shape(value)
        _check_conversation(value)
        return body
    return {"input": {kind: _native(value)}}


def to_apply_guardrail(body: dict[str, Any]) -> dict[str, Any]:
    """An ApplyGuardrail body, checked. Raises `BadRequest`."""
    _check_members(body, {"source": str, "content": list, "outputScope": str})
    if body.get("source") not in ("INPUT", "OUTPUT"):
        raise BadRequest("`source` must be INPUT or OUTPUT.")
    content = body.get("content")
    if not content:
        raise BadRequest("`content` must be a list that is not empty.")
    check_content(content)
    for block in content:
        if not isinstance(block, dict) or len(block) != 1 or not block.keys() <= {"text", "image"}:
            raise BadRequest("Each of `content` must hold exactly one of `text` and `image`.")
        if "image" in block:
            image_source(block["image"])
    return body


def _check_conversation(body: Mapping[str, Any]) -> None:
    """Deep enough that whatever counts the blocks finds objects; Bedrock judges the rest."""
    for message in body.get("messages") or ():
        if not isinstance(message, dict) or not isinstance(message.get("content"), list):
            raise BadRequest("Each of `messages` must be an object with a list `content`.")
        _check_blocks(message["content"], "messages.content")
    _check_blocks(body.get("system") or (), "system")
    tools = body.get("toolConfig") or {}
    if not isinstance(tools.get("tools") or [], list):
        raise BadRequest("`toolConfig.tools` must be a list.")
    _check_blocks(tools.get("tools") or (), "toolConfig.tools")


def _check_blocks(blocks: Iterable[Any], where: str) -> None:
    for block in blocks:
        if not isinstance(block, dict):
            raise BadRequest(f"Each of `{where}` must be an object.")
        text = block.get("text", "")
        if not isinstance(text, str):
            raise BadRequest(f"`{where}.text` must be a string.")


def _native(value: dict[str, Any]) -> dict[str, Any]:
    """With a body that says what was checked and no more: of a member that stands there twice,
    what is sent on would still have both."""
    _check_members(value, {"body": str})
    try:
        given = base64.b64decode(value.get("body") or "", validate=True)
    except (binascii.Error, ValueError):
        raise BadRequest("`input.invokeModel.body` must be base64.") from None
    native = parse_object(given, long_in=LONG_IN)
    check_shape(native)
    return {"body": base64.b64encode(exact_json.write(native)).decode("ascii")}


def _check_model(model: str) -> None:
    if not 0 < len(model) <= MODEL_ID_CHARS_MAX or not model.isprintable():
        raise BadRequest(f"The model id must be 1 to {MODEL_ID_CHARS_MAX:,} printable characters.")


def _check_members(body: Mapping[str, Any], known: Mapping[str, type]) -> None:
    for name, value in body.items():
        kind = known.get(name)
        if kind is None:
            raise BadRequest(
                f"Malformed input request: extraneous key [{name[:64]}] is not permitted."
            )
        if value is not None and not isinstance(value, kind):
            raise BadRequest(f"Malformed input request: `{name}` must be {_NAMES[kind]}.")
