"""What a run leaves behind for the auditor: who asked what, what was chosen, what was told.

Plain data without a word of tenantry's, so that nothing of it can be wrong in the same way twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from fractions import Fraction
from typing import Any

Prices = Mapping[tuple[str, str, int, str], str]
AttemptId = tuple[str, int, int]  # request id, call, attempt


@dataclass(frozen=True)
class TenantFacts:
    id: str
    name: str
    zone: str
    anchor_day: int
    currency: str
    account: str
    plan: str
    keys: tuple[str, ...]  # ids
    users: Mapping[str, str]  # name → hash


@dataclass(frozen=True)
class EditionFacts:
    """In force from `effective_from` on, once imported: begun after `after`, committed by `by`."""

    version: int
    effective_from: datetime
    after: datetime
    by: datetime
    prices: Prices


@dataclass(frozen=True)
class PlanFacts:
    name: str
    version: int
    table: Mapping[str, Any]  # as it was applied
    after: datetime
    by: datetime


@dataclass
class Sending:
    """One request as its client sent it, and what it was told; None: its worker died first."""

    number: int  # of its call
    request_id: str
    tenant: TenantFacts
    api_key: str
    model: str
    embeds: bool
    tier: str
    writes: str
    fault: str | None
    user: str | None
    run: str | None
    tags: Mapping[str, str]
    repeated: bool  # under an idempotency key
    sent_at: datetime
    told: str | None = None
    code: str | None = None
    charge: str | None = None
    answered_by: str | None = None
    replayed: bool = False
    worker_died: bool = False  # before its end was known, or after it

    @property
    def unreadable(self) -> bool:
        """A stream that nobody can read to its end is no answer, whatever its last frame says."""
        return self.fault in ("rubbish html", "rubbish truncated_json")


@dataclass(frozen=True)
class Peak:
    """The most that a hard budget was ever seen to have settled and reserved, and its limit."""

    tenant: str
    subject: str
    period: str
    basis: str
    amount: Fraction
    limit: Fraction


@dataclass
class Facts:
    seed: int
    tenants: list[TenantFacts] = field(default_factory=list)
    editions: list[EditionFacts] = field(default_factory=list)
    plans: list[PlanFacts] = field(default_factory=list)
    sendings: list[Sending] = field(default_factory=list)
    reserved: dict[str, tuple[Fraction, Fraction]] = field(default_factory=dict)  # cost, charge
    peaks: dict[tuple[Any, ...], Peak] = field(default_factory=dict)
    billed: list[dict[str, Any]] = field(default_factory=list)  # the emulator's bill
    logged: list[dict[str, Any]] = field(default_factory=list)  # its invocation log
    late: set[AttemptId] = field(default_factory=set)  # whose record came after the write-off
    outages: bool = False  # PostgreSQL was restarted
    ended_at: datetime | None = None
