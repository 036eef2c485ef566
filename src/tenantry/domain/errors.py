"""Every refusal that a caller can meet, as one tree.

    TenantryError
    ├── BadRequest ............ 400  the request cannot be understood
    │   ├── ModelRetired, ModelUnpriced, LargerThanLimit, Unreadable
    │   ├── TooLarge .......... 413
    │   └── UnsupportedMedia .. 415
    ├── Unauthenticated ....... 401 (Bedrock wire: 403)
    │   ├── KeyMissing, KeyWrong, KeyRevoked, KeyExpired
    │   └── BadSignature
    ├── Forbidden ............. 403
    │   └── TenantSuspended, ScopeMissing, ModelNotAllowed, RegionNotAllowed
    ├── NotFound .............. 404  also for what belongs to another tenant
    │   └── ModelNotFound
    ├── Limited
    │   ├── RateLimited, ConcurrencyLimited  429, worth waiting for
    │   ├── QuotaExceeded .................. of a day or month, not worth waiting for
    │   └── BudgetExceeded ................. 402
    ├── Conflict
    │   ├── Busy .............. 409  worth asking again
    │   ├── IdempotencyInFlight, ResultNotKept 409
    │   └── IdempotencyMismatch ............. 422
    ├── Unavailable ........... 503  ledger, database, disk
    │   └── Corrupt ............... sealed data that does not open: changed, swapped or foreign
    └── UpstreamFailed
        ├── UpstreamThrottled 429, UpstreamUnavailable 503
        ├── UpstreamTimeout .... 424 (Bedrock wire: 408)
        ├── UpstreamRefused  (its own 4xx, passed on)
        └── UpstreamRubbish 424

Each class has a stable `code`; its docstring is the default message. The map from class to each API
family's wire is exhaustive (`entrypoints/http/errors.py`) and held by a test.
"""

from __future__ import annotations

from typing import ClassVar


def sentence(words: str) -> str:
    """A reason in words, as a message: with a capital, and a full stop."""
    return f"{words[:1].upper()}{words[1:]}."


class TenantryError(Exception):
    """Something went wrong."""

    code: ClassVar[str] = "internal"

    def __init__(self, message: str = "", /, **details: object) -> None:
        self.message = message or (type(self).__doc__ or "").strip().split("\n")[0]
        self.details = details
        super().__init__(self.message)


class BadRequest(TenantryError):
    """The request is not valid."""

    code = "bad_request"


class ModelRetired(BadRequest):
    """The model has been retired."""

    code = "model_retired"


class ModelUnpriced(BadRequest):
    """The model has no price for what this request may use."""

    code = "model_unpriced"


class LargerThanLimit(BadRequest):
    """The request is larger than a limit's whole size."""

    code = "larger_than_limit"


class Unreadable(BadRequest):
    """The document cannot be read."""

    code = "unreadable"


class TooLarge(BadRequest):
    """The request body is too large."""

    code = "too_large"


class UnsupportedMedia(BadRequest):
    """The content type is not supported."""

    code = "unsupported_media"


class Unauthenticated(TenantryError):
    """The API key is not valid."""

    code = "unauthenticated"


class KeyMissing(Unauthenticated):
    """No API key was given."""

    code = "key_missing"


class KeyWrong(Unauthenticated):
    """The API key is not known."""

    code = "key_wrong"


class KeyRevoked(Unauthenticated):
    """The API key has been revoked."""

    code = "key_revoked"


class KeyExpired(Unauthenticated):
    """The API key has expired."""

    code = "key_expired"


class BadSignature(Unauthenticated):
    """The request signature does not match."""

    code = "bad_signature"


class Forbidden(TenantryError):
    """This API key may not do that."""

    code = "forbidden"


class TenantSuspended(Forbidden):
    """The tenant is suspended."""

    code = "tenant_suspended"


class ScopeMissing(Forbidden):
    """The API key lacks the scope for this route."""

    code = "scope_missing"


class ModelNotAllowed(Forbidden):
    """The model is not allowed for this tenant or API key."""

    code = "model_not_allowed"


class RegionNotAllowed(Forbidden):
    """The region is not allowed for this tenant."""

    code = "region_not_allowed"


class NotFound(TenantryError):
    """There is no such thing."""

    code = "not_found"


class ModelNotFound(NotFound):
    """There is no such model."""

    code = "model_not_found"  # by which OpenAI's clients know it


class Limited(TenantryError):
    """A limit of the plan was reached."""

    code = "limited"

    def __init__(
        self,
        message: str = "",
        /,
        *,
        limit: str = "",
        retry_after_ms: int | None = None,
        resets_at: str | None = None,
        **details: object,
    ) -> None:
        super().__init__(message, **details)
        self.limit = limit  # name of the limit, as in the plan
        self.retry_after_ms = retry_after_ms
        self.resets_at = resets_at  # RFC 3339


class RateLimited(Limited):
    """Too many requests or tokens in this minute."""

    code = "rate_limited"


class ConcurrencyLimited(Limited):
    """Too many requests at once."""

    code = "concurrency_limited"


class QuotaExceeded(Limited):
    """The quota of this period is used up."""

    code = "quota_exceeded"


class BudgetExceeded(Limited):
    """The budget has too little left for this request."""

    code = "budget_exceeded"


class Conflict(TenantryError):
    """The request conflicts with another one."""

    code = "conflict"


class Busy(Conflict):
    """What this needs is in use for a moment."""

    code = "busy"


class IdempotencyInFlight(Conflict):
    """A request with this idempotency key is still in flight."""

    code = "idempotency_in_flight"


class ResultNotKept(Conflict):
    """A request with this idempotency key was done, and its result is not kept."""

    code = "result_not_kept"


class IdempotencyMismatch(Conflict):
    """This idempotency key was used with another body."""

    code = "idempotency_mismatch"


class Unavailable(TenantryError):
    """The service is out of reach for a moment; nothing was charged."""

    code = "unavailable"

    def __init__(
        self, message: str = "", /, *, retry_after_ms: int = 1_000, **details: object
    ) -> None:
        super().__init__(message, **details)
        self.retry_after_ms = retry_after_ms


class Corrupt(Unavailable):
    """Stored data failed its integrity check and was not used."""

    code = "corrupt"


class UpstreamFailed(TenantryError):
    """The model could not answer."""

    code = "upstream_failed"


class UpstreamThrottled(UpstreamFailed):
    """The model is throttled; try again shortly."""

    code = "upstream_throttled"

    def __init__(
        self, message: str = "", /, *, retry_after_ms: int = 1_000, **details: object
    ) -> None:
        super().__init__(message, **details)
        self.retry_after_ms = retry_after_ms


class UpstreamTimeout(UpstreamFailed):
    """The model did not answer in time."""

    code = "upstream_timeout"


class UpstreamUnavailable(UpstreamFailed):
    """The model is out of reach for a moment."""

    code = "upstream_unavailable"
    retry_after_ms = 1_000


class UpstreamRubbish(UpstreamFailed):
    """The model's answer could not be understood."""

    code = "upstream_rubbish"


class UpstreamRefused(UpstreamFailed):
    """The model refused the request."""

    code = "upstream_refused"

    def __init__(
        self, message: str = "", /, *, status: int, error_type: str, **details: object
    ) -> None:
        super().__init__(message, **details)
        self.status = status  # 400 to 499, as Bedrock sent it
        self.error_type = error_type  # e.g. ValidationException
