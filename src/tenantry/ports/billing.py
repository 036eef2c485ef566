"""What invoices are made from, and the life of one: draft, final, void, credited.

Owns: the words. Composing a document is the caller's, a pure function that the implementation asks
in the middle of its transaction, when number and instant of issue are known; whatever it raises
rolls everything back.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final, Literal, Protocol
from uuid import UUID

from tenantry.domain.agreement import Agreement
from tenantry.domain.contract import ExchangeRate, Terms
from tenantry.domain.credit_note import Credited
from tenantry.domain.ids import TenantId
from tenantry.domain.late_usage import EarlierPeriod
from tenantry.domain.period import Span
from tenantry.domain.postings import Transfer
from tenantry.domain.tax import TaxRate
from tenantry.domain.usage_line import UsageLine

Outcome = Literal["final", "review", "nothing", "trouble"]
# What is told of an entry of the prepaid credit.
CREDIT_FIELDS: Final = ("posted_at", "kind", "number", "amount", "currency", "note")


@dataclass(frozen=True, slots=True)
class Reading:
    """All that a document of one period is a function of. `price_versions` are those by which usage
    stands, `posted_versions` also those of what was taken back from a price that has a line."""

    tenant_id: TenantId
    tenant_name: str
    zone: str
    anchor_day: int
    agreement: Agreement | None  # None: no contract was entered
    tax: TaxRate  # of the period, which need not be that of the agreement's last version
    terms: tuple[Terms, ...]
    plan_versions: tuple[Mapping[str, Any], ...]  # plan, version, from: those of the period
    rates: tuple[ExchangeRate, ...]
    prepaid: Decimal
    period: Span
    watermark: datetime
    usage: Sequence[UsageLine]  # list charges, in USD
    price_versions: Sequence[int]
    posted_versions: Sequence[int]
    earlier: Sequence[EarlierPeriod]


@dataclass(frozen=True, slots=True)
class Issue:
    """What only finalising knows."""

    number: str
    issued_at: datetime


@dataclass(frozen=True, slots=True)
class Composed:
    """A document to be made final, with what it takes from the ledger and posts."""

    document: Mapping[str, Any]
    content_sha256: str
    transfers: Sequence[Transfer]
    total: Decimal
    credit: Decimal
    due: Decimal
    due_at: datetime
    contract_version: int


Compose = Callable[[Reading, Issue], Composed | None]  # None: nothing was used, nothing is owed


@dataclass(frozen=True, slots=True)
class Finalised:
    """`number` None: the period was closed without an invoice."""

    number: str | None
    document: Mapping[str, Any]
    sha256: str


@dataclass(frozen=True, slots=True)
class Stored:
    """A document that is final: `status` says whether it is void by now, the bytes never change."""

    invoice_id: str
    number: str
    kind: str
    status: str
    issued_at: datetime
    period: Span
    watermark: datetime
    document: bytes
    sha256: str
    currency: str
    voided_at: datetime | None
    void_reason: str | None
    credits_number: str | None
    contract_version: int


@dataclass(frozen=True, slots=True)
class StoredDraft:
    content_sha256: str
    document: bytes
    stored_at: datetime


@dataclass(frozen=True, slots=True)
class DuePeriod:
    tenant_id: TenantId
    period: Span
    outcome: Outcome | None  # of the last try


class TenantInvoices(Protocol):
    """What one tenant sees of its own invoices; another tenant's are not there."""

    async def read(
        self, tenant_id: TenantId, period: Span, watermark: datetime, as_of: datetime | None = None
    ) -> Reading:
        """`as_of`: with the contract, the rates and the invoices of then; None: of now."""
        ...

    async def documents(
        self, tenant_id: TenantId, *, before: str | None = None, limit: int = 100
    ) -> list[Mapping[str, Any]]:
        """Heads of final and void documents, newest first."""
        ...

    async def document(self, tenant_id: TenantId, number: str) -> Stored:
        """Raises `NotFound`, also for another tenant's."""
        ...

    async def next_period(self, tenant_id: TenantId) -> Span:
        """The oldest period that was never closed."""
        ...

    async def freed_periods(self, tenant_id: TenantId) -> list[Span]:
        """Periods that were closed, whose invoice is void and has no successor; oldest first."""
        ...

    async def period_at(self, tenant_id: TenantId, at: datetime) -> Span:
        """The billing period of an instant as the database's time zones divide it. Raises
        `OverflowError` at the calendar's ends."""
        ...


