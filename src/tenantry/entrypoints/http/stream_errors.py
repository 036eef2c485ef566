"""Exception frames inside a stream, as the error they would have been before it began."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import orjson

from tenantry.application.streaming import OwnFrame
from tenantry.domain.errors import (
    TenantryError,
    Unavailable,
    UpstreamFailed,
    UpstreamRefused,
    UpstreamRubbish,
    UpstreamThrottled,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from tenantry.domain.eventstream import Frame

_KINDS: Final[Mapping[str, Callable[[str], TenantryError]]] = {
    "throttlingException": UpstreamThrottled,
    "serviceUnavailableException": UpstreamUnavailable,
    "internalServerException": UpstreamUnavailable,
    "modelTimeoutException": UpstreamTimeout,
    "modelStreamErrorException": UpstreamRubbish,
    "validationException": lambda message: UpstreamRefused(
        message, status=400, error_type="ValidationException"
    ),
}
# Of those that are ours, which are no words of the model's endpoint.
_OWN_KINDS: Final[Mapping[str, Callable[[str], TenantryError]]] = {
    **_KINDS,
    "serviceUnavailableException": Unavailable,
    "internalServerException": TenantryError,
}


def error_of(frame: Frame) -> TenantryError | None:
    """None where the frame is an ordinary event."""
    if not frame.is_failure:
        return None
    kinds = _OWN_KINDS if isinstance(frame, OwnFrame) else _KINDS
    make = kinds.get(frame.exception_type or "", UpstreamFailed)
    return make(_message(frame))


def _message(frame: Frame) -> str:
    try:
        value = orjson.loads(frame.payload)
    except orjson.JSONDecodeError:
        value = None
    message = value.get("message") if isinstance(value, dict) else None
    if not message:
        message = frame.headers.get(":error-message")
    return message if isinstance(message, str) else ""
