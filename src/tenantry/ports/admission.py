"""Admit, begin, settle: the durable decisions around every call.

Why they are so: docs/explanation/how-money-is-kept.md. Owns: the words that cross. An
implementation commits each decision before it returns, decides limits and budgets of all scopes
atomically and in one place for all workers, and fails closed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Literal, Protocol
from uuid import UUID

from tenantry.domain.ids import ApiKeyId, TenantId
from tenantry.domain.rating import Rated
from tenantry.domain.record import record
from tenantry.domain.usage import NO_USAGE, Usage


@record
class Intent:
    """One attempt of one call, committed before its first byte goes upstream.

    The log's record finds it by `requestMetadata` tid, rid and att (`<call>:<attempt>`).
    `pinned` holds what a true-up needs and the log does not say: service tier asked for, which
    cache write classes the request can cause, family.
    """

    call: int  # 0, 1, … within the request
    attempt: int  # 1, 2, … within the call
    operation: str  # Converse, ConverseStream, InvokeModel, …
    model: str  # catalogue id
    price_key: str
    account: str
    region: str
    deadline_ms: int  # from its commit; past it the sweeper makes it unknown
    pinned: Mapping[str, object] = field(default_factory=dict)


@record
class Reservation:
    """What a request asks for, over the bound of all the calls it may make."""

    request_id: UUID
    tenant_id: TenantId
    api_key_id: ApiKeyId
    plan: str  # with its version, what a true-up goes by wherever the tenant is by then
    plan_version: int
    price_version: int
    worst_tokens: int
    worst_cost: Decimal  # provider's, USD
    worst_charge: Decimal  # customer's, by list, USD
    first: Intent  # call 0, attempt 1; admitted directly as `dispatched`
    user_hash: str | None = None
    run_id: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    counts_as_request: bool = True  # against requests a day
    paced_by_minute: bool = True  # False for uploads: no minute limits


RefusalCode = Literal[
    "requests_per_day",
    "requests_per_minute",
    "tokens_per_minute",
    "concurrent_requests",
    "budget",
    "tenant_suspended",
    "tenant_unknown",
    "key_revoked",
    "key_expired",
    "larger_than_limit",
    "stale_plan",
    "stale_price",
    "duplicate",
]


@record
class Admitted:
    """Committed. `at` is the database's clock: price, period and day are of this instant."""

    at: datetime
    period_start: datetime
    remaining: Mapping[str, Decimal | int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RefusingBudget:
    """A budget as it was when it refused. `limit` and what was `left` of it, never below 0, are in
    `unit`: the contract's currency, or USD where its basis is the provider's cost. `rate`: what
    1 USD is in that unit, in the budget's period.
    """

    limit: Decimal
    left: Decimal
    unit: str
    rate: Decimal


@dataclass(frozen=True, slots=True)
class Refused:
    """Nothing was written. `limit` names the limit (and its scope) that refused.

    `stale_plan` and `stale_price` mean: reload and ask again; they are never shown to a caller.
    With the code `budget` alone, of the budget that `limit` names (`<subject> <period> <basis>`):
    `budget_left`, what it had left before this reservation, never below 0, in USD of its basis, to
    be held against what is reserved; and `budget` in the currency of its owner, to be told. None:
    no rate is known for that currency, so that the limit leaves nothing.
    """

    code: RefusalCode
    limit: str = ""
    retry_after_ms: int | None = None
    resets_at: datetime | None = None
    budget_left: Decimal | None = None
    budget: RefusingBudget | None = None


# A flag of an outcome whose caller was told 503: with `charged` False it also takes a charge back
# that an earlier delivery, whose commit nobody knew of, did post.
UNDELIVERED = "undelivered"

AttemptEnd = Literal["settled", "released", "unknown"]


@record
class AttemptOutcome:
    """How one attempt ended, with what it cost us. `charge` is on at most one attempt of a call.

    `settled` posts usage, cost and charge (`rated.charge`, where `charged`); `released` is a
    zero-cost row (throttled, refused, never sent); `unknown` posts nothing yet and keeps the
    hold. `quarantined` says why usage could not be trusted: the attempt stays unknown, holds
    its budget at the dearest class and blocks finalising.
    """

    call: int
    attempt: int
    end: AttemptEnd
    usage: Usage = NO_USAGE
    rated: Rated | None = None
    charged: bool = True  # False: our waste (a retry that was billed too, an abandoned attempt)
    service_tier: str = "default"
    upstream_request_id: str | None = None
    raw: Mapping[str, object] = field(default_factory=dict)  # numeric members, ≤ 2 KB
    normaliser_version: int = 0
    flags: frozenset[str] = frozenset()  # estimated, overdraft, truncated, late, trued_up …
    quarantined: str | None = None
    error: str | None = None  # upstream's exception name


@record
class Settlement:
    """Outcomes of attempts of one request. `final` ends the request and frees what it still holds.

    Delivered any number of times, it posts once. After a release or write-off it becomes a
    linked adjustment; `undelivered` after a charge, a linked reversal of that charge.
    """

    request_id: UUID
    tenant_id: TenantId
    outcomes: Sequence[AttemptOutcome]
    final: bool


@record
class Settled:
    at: datetime
    posted: bool  # False: it had been posted before


class AdmissionPort(Protocol):
    """All methods raise `domain.errors.Unavailable` where the ledger is out of reach."""

    async def admit(self, reservation: Reservation) -> Admitted | Refused: ...

    async def begin(self, tenant_id: TenantId, request_id: UUID, intent: Intent) -> None:
        """Commits the intent of a later call or attempt under the request's reservation."""
        ...

    async def settle(self, settlement: Settlement) -> Settled: ...
