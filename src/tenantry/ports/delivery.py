"""Delivery of notices: what is on its way to whom, and what a sink is.

Owns: the words. At least once: a sink may get the same notice again, always under the same id.
Order is not promised.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final, Protocol
from uuid import UUID

from tenantry.domain.ids import TenantId
from tenantry.ports.outbox import Notice

# What they hear of moves money: it is tried until they have it, or until an operator's word.
OWED_FOR_EVER: Final = frozenset({"stripe"})
LATE_AFTER: Final = timedelta(days=1)  # then operators are told of what these do not have


@dataclass(frozen=True, slots=True)
class Route:
    """Which notices a sink hears of: kinds that match `kinds`, a regular expression; with
    `linked`, only those of tenants that are customers at Stripe.
    """

    sink: str
    kinds: str
    linked: bool = False


@dataclass(frozen=True, slots=True)
class Due:
    """A sink with something to deliver, and whose it is: of a tenant's own sink that tenant, of the
    operator's one of those that the notices are about.
    """

    sink: str
    tenant_id: TenantId


@dataclass(frozen=True, slots=True)
class OwnInvoice:
    """The document that a notice of an invoice is about, as the books have it."""

    invoice_id: str
    sha256: str  # of the document, hex
    currency: str
    due: Decimal
    issued_at: datetime


@dataclass(frozen=True, slots=True)
class Delivery:
    """One notice leased to one worker for one sink. `attempts` counts this one."""

    tenant_id: TenantId
    notice_id: UUID
    sink: str
    kind: str
    body: Mapping[str, Any]
    created_at: datetime  # of the notice
    attempts: int
    since: datetime
    lease: UUID
    leased_at: datetime
    customer_id: str | None = None  # at Stripe
    waits: bool = False  # a void, while its invoice is still on the way to this sink
    heard_of: bool = False  # a void, of an invoice that this sink was to have
    superseded: bool = False  # an invoice that has been voided since
    pushed: bool = False  # a void, of an invoice that this sink certainly has
    # Those at Stripe that earlier attempts pushed the invoice to; none: it is not known.
    customers: tuple[str, ...] = ()
    invoice: OwnInvoice | None = None  # Stripe's alone, of an invoice or its void


class DeliveryFailed(Exception):
    """The sink did not take the notice. `final`: no repetition can help. `answered`: the sink was
    there and told all that it knows, so that waiting for it begins no more anew. The message is
    kept and shown to operators: no secret, no body of an answer.
    """

    def __init__(self, message: str, *, final: bool = False, answered: bool = False) -> None:
        # No NUL and no half of a surrogate pair: neither a log nor PostgreSQL takes them.
        self.message = message.replace("\x00", "").encode("utf-8", "replace").decode("utf-8")
        super().__init__(self.message)
        self.final = final
        self.answered = answered


class Sink(Protocol):
    async def deliver(self, delivery: Delivery) -> None:
        """Returns when the sink has the notice; raises `DeliveryFailed`. Bounded in time."""
        ...


@dataclass(frozen=True, slots=True)
class Listed:
    """A notice and one of its deliveries. `state`: pending, delivered, dead, new, no sink.
    `tenant_name`: none where the notice is the platform's own."""

    notice_id: UUID
    tenant_id: TenantId
    tenant_name: str | None
    kind: str
    created_at: datetime
    sink: str | None
    state: str
    attempts: int
    next_at: datetime | None
    last_error: str | None


@dataclass(frozen=True, slots=True)
class Owed:
    """A delivery that its sink does not have, and that nobody dismissed. `state`: pending, dead."""

    notice_id: UUID
    tenant_id: TenantId
    kind: str
    number: str | None  # of the invoice or credit note
    created_at: datetime
    state: str
    attempts: int
    next_at: datetime | None
    last_error: str | None


@dataclass(frozen=True, slots=True)
class Overdue:
    """What sinks should have had by an instant: `pending` is still tried, `dead` is a person's."""

    pending: int
    dead: int
    oldest_at: datetime | None
    numbers: Sequence[str]  # of the oldest few invoices and credit notes


@dataclass(frozen=True, slots=True)
class StripeLink:
    tenant_id: TenantId
    name: str
    customer_id: str
    linked_at: datetime


class Deliveries(Protocol):
    """The state of every delivery. Instants are the caller's clock; all raise `Unavailable`."""

    async def route(
        self, routes: Sequence[Route], tenants_hear: str, now: datetime, limit: int
    ) -> int:
        """Chooses the sinks of up to `limit` new notices; returns how many were new. Kinds that
        match `tenants_hear` also go to the tenant's own endpoints.
        """
        ...

    async def due(self, now: datetime, limit: int) -> list[Due]:
        """Sinks with something to deliver, the longest waiting first."""
        ...

    async def claim(
        self, sink: str, now: datetime, until: datetime, limit: int
    ) -> list[Delivery]: ...

    async def delivered(self, delivery: Delivery, now: datetime) -> bool:
        """False: the lease had passed to another attempt, which will end it."""
        ...

    async def postpone(
        self, delivery: Delivery, next_at: datetime, error: str, since: datetime | None = None
    ) -> bool:
        """`since`: from there on it counts as tried; none: as before."""
        ...

    async def bury(self, delivery: Delivery, now: datetime, error: str) -> bool:
        """Ends it as dead: nobody tries again unasked."""
        ...

    async def overdue(self, sinks: Sequence[str], before: datetime) -> Overdue:
        """What those sinks do not have of notices older than that, unless it was dismissed."""
        ...

    async def report(self, notice: Notice) -> UUID | None:
        """Puts a notice into the outbox; returns its id. None: it was there before."""
        ...

    async def purge(self, before: datetime, limit: int, keep_dead: Sequence[str] = ()) -> int:
        """Deletes up to `limit` notices older than that and owed to nobody, with their
        deliveries; returns how many. At the sinks `keep_dead` what is dead is owed until somebody
        dismisses it."""
        ...


class NoticeDesk(Protocol):
    """What an operator sees and does."""

    async def listed(
        self, state: str | None, limit: int, notice_id: UUID | None = None
    ) -> list[Listed]:
        """The newest first, of one notice or of all."""
        ...

    async def retry(self, notice_id: UUID, sink: str | None, now: datetime) -> int:
        """Begins dead deliveries anew, after an attempt that may still run; returns how many."""
        ...

    async def dismiss(self, notice_id: UUID, sink: str | None) -> int:
        """Leaves dead deliveries to a person, at a sink that is named those that are still tried
        too, but for an attempt that runs; returns how many are left so. Idempotent.
        """
        ...

    async def send(self, notice_id: UUID, sink: str, now: datetime) -> bool:
        """To a sink that it was not routed to, or where it is dead. False: nothing to do."""
        ...

    async def report(self, notice: Notice) -> UUID | None:
        """As `Deliveries.report`."""
        ...

    async def owed(self, sink: str, limit: int) -> list[Owed]:
        """What a sink does not have, the oldest first."""
        ...

    async def overdue(self, sinks: Sequence[str], before: datetime) -> Overdue:
        """As `Deliveries.overdue`."""
        ...

    async def counts(self) -> Mapping[str, int]:
        """How many deliveries are `dead` and `pending`; without those that were dismissed, and
        without those of tests."""
        ...

    async def link_stripe(self, tenant_id: TenantId, customer_id: str) -> None: ...

    async def unlink_stripe(self, tenant_id: TenantId) -> bool: ...

    async def stripe_links(self) -> list[StripeLink]: ...
