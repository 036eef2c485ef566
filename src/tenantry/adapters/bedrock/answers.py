"""What a complete answer of bedrock-runtime means: a reply, or a failure and whose bill it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import orjson

from tenantry.ports.model import Failure, FailureKind, Reply

RETRY_AFTER_MAX_MS: Final = 3_600_000
MESSAGE_CHARS_MAX: Final = 2_048
# A 408 or 424 is the model's own failure: it ran. A 5xx without one of Bedrock's names comes
# from something in between, behind which the call may still be running.
_RAN_STATUSES: Final = frozenset({408, 424})
_NOT_RUN_TYPES: Final = frozenset(
    {"InternalServerException", "ServiceUnavailableException", "ModelNotReadyException"}
)
_OF_ANYBODY: Final = frozenset({401, 403, 413, 414, 431})


def to_reply(status: int, headers: Mapping[str, str], body: bytes) -> Reply | Failure:
    """A 2xx answer; RUBBISH where it calls itself JSON and is not."""
    document: Any = None
    if _media_type(headers) == "application/json":
        try:
            document = orjson.loads(body)
        except orjson.JSONDecodeError as error:
            message = f"the answer is not JSON: {error}"
            return Failure(FailureKind.RUBBISH, True, message, status, headers=headers)
    return Reply(status, headers, body, document)


def to_failure(status: int, headers: Mapping[str, str], body: bytes) -> Failure:
    """An answer other than 2xx, in Bedrock's shape or in none."""
    document = _object(body)
    error_type = _error_type(headers, document)
    message = _message(document) or f"upstream answered {status}"
    kind, maybe_billed = _meaning(status, error_type)
    if kind is FailureKind.REFUSED and _is_of_another(status, headers, error_type):
        kind = FailureKind.RUBBISH  # of what stands at the address that was meant to be Bedrock's
    return Failure(
        kind,
        maybe_billed,
        message,
        status,
        error_type,
        _retry_after_ms(headers),
        headers,
        body,
    )


def _meaning(status: int, error_type: str | None) -> tuple[FailureKind, bool]:
    if status == 429:
        return FailureKind.THROTTLED, False
    if status in _RAN_STATUSES:
        return FailureKind.FAILED, True
    if 400 <= status < 500:
        return FailureKind.REFUSED, False
    if status >= 500:
        return FailureKind.FAILED, error_type not in _NOT_RUN_TYPES
    return FailureKind.RUBBISH, False  # a redirect: nothing ran


def _is_of_another(status: int, headers: Mapping[str, str], error_type: str | None) -> bool:
    """Whether a refusal has neither Bedrock's name for it nor its request id. What is too large
    for something in between is the client's to know."""
    named = error_type is not None or "x-amzn-requestid" in headers
    return not named and status not in _OF_ANYBODY


def _error_type(headers: Mapping[str, str], document: Mapping[str, Any]) -> str | None:
    """`Name:http://…` in the header, or `namespace#Name` in the body."""
    name = headers.get("x-amzn-errortype")
    if name is None:
        name = next((document[m] for m in ("__type", "code") if m in document), None)
    if not isinstance(name, str):
        return None
    return name.partition(":")[0].rpartition("#")[2][:MESSAGE_CHARS_MAX] or None


def _message(document: Mapping[str, Any]) -> str | None:
    for member in ("message", "Message"):
        text = document.get(member)
        if isinstance(text, str):
            return text[:MESSAGE_CHARS_MAX]
    return None


def _retry_after_ms(headers: Mapping[str, str]) -> int | None:
    """`x-amz-retry-after` is in milliseconds, `retry-after` in seconds (dates are not read)."""
    for name, unit_ms in (("x-amz-retry-after", 1), ("retry-after", 1_000)):
        text = headers.get(name, "").strip()
        if text.isascii() and text.isdigit() and len(text) <= 9:
            return min(int(text) * unit_ms, RETRY_AFTER_MAX_MS)
    return None


def _object(body: bytes) -> Mapping[str, Any]:
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    return document if isinstance(document, dict) else {}


def _media_type(headers: Mapping[str, str]) -> str:
    return headers.get("content-type", "").partition(";")[0].strip().lower()


def is_event_stream(headers: Mapping[str, str]) -> bool:
    """Whether the answer says that it is an event stream."""
    return _media_type(headers) == "application/vnd.amazon.eventstream"
