"""`ports.billing.TenantInvoices`: a tenant's own invoices, each read in a unit of work for it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from tenantry.adapters.postgres.billing_reader import BillingReader
from tenantry.adapters.postgres.unit_of_work import TenantWork
from tenantry.domain.ids import TenantId
from tenantry.domain.period import Span
from tenantry.ports.billing import Reading, Stored


class PostgresTenantInvoices:
    def __init__(self, work: TenantWork) -> None:
        self._work = work

    async def read(
        self, tenant_id: TenantId, period: Span, watermark: datetime, as_of: datetime | None = None
    ) -> Reading:
        async with self._work.reading(tenant_id) as unit:
            return await BillingReader(unit.fetch).read(tenant_id, period, watermark, as_of)

    async def documents(
        self, tenant_id: TenantId, *, before: str | None = None, limit: int = 100
    ) -> list[Mapping[str, Any]]:
        async with self._work.reading(tenant_id) as unit:
            return await BillingReader(unit.fetch).documents(tenant_id, before, limit)

    async def document(self, tenant_id: TenantId, number: str) -> Stored:
        async with self._work.reading(tenant_id) as unit:
            return await BillingReader(unit.fetch).document(tenant_id, number)

    async def next_period(self, tenant_id: TenantId) -> Span:
        async with self._work.reading(tenant_id) as unit:
            return await BillingReader(unit.fetch).next_period(tenant_id)

    async def freed_periods(self, tenant_id: TenantId) -> list[Span]:
        async with self._work.reading(tenant_id) as unit:
            return await BillingReader(unit.fetch).freed_periods(tenant_id)

    async def period_at(self, tenant_id: TenantId, at: datetime) -> Span:
        async with self._work.reading(tenant_id) as unit:
            return await BillingReader(unit.fetch).period_at(tenant_id, at)
