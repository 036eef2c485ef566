"""Every refusal has a shape in every API family."""

from collections.abc import Iterator
from typing import get_args
from uuid import UUID

import orjson
import pytest

from tenantry.domain import errors
from tenantry.domain.errors import TenantryError
from tenantry.entrypoints.http.errors import (
    RETRY_AFTER_MAX_S,
    SHAPES,
    Family,
    status_response,
    to_response,
    to_sse_error,
)

REQUEST_ID = UUID("01890000-0000-7000-8000-000000000001")
FAMILIES: tuple[Family, ...] = get_args(Family)


SPENT = (errors.Limited, errors.QuotaExceeded, errors.BudgetExceeded)


def tree(kind: type[TenantryError] = TenantryError) -> Iterator[type[TenantryError]]:
    yield kind
    for child in kind.__subclasses__():
        if child.__module__ == errors.__name__:
            yield from tree(child)


def made(kind: type[TenantryError]) -> TenantryError:
    if kind is errors.UpstreamRefused:
        return errors.UpstreamRefused("no", status=403, error_type="AccessDeniedException")
    if issubclass(kind, errors.Limited):
        return kind(limit="requests_per_day", retry_after_ms=90_000, resets_at="2026-12-01T00:00Z")
    return kind()


def test_the_map_is_exhaustive() -> None:
    assert set(SHAPES) == set(tree())


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("kind", list(tree()), ids=lambda kind: kind.__name__)
def test_each_error_speaks_each_family(kind: type[TenantryError], family: Family) -> None:
    error = made(kind)
    response = to_response(error, family, REQUEST_ID)
    body = orjson.loads(response.body)
    assert 400 <= response.status <= 599
    match family:
        case "bedrock":
            assert body == {"message": error.message}
            assert response.headers["x-amzn-ErrorType"].isalpha()
        case "openai":
            assert body["error"]["message"] == error.message
            spent = "insufficient_quota"  # OpenAI's word for both
            assert body["error"]["code"] == (spent if kind in SPENT else error.code)
        case "anthropic":
            assert body["type"] == "error"
            assert body["error"]["message"] == error.message
        case "tenantry":
            assert response.headers["content-type"] == "application/problem+json"
            assert (body["status"], body["code"]) == (response.status, error.code)
    assert int(response.headers.get("retry-after", 0)) <= RETRY_AFTER_MAX_S


# refusal → status on the Bedrock wire, its type, status elsewhere, whether an SDK may retry
TABLE = [
    (errors.RateLimited, 429, "ThrottlingException", 429, True),
    (errors.ConcurrencyLimited, 429, "ThrottlingException", 429, True),
    (errors.QuotaExceeded, 400, "ServiceQuotaExceededException", 429, False),
    (errors.BudgetExceeded, 402, "BudgetExceeded", 402, False),
    (errors.Busy, 409, "ConflictException", 409, False),
    (errors.IdempotencyInFlight, 409, "ConflictException", 409, False),
    (errors.ResultNotKept, 409, "ConflictException", 409, False),
    (errors.IdempotencyMismatch, 422, "IdempotentParameterMismatchException", 422, False),
    (errors.Unavailable, 503, "ServiceUnavailableException", 503, True),
    (errors.KeyMissing, 403, "UnrecognizedClientException", 401, False),
    (errors.KeyWrong, 403, "UnrecognizedClientException", 401, False),
    (errors.KeyRevoked, 403, "UnrecognizedClientException", 401, False),
    (errors.KeyExpired, 403, "UnrecognizedClientException", 401, False),
    (errors.BadSignature, 403, "InvalidSignatureException", 401, False),
    (errors.TenantSuspended, 403, "AccessDeniedException", 403, False),
    (errors.ScopeMissing, 403, "AccessDeniedException", 403, False),
    (errors.ModelNotAllowed, 403, "AccessDeniedException", 403, False),
    (errors.RegionNotAllowed, 403, "AccessDeniedException", 403, False),
    (errors.ModelRetired, 400, "ValidationException", 400, False),
    (errors.ModelUnpriced, 400, "ValidationException", 400, False),
    (errors.LargerThanLimit, 400, "ValidationException", 400, False),
    (errors.NotFound, 404, "ResourceNotFoundException", 404, False),
    (errors.TooLarge, 413, "RequestEntityTooLargeException", 413, False),
    (errors.UpstreamThrottled, 429, "ThrottlingException", 429, True),
    (errors.UpstreamTimeout, 408, "ModelTimeoutException", 424, False),
    (errors.UpstreamUnavailable, 503, "ServiceUnavailableException", 503, True),
    (errors.UpstreamRubbish, 424, "ModelErrorException", 424, False),
]


@pytest.mark.parametrize(("kind", "aws", "name", "other", "retry"), TABLE)
def test_the_table_of_refusals(
    kind: type[TenantryError], aws: int, name: str, other: int, retry: bool
) -> None:
    bedrock = to_response(made(kind), "bedrock", REQUEST_ID)
    assert (bedrock.status, bedrock.headers["x-amzn-ErrorType"]) == (aws, name)
    for family in FAMILIES:
        response = to_response(made(kind), family, REQUEST_ID)
        assert response.status == (aws if family == "bedrock" else other)
        assert response.headers.get("x-should-retry") == (None if retry else "false")