class InvoiceBook(TenantInvoices, Protocol):
    """The operator's side. Everything it writes is written once, however often it is tried."""

    async def close_ledger(self, tenant_id: TenantId, period: Span) -> datetime:
        """The watermark up to which a period's ledger is complete. Raises `Conflict` while it can
        still grow: not over, or requests open or in doubt, which are named."""
        ...

    async def finalise(
        self,
        tenant_id: TenantId,
        period: Span,
        compose: Compose,
        make_id: Callable[[datetime], str],
    ) -> Finalised:
        """Raises `Conflict`: not over, requests open or in doubt, an earlier period not closed,
        final already, priced in part on other invoices, or numbers were given that the database
        does not know."""
        ...

    async def issue_credit_note(
        self,
        tenant_id: TenantId,
        of: Stored,
        compose: Callable[[Credited, Issue], Composed],
        make_id: Callable[[datetime], str],
    ) -> Finalised: ...

    async def void(self, tenant_id: TenantId, number: str, reason: str) -> bool:
        """False: it was void before. Raises `NotFound`; `Conflict` where it has credit notes, or
        where later invoices price usage as what comes after that of this one."""
        ...

    async def store_draft(
        self, tenant_id: TenantId, period: Span, document: Mapping[str, Any], sha256: str
    ) -> None: ...

    async def draft(self, tenant_id: TenantId, period: Span) -> StoredDraft | None: ...

    async def owner(self, number: str) -> TenantId:
        """Whose document a number is. Raises `NotFound`."""
        ...

    async def due(
        self,
        after: str,
        limit: int,
        *,
        tried_before: datetime,
        grace_s: int,
        again_in_review: bool,
    ) -> list[DuePeriod]:
        """Tenants after an id whose next period has ended and was not tried since."""
        ...

    async def record_run(self, due: DuePeriod, outcome: Outcome, detail: str) -> None: ...

    async def check_numbers(self) -> None:
        """Raises `Conflict` where numbers were given that the database does not know."""
        ...

    async def tell_freed(self, told_before: datetime) -> int:
        """Records a trouble for each period that a void freed and that is not closed again; returns
        of how many. What was told since an instant is not told again."""
        ...

    async def runs(
        self,
        tenant_id: TenantId | None,
        outcome: Outcome | None,
        limit: int,
        *,
        after: tuple[datetime, str] | None = None,
        since: date | None = None,
    ) -> list[Mapping[str, Any]]:
        """Latest period first; `after`: `period_start` and `tenant_id` of a row; `since`: the
        civil day, in the tenant's zone, on which a period begins at the earliest."""
        ...

    async def now(self) -> datetime:
        """By the database's clock."""
        ...


class Contracts(Protocol):
    """Entering contracts, changes of plan, exchange rates and credit: added, never edited."""

    async def set_contract(
        self, tenant_id: TenantId, agreement: Agreement, *, made_from: int
    ) -> Agreement | None:
        """The next version, or the present one where nothing changed. `made_from`: the version that
        was read, 0 where there was none; None: that is no longer the present one. Raises `Conflict`
        where the currency would change after an invoice, or while credit is left, and for an end
        that is not after the start of the first terms, or within what is invoiced."""
        ...

    async def contracts(
        self, tenant_id: TenantId, limit: int = 100, *, after: int | None = None
    ) -> list[Mapping[str, Any]]:
        """Versions, newest first, each with the taxes that held by it; `after`: a version."""
        ...

    async def change_plan(self, tenant_id: TenantId, plan: str, at: datetime | None) -> datetime:
        """From an instant on, None: from now. Returns the instant. Raises `NotFound`,
        `BadRequest`."""
        ...

    async def plan_changes(
        self,
        tenant_id: TenantId,
        limit: int = 100,
        *,
        after: tuple[datetime, datetime] | None = None,
    ) -> list[Mapping[str, Any]]:
        """Latest first; `after`: `effective_at` and `entered_at` of a row."""
        ...

    async def apply_plan_changes(self, limit: int) -> int:
        """Applies what is due; returns how many entries."""
        ...

    async def grant_credit(self, tenant_id: TenantId, amount: Decimal, note: str) -> Decimal:
        """Returns what is left then. A negative amount takes back what is not used yet."""
        ...

    async def credits(
        self,
        tenant_id: TenantId,
        limit: int = 100,
        *,
        after: tuple[datetime, UUID, int] | None = None,
    ) -> list[Mapping[str, Any]]:
        """Entries, newest first; `after`: `posted_at`, `posting_id` and `line` of a row."""
        ...

    async def credit_left(self, tenant_id: TenantId) -> Mapping[str, Decimal]:
        """What is left by currency, of all entries."""
        ...

    async def add_rate(self, rate: ExchangeRate) -> None:
        """Ends when the balances of all tenants are held at it; may be asked again, as after a
        crash in between. Raises `Conflict` where that day has another."""
        ...

    async def convert_budgets(self) -> int:
        """Brings balances to the rates that are known, some tenants at a time, each some in a
        commit of their own. Returns of how many tenants any was held at another."""
        ...

    async def rates_entered(self) -> tuple[datetime | None, datetime]:
        """When the newest rate was entered, if any was, and what time it is, by the database."""
        ...

    async def rates(
        self, limit: int = 100, *, after: tuple[str, str, date] | None = None
    ) -> list[ExchangeRate]:
        """By currency, the newest day first; `after`: `quote`, `base` and `day` of a rate."""
        ...
