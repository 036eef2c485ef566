"""Reading the ledger, and the true-ups that the worker posts.

Owns: the words. A tenant reads the customer's book only, through a unit of work of its own;
provider cost is the operator's.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Literal, Protocol
from uuid import UUID

from tenantry.domain.ids import TenantId
from tenantry.domain.markup import Markup
from tenantry.domain.period import Span
from tenantry.domain.reconciliation import Booked
from tenantry.domain.tenant import Principal
from tenantry.ports.admission import AttemptOutcome

AttemptKey = tuple[str, UUID, int, int]  # tenant, request, call, attempt
GroupBy = Literal["model", "day", "hour", "key", "user", "tag", "run"]


@dataclass(frozen=True, slots=True)
class UsageRow:
    """Usage of one group over [start, end): token counts by class, requests, list charge."""

    group: Mapping[str, str]
    requests: int
    tokens: Mapping[str, int]
    charge: Decimal
    currency: str


@dataclass(frozen=True, slots=True)
class OpenAttempt:
    """An attempt that has no usage yet: `dispatched` past its deadline, or `unknown`."""

    tenant_id: TenantId
    request_id: UUID
    call: int
    attempt: int
    operation: str
    model: str
    price_key: str
    price_version: int
    markup: Markup  # of its model, by the plan it was admitted under
    admitted_at: datetime
    pinned: Mapping[str, Any]
    charged: bool  # whether its true-up is the customer's: no other attempt of its call was
    quarantined: str | None = None  # why its usage could not be trusted
    account: str = ""  # whose invocation log may name it,
    region: str = ""  # which is one for each region
    estimate: Mapping[str, int] = field(default_factory=dict)  # by token class: what was seen
    plan: str = ""
    plan_version: int = 0


@dataclass(frozen=True, slots=True)
class ProviderUsage:
    """What an attempt used by the provider's book: quantities by token class."""

    request_id: UUID
    call: int
    attempt: int
    quantities: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Violation:
    """An invariant that does not hold; `detail` names the rows."""

    invariant: str
    detail: str


@dataclass(frozen=True, slots=True)
class LogLocation:
    """Where an account's invocation log of a region is delivered: `s3://bucket/prefix`, in it."""

    account: str
    region: str
    url: str


class TenantLedger(Protocol):
    """What one tenant sees of itself. Built for one principal; there is no other way in."""

    async def usage(
        self,
        principal: Principal,
        start: datetime,
        end: datetime,
        group_by: Sequence[GroupBy],
        *,
        user_hash: str | None = None,
        run_id: str | None = None,
        after: Sequence[str] | None = None,
        limit: int | None = None,
    ) -> list[UsageRow]:
        """By group, in order of the groups' values; of one user or run alone where they are named.
        At most `limit` groups behind the one whose values, in the order of `group_by`, and currency
        are in `after`. Raises `BadRequest` where no group could have such values.
        """
        ...

    async def period(self, principal: Principal) -> Span:
        """The running billing period, by the database's clock and time zones."""
        ...

    async def limits(
        self, principal: Principal, *, user_hash: str | None = None, run_id: str | None = None
    ) -> list[Mapping[str, Any]]:
        """Each limit of plan and budgets: name, limit, used, remaining, resets_at. The budgets are
        those that a request of this API key, user and run counts against; an admin's are all.
        """
        ...


class LedgerKeeper(Protocol):
    """The worker's and the operator's side."""

    async def sweep(self) -> int:
        """Ends dead workers' and overdue attempts: reserved → released, dispatched → unknown.

        Returns how many were moved.
        """
        ...

    async def open_attempts(self, limit: int) -> list[OpenAttempt]: ...

    async def find_open(self, keys: Sequence[AttemptKey]) -> list[OpenAttempt]:
        """Those of them that still want a true-up."""
        ...

    async def under_way(self, keys: Sequence[AttemptKey]) -> list[AttemptKey]:
        """Those of them that a worker has, or had until it died: they may
        yet end by themselves, or come to want a true-up.
        """
        ...

    async def true_up(self, attempt: OpenAttempt, outcome: AttemptOutcome) -> bool:
        """Posts an outcome from the log for an unknown attempt. False: it had ended before."""
        ...

    async def write_off(self, older_than: datetime) -> int:
        """Ends unknown attempts that began before an instant as our waste, where their account's
        log was read over their hold (`ports.log_reading`) and they are of no batch job that has
        not ended; returns how many.
        """
        ...

    async def give_up(self, older_than: datetime, account: str | None = None) -> int:
        """The same by an operator's word, of one account or of all: whatever was read, and of
        batch jobs that have not ended, too. That a log was there is forgotten with it.
        """
        ...

    async def provider_usage(self) -> list[ProviderUsage]:
        """Every attempt in the provider's book that has quantities; for small deployments."""
        ...

    async def violations(self, hold: timedelta) -> list[Violation]:
        """`reconcile --invariants`: empty where all hold. `hold`: how long an attempt may be
        unknown; a batch job's records may for as long as it runs, too."""
        ...


class ProviderBook(Protocol):
    """The provider's side of the ledger, across tenants, in one snapshot."""

    def booked(self, start: datetime, end: datetime) -> AsyncIterator[Sequence[Booked]]:
        """Every attempt that was admitted in [start, end), ended or open, in batches, in ascending
        order of `Booked.key`.
        """
        ...

    async def archived_through(self) -> datetime | None:
        """The instant before which all is archived, and has no rows any more; None: nothing is."""
        ...

    async def inference_profiles(self) -> Mapping[str, str]:
        """The model of each application inference profile, by ARN, of all placements."""
        ...