def test_waits_are_bounded_and_in_each_familys_unit() -> None:
    error = errors.RateLimited(limit="requests_per_minute", retry_after_ms=1_500)
    bedrock = to_response(error, "bedrock", REQUEST_ID)
    assert bedrock.headers["x-amz-retry-after"] == "1500"
    assert bedrock.headers["retry-after"] == "2"  # which AnthropicBedrock reads
    openai = to_response(error, "openai", REQUEST_ID)
    assert openai.headers["retry-after"] == "2"
    assert openai.headers["RateLimit"] == '"requests_per_minute";r=0;t=2'
    for family in FAMILIES:
        far = to_response(errors.RateLimited(retry_after_ms=10**9), family, REQUEST_ID)
        assert far.headers["retry-after"] == "59"


def test_a_minutes_limit_says_its_whole_wait_and_asks_for_less_than_a_minute_of_it() -> None:
    """Vercel's AI SDK passes over a wait of 60 s and more, and asks again within seconds."""
    error = errors.RateLimited(limit="requests_per_minute", retry_after_ms=65_300)
    bedrock = to_response(error, "bedrock", REQUEST_ID)
    assert bedrock.headers["x-amz-retry-after"] == "59000"
    assert bedrock.headers["retry-after"] == "59"
    openai = to_response(error, "openai", REQUEST_ID)
    assert openai.headers["retry-after"] == "59"
    assert openai.headers["RateLimit"] == '"requests_per_minute";r=0;t=66'


def test_a_quota_says_when_it_resets_and_asks_nobody_to_wait() -> None:
    error = errors.QuotaExceeded(
        limit="requests_per_day", retry_after_ms=86_400_000, resets_at="2026-12-01T00:00:00Z"
    )
    response = to_response(error, "tenantry", REQUEST_ID)
    assert not {"retry-after", "x-amz-retry-after"} & response.headers.keys()
    assert orjson.loads(response.body)["resets_at"] == "2026-12-01T00:00:00Z"


@pytest.mark.parametrize(("family", "place"), [("openai", "error"), ("tenantry", None)])
def test_a_budget_says_what_it_has_left_and_what_was_asked_for(
    family: Family, place: str | None
) -> None:
    told = {"worst_charge": "0.0036", "charge_left": "0.00096", "currency": "EUR"}
    body = orjson.loads(to_response(errors.BudgetExceeded("m", **told), family, REQUEST_ID).body)
    shown = body if place is None else body[place]
    assert told.items() <= shown.items()
    unknown = orjson.loads(to_response(errors.BudgetExceeded("m"), family, REQUEST_ID).body)
    assert not told.keys() & (unknown if place is None else unknown[place]).keys()


@pytest.mark.parametrize("kind", SPENT)
def test_openais_clients_know_what_is_used_up_by_its_code(kind: type[TenantryError]) -> None:
    told = orjson.loads(to_response(kind(), "openai", REQUEST_ID).body)["error"]
    assert (told["type"], told["code"]) == ("insufficient_quota", "insufficient_quota")
    busy = orjson.loads(to_response(errors.RateLimited(), "openai", REQUEST_ID).body)["error"]
    assert busy["code"] == "rate_limited"


def test_openais_clients_are_told_which_parameter_it_is_about() -> None:
    about = errors.BadRequest("no", param="n")
    assert orjson.loads(to_response(about, "openai", REQUEST_ID).body)["error"]["param"] == "n"
    assert orjson.loads(to_sse_error(about, "openai", REQUEST_ID))["error"]["param"] == "n"
    told = orjson.loads(to_response(errors.BadRequest("no"), "openai", REQUEST_ID).body)
    assert told["error"]["param"] is None
    for family in set(FAMILIES) - {"openai"}:
        assert b"param" not in to_response(about, family, REQUEST_ID).body


def test_an_upstream_refusal_keeps_its_status_and_type() -> None:
    error = errors.UpstreamRefused("too long", status=400, error_type="ValidationException")
    response = to_response(error, "bedrock", REQUEST_ID)
    assert (response.status, response.headers["x-amzn-ErrorType"]) == (400, "ValidationException")


def test_a_new_kind_of_error_takes_the_shape_of_its_parent() -> None:
    class Newer(errors.BudgetExceeded):
        """Newer."""

    assert to_response(Newer(), "openai", REQUEST_ID).status == 402


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("status", [400, 404, 405, 413, 414, 431, 500, 503])
def test_what_never_became_a_request_has_a_shape_too(status: int, family: Family) -> None:
    response = status_response(status, "why", family, REQUEST_ID)
    # Bedrock says 404 for a known path's other methods too.
    assert response.status == (404 if (status, family) == (405, "bedrock") else status)
    assert response.headers.get("x-should-retry") == (None if status == 503 else "false")
    assert response.headers.get("retry-after") == ("1" if status == 503 else None)
    assert b"why" in response.body
