"""Invoices in memory, for tests of the HTTP edge: a final one each, and drafts of two months."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, cast

from tenantry.application.billing import Billing
from tenantry.application.invoicing import composer
from tenantry.domain.agreement import Agreement
from tenantry.domain.contract import ExchangeRate, Terms
from tenantry.domain.errors import NotFound
from tenantry.domain.ids import TenantId
from tenantry.domain.invoice import canonical, sha256
from tenantry.domain.party import Issuer, Party
from tenantry.domain.period import Span, billing_period
from tenantry.domain.tax import NO_TAX
from tenantry.domain.usage_line import UsageLine
from tenantry.ports.billing import InvoiceBook, Issue, Reading, Stored

CHARGE = Decimal("0.0315")
ISSUER = Issuer(Party("Lumen Notes, Inc.", ("500 Howard St", "San Francisco")))
NUMBER = "INV-2026-000007"


class MemoryInvoices:
    """Every tenant used 500 tokens in each period; `acme` alone has a final invoice."""

    def __init__(self) -> None:
        self.agreements: list[Agreement] = []

    async def read(
        self, tenant_id: TenantId, period: Span, watermark: datetime, as_of: datetime | None = None
    ) -> Reading:
        name = tenant_id.removeprefix("tnt_")
        return Reading(
            tenant_id,
            name,
            "UTC",
            1,
            Agreement(Party(name, ("1 Main St",)), version=1),
            NO_TAX,
            (Terms(date(2020, 1, 1), "test", Decimal(0)),),
            ({"plan": "test", "version": 1, "from": "2020-01-01"},),
            (),
            Decimal(0),
            period,
            watermark,
            [UsageLine("amazon.nova-micro-v1:0", "out", 500, CHARGE, Decimal(63))],
            [1],
            [1],
            [],
        )

    async def documents(
        self, tenant_id: TenantId, *, before: str | None = None, limit: int = 100
    ) -> list[Mapping[str, Any]]:
        if tenant_id != "tnt_acme" or before is not None:
            return []
        stored = await self.document(tenant_id, NUMBER)
        amounts = dict.fromkeys(("total", "credit", "due"), Decimal("0.03"))
        return [
            {
                "number": NUMBER,
                "kind": "invoice",
                "status": "final",
                "issued_at": stored.issued_at,
                "due_at": stored.issued_at,
                "period_start": stored.period.start,
                "period_end": stored.period.end,
                "currency": "USD",
                "sha256": stored.sha256,
                "credits_number": None,
                **amounts,
            }
        ]

    async def document(self, tenant_id: TenantId, number: str) -> Stored:
        if (tenant_id, number) != ("tnt_acme", NUMBER):
            raise NotFound("There is no such invoice.")
        at = datetime(2026, 2, 1, 1, tzinfo=UTC)
        period = billing_period(at - timedelta(days=1), "UTC", 1)
        made = composer(ISSUER)(await self.read(tenant_id, period, at), Issue(number, at))
        assert made is not None
        body = canonical(made.document)
        return Stored(
            "inv_1", number, "invoice", "final", at, period, at, body, sha256(made.document),
            "USD", None, None, None, 1,
        )  # fmt: skip

    async def next_period(self, tenant_id: TenantId) -> Span:
        now = datetime.now(UTC)
        return billing_period(billing_period(now, "UTC", 1).start - timedelta(days=1), "UTC", 1)

    async def freed_periods(self, tenant_id: TenantId) -> list[Span]:
        return []

    async def period_at(self, tenant_id: TenantId, at: datetime) -> Span:
        return billing_period(at, "UTC", 1)

    async def owner(self, number: str) -> TenantId:
        if number != NUMBER:
            raise NotFound("There is no such invoice.")
        return TenantId("tnt_acme")


class MemoryContracts:
    def __init__(self) -> None:
        self.agreements: list[Agreement] = []

    async def set_contract(
        self, tenant_id: TenantId, agreement: Agreement, *, made_from: int
    ) -> Agreement:
        self.agreements.append(agreement)
        return agreement

    async def contracts(
        self, tenant_id: TenantId, limit: int = 100, *, after: int | None = None
    ) -> list[Mapping[str, Any]]:
        return [agreement.to_json() for agreement in self.agreements]

    async def add_rate(self, rate: ExchangeRate) -> None:
        return None

    async def grant_credit(self, tenant_id: TenantId, amount: Decimal, note: str) -> Decimal:
        return amount

    async def change_plan(self, tenant_id: TenantId, plan: str, at: datetime | None) -> datetime:
        return at or datetime.now(UTC)


def memory_billing() -> Billing:
    invoices = MemoryInvoices()
    book, contracts = cast(InvoiceBook, invoices), cast(Any, MemoryContracts())
    return Billing(invoices, book, contracts, ISSUER, cast(Any, None))
