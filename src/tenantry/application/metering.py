"""Step 7 of the request's way: what did it cost. Reading → rating → the outcome that is posted.

Owns: the end of an attempt. Does not own: the arithmetic (`domain/rating`) nor the reading of usage
(`domain/normalise`). Invariant: an attempt whose usage cannot be trusted or priced is never
zero and never the customer's by guess: it stays unknown, holds its budget and blocks the invoice.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from tenantry.application.admission import PlannedCall
from tenantry.domain.normalise import Normalised, Quarantined
from tenantry.domain.plan import Plan
from tenantry.domain.price import STANDARD_TIER, PriceEdition, Unpriced
from tenantry.domain.rating import rate
from tenantry.domain.usage import NO_USAGE, TokenClass, Usage
from tenantry.ports.admission import UNDELIVERED, AttemptOutcome
from tenantry.ports.model import Failure

TIER_HEADER = "x-amzn-bedrock-service-tier"
ERROR_CHARS_MAX = 256
TRUNCATED = "truncated"  # the client left before the end


def write_class(planned: PlannedCall) -> TokenClass:
    """Where a response does not split its cache writes: the dearest class the request can cause."""
    if planned.bound.cache_writes_1h:
        return TokenClass.CACHE_WRITE_1H
    return TokenClass.CACHE_WRITE_5M


def tier_of(document: object, headers: Mapping[str, str]) -> str:
    """The tier that served: billing follows the response, not the request."""
    if isinstance(document, Mapping):
        tier = document.get("serviceTier")
        if isinstance(tier, Mapping) and isinstance(tier.get("type"), str):
            return str(tier["type"])
    return headers.get(TIER_HEADER, STANDARD_TIER)


def settled(
    reading: Normalised | Quarantined,
    planned: PlannedCall,
    prices: PriceEdition,
    plan: Plan,
    *,
    call: int,
    attempt: int,
    tier: str,
    upstream_request_id: str | None,
    flags: frozenset[str] = frozenset(),
) -> AttemptOutcome:
    """The outcome of an answered attempt."""
    reason: str | None = None
    rated = None
    usage = NO_USAGE
    if isinstance(reading, Normalised):
        usage = reading.usage
        flags = flags | reading.flags
        try:
            price = prices.of(planned.price_key(prices))
            markup = plan.markup_of(planned.resolved.model.id)
            rated = rate(usage, price, tier=tier, markup=markup, guardrails=prices.guardrails)
        except Unpriced as problem:
            reason = f"unpriced: {problem}"
    else:
        reason = reading.reason
    return AttemptOutcome(
        call=call,
        attempt=attempt,
        end="settled" if rated is not None else "unknown",
        usage=usage,
        rated=rated,
        service_tier=tier,
        upstream_request_id=upstream_request_id,
        raw=reading.raw,
        normaliser_version=reading.version,
        flags=flags,
        quarantined=reason,
    )


def undelivered(outcome: AttemptOutcome) -> AttemptOutcome:
    """The same outcome of an answer that nobody gets: paid by us, never by the customer. Where
    somebody has charged it meanwhile (by a commit that was not heard of, or from the log after a
    sweep), that charge is taken back.
    """
    if outcome.end == "released":
        return outcome
    return dataclasses.replace(outcome, charged=False, flags=outcome.flags | {UNDELIVERED})


def failed(failure: Failure, *, call: int, attempt: int) -> AttemptOutcome:
    """The outcome of an attempt without an answer: nothing billed, or unknown and our waste."""
    return AttemptOutcome(
        call=call,
        attempt=attempt,
        end="unknown" if failure.maybe_billed else "released",
        charged=False,
        upstream_request_id=failure.request_id,
        flags=frozenset({UNDELIVERED}) if failure.maybe_billed else frozenset(),
        error=_named(failure.error_type or str(failure.kind)),
    )


def never_left(*, call: int, attempt: int) -> AttemptOutcome:
    """The outcome of an attempt that a fault of ours ended before its first byte."""
    return AttemptOutcome(
        call=call, attempt=attempt, end="released", charged=False, error="never left"
    )


def unknown(
    *,
    call: int,
    attempt: int,
    charged: bool,
    estimate: Usage,
    upstream_request_id: str | None,
    error: str | None,
) -> AttemptOutcome:
    """The outcome of a stream that ended without usage; `estimate` is what was seen of it."""
    return AttemptOutcome(
        call=call,
        attempt=attempt,
        end="unknown",
        usage=estimate,
        charged=charged,
        upstream_request_id=upstream_request_id,
        error=None if error is None else _named(error),
        flags=frozenset({TRUNCATED if charged else UNDELIVERED}),
    )


def _named(error: str) -> str:
    """Upstream's word for a failure, as a store can take it: it may be rubbish."""
    return (error if error.isprintable() else ascii(error))[:ERROR_CHARS_MAX]
