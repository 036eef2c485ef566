"""The tenants of a soak: what each is there for, and what it knows of itself."""

from __future__ import annotations

import re
import secrets
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final, Literal

from tests.support.stack import Stack, Tenant

from tenantry.adapters.postgres.control import PostgresControl
from tenantry.domain.budget import Period
from tenantry.ports.control import NewKey

if TYPE_CHECKING:
    from benchmarks.soak.library import Library

_CANARY: Final = re.compile(rb"cnry[0-9a-f]{12}")
LIMITED: Final = frozenset({"rate_limited", "concurrency_limited", "quota_exceeded"})
SPENT: Final = frozenset({"budget_exceeded", "larger_than_limit"})


@dataclass(frozen=True, slots=True)
class Role:
    """What kind of tenant. `refusals`: what it must expect of its own plan, at any time.
    `clients`: how many ask for it at once; `keeps_documents`: whether they upload."""

    name: str
    plan: Mapping[str, Any] = field(default_factory=dict)
    refusals: frozenset[str] = frozenset()
    placement: Literal["pool", "silo"] = "pool"
    clients: int = 1
    keeps_documents: bool = True


FREE: Final = Role("free")
ROLES: Final[Sequence[Role]] = (
    FREE,
    Role("busy", {"markup_by_class": {"out": "5"}}, clients=2),
    Role("walled", placement="silo"),
    Role("walled too", placement="silo", clients=2),
    Role("prefaced", {"preamble": "You serve a tenant."}),
    Role("cached", {"answer_cache_ttl_s": 600}),
    Role("clamped", {"clamp_output": True, "monthly_budget": "0.05"}, SPENT),
    Role("thrifty", {"monthly_budget": "0.004"}, SPENT, keeps_documents=False),
    Role("soft", {"monthly_budget": "0.002", "budget_hard": False}),
    Role("hurried", {"requests_per_minute": 20}, LIMITED, keeps_documents=False),
    Role("wordy", {"tokens_per_minute": 6_000}, LIMITED | SPENT, keeps_documents=False),
    Role("counted", {"requests_per_day": 300}, LIMITED, keeps_documents=False),
    Role("narrow", {"concurrent_requests": 1}, LIMITED, clients=3, keeps_documents=False),
    Role("leaving"),
)


@dataclass(frozen=True, slots=True)
class Cap:
    """A hard budget in charge, as it stands since an instant of the database's clock."""

    limit: Decimal
    since: datetime


class Member:
    """A tenant with the key that its clients use now, and a word that nobody else may see."""

    def __init__(self, role: Role, tenant: Tenant) -> None:
        self.role = role
        self.tenant = tenant
        self.canary = f"cnry{secrets.token_hex(6)}"
        self.key: NewKey = tenant.key
        self.has_left = False  # shredded: nobody asks for it any more
        self.plan: dict[str, Any] = {"markup": "3", "placement": role.placement, **role.plan}
        self.caps: dict[Period, Cap] = {}  # hard ones of the whole tenant
        self._note_plan(datetime.min.replace(tzinfo=UTC))
        # What its clients were told that requests were charged, by request id.
        self.told: dict[str, Decimal] = {}
        self.libraries: list[Library] = []  # of its clients
        self.lock = threading.Lock()

    @property
    def id(self) -> str:
        return self.tenant.id

    @property
    def name(self) -> str:
        return self.tenant.name

    def documents(self) -> list[str]:
        """Ids of what is there for certain, as it is seen at this moment."""
        return [each for library in self.libraries for each in list(library.shelf.there)]

    def was_charged(self, request_id: str, charge: str) -> None:
        """`charge`: `0.0315 USD`, as answers say it."""
        with self.lock:
            self.told[request_id] = Decimal(charge.split()[0])

    def foreign_words(self, text: bytes) -> set[str]:
        """Other tenants' canaries within the text."""
        return {found.decode() for found in _CANARY.findall(text)} - {self.canary}

    def apply_plan(self, stack: Stack, **changed: Any) -> None:
        self.plan = {**self.plan, **changed}

        async def apply(control: PostgresControl) -> datetime:
            await control.apply_plans({f"plan-of-{self.name}": self.plan})
            return await control.now()

        self._note_plan(stack.control(apply))

    def _note_plan(self, since: datetime) -> None:
        limit = self.plan.get("monthly_budget") if self.plan.get("budget_hard", True) else None
        if limit is not None:
            self.caps["month"] = Cap(Decimal(limit), since)


def join(stack: Stack, role: Role) -> Member:
    return Member(role, stack.tenant(dict(role.plan), placement=role.placement))
