"""How each refusal looks on each API family's wire (docs/reference/http.md, refusals).

Bedrock says `x-amzn-ErrorType` and `{"message"}`; OpenAI `{"error": {…}}`; Anthropic `{"type":
"error", …}`; our own routes RFC 9457. The statuses and headers are chosen by what clients do with
them. botocore retries 429 and 5xx, and waits as `x-amz-retry-after` says; openai and anthropic
retry also 408 and 409 unless `x-should-retry: false`, and anthropic sleeps the whole `Retry-After`.
All of it holds on Bedrock's routes too, which AnthropicBedrock calls. Others go by the status
alone, whatever `x-should-retry` says: Vercel's AI SDK asks again after 408, 409, 429 and 5xx, and
passes over a `Retry-After` of 60 s and more. So what may have cost money is a 424 wherever
Bedrock's own SDKs do not look for Bedrock's 408. LangChain for JavaScript asks again after that
too, as after all but 400 to 407, 409 and 413: no status that fits stops it, only its `maxRetries`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal
from uuid import UUID

import orjson

from tenantry.domain import errors
from tenantry.domain.errors import TenantryError
from tenantry.entrypoints.http.response import Response

Family = Literal["bedrock", "openai", "anthropic", "tenantry"]

# The anthropic SDK sleeps the whole of it; Vercel's AI SDK passes over 60 and more, for its own 2.
RETRY_AFTER_MAX_S: Final = 59
# How to be let in, which each 401 has to say (RFC 9110, 15.5.2; RFC 6750, 3). A key that was given
# and does not open is told from one that was not.
CHALLENGE: Final = 'Bearer realm="tenantry"'
_GIVEN: Final = (errors.KeyWrong, errors.KeyRevoked, errors.KeyExpired)


@dataclass(frozen=True, slots=True)
class Shape:
    """One class of refusal. `retry`: whether sending the same again soon can help."""

    aws_status: int
    aws_type: str
    status: int
    openai_type: str
    anthropic_type: str
    retry: bool = False


_INVALID = ("invalid_request_error", "invalid_request_error")
_AUTH = ("authentication_error", "authentication_error")
_DENIED = ("permission_error", "permission_error")
_BUSY = ("rate_limit_error", "rate_limit_error")
_SERVER = ("server_error", "api_error")
# OpenAI's type and code of what waiting does not help; some clients look at the code alone, and
# ask a 429 of any other code again.
_SPENT: Final = "insufficient_quota"

_VALIDATION = Shape(400, "ValidationException", 400, *_INVALID)
_KEY = Shape(403, "UnrecognizedClientException", 401, *_AUTH)
_ACCESS = Shape(403, "AccessDeniedException", 403, *_DENIED)
_UNKNOWN = Shape(404, "ResourceNotFoundException", 404, "invalid_request_error", "not_found_error")
_THROTTLED = Shape(429, "ThrottlingException", 429, *_BUSY, retry=True)
_QUOTA = Shape(400, "ServiceQuotaExceededException", 429, _SPENT, "rate_limit_error")
_CONFLICT = Shape(409, "ConflictException", 409, *_INVALID)
_AWAY = Shape(503, "ServiceUnavailableException", 503, "server_error", "api_error", retry=True)
_FAILED = Shape(424, "ModelErrorException", 424, *_SERVER)
_INTERNAL = Shape(500, "InternalServerException", 500, *_SERVER)

SHAPES: Final[Mapping[type[TenantryError], Shape]] = {
    TenantryError: _INTERNAL,
    errors.BadRequest: _VALIDATION,
    errors.ModelRetired: _VALIDATION,
    errors.ModelUnpriced: _VALIDATION,
    errors.LargerThanLimit: _VALIDATION,
    errors.Unreadable: _VALIDATION,
    errors.TooLarge: Shape(
        413, "RequestEntityTooLargeException", 413, "invalid_request_error", "request_too_large"
    ),
    errors.UnsupportedMedia: Shape(415, "UnsupportedMediaTypeException", 415, *_INVALID),
    errors.Unauthenticated: _KEY,
    errors.KeyMissing: _KEY,
    errors.KeyWrong: _KEY,
    errors.KeyRevoked: _KEY,
    errors.KeyExpired: _KEY,
    errors.BadSignature: Shape(403, "InvalidSignatureException", 401, *_AUTH),
    errors.Forbidden: _ACCESS,
    errors.TenantSuspended: _ACCESS,
    errors.ScopeMissing: _ACCESS,
    errors.ModelNotAllowed: _ACCESS,
    errors.RegionNotAllowed: _ACCESS,
    errors.NotFound: _UNKNOWN,
    errors.ModelNotFound: _UNKNOWN,
    errors.Limited: _QUOTA,
    errors.RateLimited: _THROTTLED,
    errors.ConcurrencyLimited: _THROTTLED,
    errors.QuotaExceeded: _QUOTA,
    errors.BudgetExceeded: Shape(402, "BudgetExceeded", 402, _SPENT, "billing_error"),
    errors.Conflict: _CONFLICT,
    errors.Busy: _CONFLICT,
    errors.IdempotencyInFlight: _CONFLICT,
    errors.ResultNotKept: _CONFLICT,
    errors.IdempotencyMismatch: Shape(422, "IdempotentParameterMismatchException", 422, *_INVALID),
    errors.Unavailable: _AWAY,
    errors.Corrupt: Shape(503, "ServiceUnavailableException", 503, *_SERVER),
    errors.UpstreamFailed: _FAILED,
    errors.UpstreamThrottled: _THROTTLED,
    # A timed-out answer may have cost money: no SDK should ask for it again by itself.
    errors.UpstreamTimeout: Shape(408, "ModelTimeoutException", 424, *_SERVER),
    errors.UpstreamUnavailable: _AWAY,
    errors.UpstreamRubbish: _FAILED,
    errors.UpstreamRefused: _VALIDATION,  # its own status and type take their places
}

# Refusals below the use cases: what the wire itself, or the table of routes, cannot accept.
BY_STATUS: Final[Mapping[int, tuple[str, Shape]]] = {
    400: ("bad_request", _VALIDATION),
    404: (
        "no_such_route",
        Shape(404, "UnknownOperationException", 404, "invalid_request_error", "not_found_error"),
    ),
    # Bedrock says 404 for a known path's other methods too.
    405: ("method_not_allowed", Shape(404, "UnknownOperationException", 405, *_INVALID)),
    # One that was too slow is as slow again: no SDK should send it again by itself.
    408: ("request_timeout", Shape(408, "RequestTimeoutException", 408, *_INVALID)),
    413: ("too_large", SHAPES[errors.TooLarge]),
    414: ("target_too_long", Shape(414, "ValidationException", 414, *_INVALID)),
    431: ("headers_too_large", Shape(431, "ValidationException", 431, *_INVALID)),
    500: ("internal", _INTERNAL),
    503: ("unavailable", _AWAY),
}


def to_response(error: TenantryError, family: Family, request_id: UUID) -> Response:
    """The whole answer to a refused request."""
    shape = _shape_of(error)
    headers: dict[str, str] = {}
    if shape.retry:
        _add_wait(headers, family, getattr(error, "retry_after_ms", None))
    else:
        headers["x-should-retry"] = "false"
    if isinstance(error, errors.Limited) and family != "bedrock":
        headers |= _rate_limit_headers(error)
    if _status(shape, family) == 401:
        why = ', error="invalid_token"' if isinstance(error, _GIVEN) else ""
        headers["WWW-Authenticate"] = f"{CHALLENGE}{why}"
    extras = _extras(error, family)
    return _render(family, shape, error.code, error.message, headers, request_id, extras)


def status_response(status: int, message: str, family: Family, request_id: UUID) -> Response:
    """The answer to what never reached a use case; `status` is one of `BY_STATUS`."""
    code, shape = BY_STATUS[status]
    headers: dict[str, str] = {}
    if shape.retry:
        _add_wait(headers, family, errors.Unavailable().retry_after_ms)
    else:
        headers["x-should-retry"] = "false"
    return _render(family, shape, code, message, headers, request_id, {})


def to_sse_error(error: TenantryError, family: Family, request_id: UUID) -> bytes:
    """The JSON of an error that comes after a stream has begun."""
    shape = _shape_of(error)
    extras = _extras(error, family)
    return orjson.dumps(_body(family, shape, error.code, error.message, request_id, extras))


def _shape_of(error: TenantryError) -> Shape:
    if isinstance(error, errors.UpstreamRefused):
        openai_type, anthropic_type = _DENIED if error.status == 403 else _INVALID
        return Shape(error.status, error.error_type, error.status, openai_type, anthropic_type)
    return next(SHAPES[kind] for kind in type(error).__mro__ if kind in SHAPES)


def _render(
    family: Family,
    shape: Shape,
    code: str,
    message: str,
    headers: dict[str, str],
    request_id: UUID,
    extras: Mapping[str, Any],
) -> Response:
    body = orjson.dumps(_body(family, shape, code, message, request_id, extras))
    if family == "bedrock":
        headers["content-type"] = "application/json"
        headers["x-amzn-ErrorType"] = shape.aws_type
        return Response(_status(shape, family), body, headers)
    headers["content-type"] = (
        "application/problem+json" if family == "tenantry" else "application/json"
    )
    return Response(_status(shape, family), body, headers)


def _status(shape: Shape, family: Family) -> int:
    return shape.aws_status if family == "bedrock" else shape.status


def _body(
    family: Family,
    shape: Shape,
    code: str,
    message: str,
    request_id: UUID,
    extras: Mapping[str, Any],
) -> dict[str, Any]:
    if family == "bedrock":
        return {"message": message}
    if family == "openai":
        code = _SPENT if shape.openai_type == _SPENT else code
        error = {"message": message, "type": shape.openai_type, "param": None, "code": code}
        return {"error": {**error, **extras}}
    if family == "anthropic":
        inner = {"type": shape.anthropic_type, "message": message, **extras}
        return {"type": "error", "error": inner, "request_id": str(request_id)}
    return {
        "type": f"urn:tenantry:error:{code}",
        "title": code.replace("_", " "),
        "status": shape.status,
        "detail": message,
        "code": code,
        "request_id": str(request_id),
        **extras,
    }


def _extras(error: TenantryError, family: Family) -> dict[str, Any]:
    param = error.details.get("param")  # which of OpenAI's shape has a place for
    if family == "openai" and param is not None:
        return {"param": param}
    if not isinstance(error, errors.Limited):
        return {}
    extras: dict[str, Any] = {"limit": error.limit or None, "resets_at": error.resets_at}
    extras |= {
        name: error.details.get(name) for name in ("worst_charge", "charge_left", "currency")
    }
    return {name: value for name, value in extras.items() if value is not None}


def _add_wait(headers: dict[str, str], family: Family, retry_after_ms: int | None) -> None:
    if retry_after_ms is None:
        return
    wait_ms = max(0, min(retry_after_ms, RETRY_AFTER_MAX_S * 1_000))
    if family == "bedrock":
        headers["x-amz-retry-after"] = str(wait_ms)
    headers["retry-after"] = str(max(1, -(-wait_ms // 1_000)))


def _rate_limit_headers(error: errors.Limited) -> dict[str, str]:
    """`RateLimit` of the limit that was reached (draft-ietf-httpapi-ratelimit-headers-10)."""
    if not error.limit:
        return {}
    wait = error.retry_after_ms
    seconds = "" if wait is None else f";t={max(1, -(-wait // 1_000))}"
    return {"RateLimit": f'"{error.limit}";r=0{seconds}'}
