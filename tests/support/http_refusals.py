"""Refusals by how often an unmodified SDK may send such a call."""

from typing import Any

from tenantry.domain import errors
from tenantry.domain.errors import TenantryError

DEFAULT_ATTEMPTS = 3  # of boto3 1.44 and openai 3
ONCE: list[tuple[TenantryError, str]] = [
    (errors.QuotaExceeded(retry_after_ms=3_600_000), "ServiceQuotaExceededException"),
    (errors.BudgetExceeded(), "BudgetExceeded"),
    (errors.IdempotencyInFlight(), "ConflictException"),
    (errors.ResultNotKept(), "ConflictException"),
    (errors.IdempotencyMismatch(), "IdempotentParameterMismatchException"),
    (errors.KeyWrong(), "UnrecognizedClientException"),
    (errors.BadSignature(), "InvalidSignatureException"),
    (errors.TenantSuspended(), "AccessDeniedException"),
    (errors.NotFound(), "ResourceNotFoundException"),
    (errors.ModelRetired(), "ValidationException"),
    (errors.UpstreamTimeout(), "ModelTimeoutException"),
    (errors.UpstreamRubbish(), "ModelErrorException"),
]
BRIEFLY: list[tuple[TenantryError, str]] = [
    (errors.RateLimited(retry_after_ms=10), "ThrottlingException"),
    (errors.ConcurrencyLimited(retry_after_ms=10), "ThrottlingException"),
    (errors.Unavailable(retry_after_ms=10), "ServiceUnavailableException"),
    (errors.UpstreamThrottled(retry_after_ms=10), "ThrottlingException"),
]


def name_of(value: Any) -> str:
    return type(value).__name__ if isinstance(value, TenantryError) else str(value)
