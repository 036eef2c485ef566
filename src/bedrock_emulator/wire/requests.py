"""Reads the body and the request metadata of a runtime call."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import orjson

from bedrock_emulator.engine.types import EmulatedError, Operation
from bedrock_emulator.nesting import DEPTH_MAX, too_deep
from bedrock_emulator.wire.exchange import Request

METADATA_HEADER = "x-amzn-bedrock-request-metadata"
METADATA_HEADER_CHARS_MAX = 8_500
METADATA_PAIRS_MAX = 16
METADATA_CHARS_MAX = 256  # of a key (at least 1) and of a value
_METADATA_TEXT = re.compile(r"[a-zA-Z0-9\s:_@$#=/+,\-.]*")
_NATIVE = frozenset({"InvokeModel", "InvokeModelWithResponseStream"})
_NO_METADATA: Mapping[str, str] = {}


def json_body(request: Request, operation: Operation) -> dict[str, Any]:
    """The body as a JSON object; raises as Bedrock words it (400)."""
    try:
        body = orjson.loads(request.body)
    except orjson.JSONDecodeError as error:
        raise _malformed(operation, str(error)) from error
    if not isinstance(body, dict):
        raise _malformed(operation, "the body is not a JSON object")
    if too_deep(body, request.body):
        raise _invalid(f"Malformed input request: nested deeper than {DEPTH_MAX} levels.")
    return body


def request_metadata(
    request: Request, operation: Operation, body: Mapping[str, Any]
) -> Mapping[str, str]:
    """What the caller attributes the call with; checked, since it ends in the log."""
    if operation in _NATIVE:
        header = request.headers.get(METADATA_HEADER)
        if header is None:
            return _NO_METADATA
        if len(header) > METADATA_HEADER_CHARS_MAX:
            raise _invalid("requestMetadata must be at most 8,500 characters long")
        try:
            metadata = orjson.loads(header)
        except orjson.JSONDecodeError as error:
            raise _invalid("requestMetadata must be a JSON object of strings") from error
    elif operation == "Rerank":  # which has no such member
        return _NO_METADATA
    else:
        metadata = body.get("requestMetadata")
        if metadata is None:
            return _NO_METADATA
    _check_metadata(metadata)
    return dict(metadata)


def _check_metadata(metadata: Any) -> None:
    if not isinstance(metadata, dict):
        raise _invalid("requestMetadata must be a JSON object of strings")
    if not 1 <= len(metadata) <= METADATA_PAIRS_MAX:
        raise _invalid(f"requestMetadata must have 1 to {METADATA_PAIRS_MAX} entries")
    for key, value in metadata.items():
        if not 1 <= len(key) <= METADATA_CHARS_MAX or not _METADATA_TEXT.fullmatch(key):
            raise _invalid("a requestMetadata key is too long or has characters not allowed")
        if (
            not isinstance(value, str)
            or len(value) > METADATA_CHARS_MAX
            or not _METADATA_TEXT.fullmatch(value)
        ):
            raise _invalid(f"the requestMetadata value of '{key}' is not allowed")


def _malformed(operation: Operation, detail: str) -> EmulatedError:
    if operation in _NATIVE:
        return _invalid("Malformed input request, please reformat your input and try again.")
    return EmulatedError("SerializationException", 400, f"The request is not valid JSON: {detail}")


def _invalid(message: str) -> EmulatedError:
    return EmulatedError("ValidationException", 400, message)
