"""Bedrock requests as calls of the use cases. Pure: no I/O."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any, Final, Literal

from tenantry.application.calls import ChatCall
from tenantry.domain.errors import BadRequest
from tenantry.domain.model_ids import MAX_MODEL_ID_CHARS
from tenantry.entrypoints.http.bedrock import metadata
from tenantry.entrypoints.http.json_body import parse_object

# Members of a Converse request (botocore 1.44.5, bedrock-runtime) and what each must be.
_CONVERSE_MEMBERS: Final[Mapping[str, type | tuple[type, ...]]] = {
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
_NAMES: Final = {list: "a list", dict: "an object"}
# Said beside the body of a call, never twice.
_TAKEN_OUT: Final = frozenset({"requestMetadata", "serviceTier"})
# Request headers that the service model names for InvokeModel and its stream.
_INVOKE_HEADERS: Final = (
    "accept",
    "content-type",
    "x-amzn-bedrock-accept",
    "x-amzn-bedrock-trace",
    "x-amzn-bedrock-guardrailidentifier",
    "x-amzn-bedrock-guardrailversion",
    "x-amzn-bedrock-performanceconfig-latency",
)
_COUNTED_MEMBERS: Final = frozenset(
    {"messages", "system", "toolConfig", "additionalModelRequestFields"}
)


def to_converse_call(
    model: str, body: dict[str, Any], operation: Literal["Converse", "ConverseStream"]
) -> ChatCall:
    """Raises `BadRequest` for unknown members, wrong types, and metadata keys that are ours."""
    _check_model(model)
    _check_members(body, _CONVERSE_MEMBERS)
    for message in body.get("messages", ()):
        if not isinstance(message, dict) or not isinstance(message.get("content"), list):
            raise BadRequest("Each of `messages` must be an object with a list `content`.")
    for block in body.get("system", ()):
        if not isinstance(block, dict):
            raise BadRequest("Each of `system` must be an object.")
    return ChatCall(
        operation,
        model,
        {name: value for name, value in body.items() if name not in _TAKEN_OUT},
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
    return ChatCall(
        operation,
        model,
        parse_object(body),
        {name: headers[name] for name in _INVOKE_HEADERS if name in headers},
        metadata.service_tier_name(headers.get("x-amzn-bedrock-service-tier")),
        metadata.request_metadata_header(headers.get("x-amzn-bedrock-request-metadata")),
    )


def to_count_tokens(model: str, body: dict[str, Any]) -> dict[str, Any]:
    """A CountTokens body, checked. Raises `BadRequest`."""
    _check_model(model)
    _check_members(body, {"input": dict})
    union = body.get("input")
    if not isinstance(union, dict) or len(union) != 1:
        raise BadRequest("`input` must hold exactly one of `converse` and `invokeModel`.")
    ((kind, value),) = union.items()
    if kind not in ("converse", "invokeModel") or not isinstance(value, dict):
        raise BadRequest("`input` must hold exactly one of `converse` and `invokeModel`.")
    if kind == "converse":
        _check_members(value, {name: _CONVERSE_MEMBERS[name] for name in _COUNTED_MEMBERS})
    else:
        _check_native(value)
    return body


def _check_native(value: dict[str, Any]) -> None:
    _check_members(value, {"body": str})
    try:
        native = base64.b64decode(value.get("body", ""), validate=True)
    except (binascii.Error, ValueError):
        raise BadRequest("`input.invokeModel.body` must be base64.") from None
    parse_object(native)


def _check_model(model: str) -> None:
    if not 0 < len(model) <= MAX_MODEL_ID_CHARS or not model.isprintable():
        raise BadRequest(f"The model id must be 1 to {MAX_MODEL_ID_CHARS:,} printable characters.")


def _check_members(body: Mapping[str, Any], known: Mapping[str, type | tuple[type, ...]]) -> None:
    for name, value in body.items():
        kind = known.get(name)
        if kind is None:
            raise BadRequest(
                f"Malformed input request: extraneous key [{name[:64]}] is not permitted."
            )
        if value is not None and not isinstance(value, kind):
            expected = _NAMES.get(kind, "a string") if isinstance(kind, type) else "of another type"
            raise BadRequest(f"Malformed input request: `{name}` must be {expected}.")
