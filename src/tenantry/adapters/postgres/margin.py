"""`ports.margin.MarginBooks`: both books over a span, read as tenantry_operator in one snapshot."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from tenantry.adapters.postgres.pooled import Pooled
from tenantry.adapters.postgres.refusals import archived_is_refused
from tenantry.domain import money
from tenantry.domain.audit import CANARY_PREFIX
from tenantry.domain.margin import AUDITS, NO_TAG, PLANS, Books, MarginBy
from tenantry.domain.tenant_months import TenantMonth
from tenantry.domain.usage import TokenClass

# What is counted in tokens; images, queries and text units are not.
TOKEN_CLASSES = [
    TokenClass.UNCACHED_IN.value,
    TokenClass.CACHE_READ.value,
    TokenClass.CACHE_WRITE_5M.value,
    TokenClass.CACHE_WRITE_1H.value,
    TokenClass.OUT.value,
    TokenClass.EMBEDDING.value,
]
REPORT_TIMEOUT_S = 300  # it reads every entry of the span


class PostgresMarginBooks(Pooled):
    def __init__(self, operator_pool: Any) -> None:
        super().__init__(operator_pool, "sql/margin.sql", told=archived_is_refused)

    async def books(
        self, start: datetime, end: datetime, by: MarginBy, tag: str
    ) -> tuple[Sequence[Books], Sequence[Mapping[str, Decimal]]]:
        asked = (start, end, by.value, tag)
        each, names = [], []
        async with self._snapshot() as connection:
            costs = await self._rows(connection, "costs", *asked, TOKEN_CLASSES, CANARY_PREFIX)
            charges = await self._rows(connection, "charges", *asked, CANARY_PREFIX)
            invoiced = await self._rows(connection, "invoiced", start, end)
            if by is MarginBy.TENANT:
                ids = {row["name"] for row in (*costs, *charges)}
                ids |= {row["tenant_id"] for row in invoiced}
                names = await self._rows(connection, "names", list(ids))
            else:
                each = await self._rows(
                    connection, "charges", start, end, MarginBy.TENANT.value, "", CANARY_PREFIX
                )
        # Of 10,000 tenants it takes a second, and whose loop this is may serve tenants.
        return await asyncio.to_thread(_books_of, by, costs, charges, invoiced, each, names)

    async def months(self, start: datetime, end: datetime) -> Sequence[TenantMonth]:
        async with self._snapshot() as connection:
            rows = await self._rows(connection, "months", start, end, CANARY_PREFIX)
        return [
            TenantMonth(
                row["tenant_id"],
                row["tenant"],
                row["month"].date(),
                row["cost"],
                row["charges"],
                row["currency"],
                row["silo"],
            )
            for row in rows
        ]

    def _snapshot(self) -> AbstractAsyncContextManager[Any]:
        return self._transaction(isolation="repeatable_read", readonly=True)

    async def _rows(self, connection: Any, name: str, *values: object) -> list[Any]:
        rows: list[Any] = await connection.fetch(self._sql[name], *values, timeout=REPORT_TIMEOUT_S)
        return rows


def _books_of(
    by: MarginBy,
    rows: Sequence[Any],
    charges: Sequence[Any],
    invoiced: Sequence[Any],
    each: Sequence[Any],
    named: Sequence[Any],
) -> tuple[Sequence[Books], Sequence[Mapping[str, Decimal]]]:
    """`each`: charges by tenant, where groups are no tenants; `named`: tenants, where they are."""
    audits = [row for row in rows if row["is_audit"]]
    costs = [row for row in rows if not row["is_audit"]]
    found = tenants = _folded(costs, charges)
    _add_invoiced(found, invoiced, by)
    if by is not MarginBy.TENANT:
        tenants = _folded([], each)
        _add_invoiced(tenants, invoiced, MarginBy.TENANT)
    names = {"": NO_TAG} | {row["tenant_id"]: row["name"] for row in named}
    books = [replace(group, name=names.get(key, key)) for key, group in found.items()]
    books += [replace(group, name=AUDITS, is_audit=True) for group in _folded(audits, []).values()]
    return books, [tenants[key].earned for key in sorted(tenants)]


def _add_invoiced(found: dict[str, Books], rows: Sequence[Any], by: MarginBy) -> None:
    """To its tenant; of all together in a group of its own where groups are no tenants."""
    for row in rows:
        key = row["tenant_id"] if by is MarginBy.TENANT else PLANS
        known = found.get(key, Books(key))
        amount = money.total((known.invoiced.get(row["currency"], money.ZERO), row["amount"]))
        found[key] = replace(known, invoiced={**known.invoiced, row["currency"]: amount})


def _folded(costs: Sequence[Any], charges: Sequence[Any]) -> dict[str, Books]:
    found = {
        row["name"]: Books(
            row["name"],
            cost=row["cost"] or money.ZERO,
            retries=row["retries"] or money.ZERO,
            abandoned=row["abandoned"] or money.ZERO,
            requests=row["requests"],
            tokens=row["tokens"],
        )
        for row in costs
    }
    for row in charges:
        known = found.get(row["name"], Books(row["name"]))
        by_currency = {**known.charges, row["currency"]: row["charge"]}
        found[row["name"]] = replace(known, charges=by_currency)
    return found
