"""`ports.billing.Contracts`: entries that are added, as tenantry_control."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from tenantry.adapters.postgres.billing_reader import (
    EVER,
    to_agreement,
    to_rate,
    to_tax_step,
    to_terms,
)
from tenantry.adapters.postgres.contract_rates import check_rate
from tenantry.adapters.postgres.invoice_book import to_entry
from tenantry.adapters.postgres.pooled import NOW, Pooled
from tenantry.adapters.postgres.refusals import refusals_are_conflicts
from tenantry.domain import money
from tenantry.domain.agreement import Agreement
from tenantry.domain.contract import LIST_CURRENCY, ExchangeRate
from tenantry.domain.errors import BadRequest, Conflict, NotFound
from tenantry.domain.ids import TenantId
from tenantry.domain.party import Party
from tenantry.domain.postings import grant_transfer
from tenantry.domain.tax_schedule import tax_schedule

PAGE_MAX = 1_000
CONVERTED_MAX = 100  # tenants that are locked at once: some 50 ms, and the gate waits 3 s at most
CREDIT_DIGITS_MAX = 12  # before the point, as of every amount that is agreed


class PostgresContracts(Pooled):
    def __init__(self, control_pool: Any) -> None:
        super().__init__(
            control_pool,
            "sql/control.sql",
            "sql/billing.sql",
            "sql/contracts.sql",
            told=refusals_are_conflicts,
        )

    async def set_contract(
        self, tenant_id: TenantId, agreement: Agreement, *, made_from: int
    ) -> Agreement | None:
        async with self._transaction() as connection:
            present = await self._present(connection, tenant_id)
            if made_from != (present.version if present else 0):
                return None
            if present is not None and replace(agreement, version=present.version) == present:
                return present
            await self._check(connection, tenant_id, present, agreement)
            version = present.version + 1 if present else 1
            customer = agreement.customer
            await connection.execute(
                self._sql["insert_contract"],
                tenant_id,
                version,
                customer.name,
                list(customer.address),
                customer.tax_id,
                customer.email,
                agreement.currency,
                agreement.tax_rate,
                agreement.tax_label,
                agreement.payment_days,
                agreement.ends_on,
                agreement.tax_starts_on,
            )
            return replace(agreement, version=version)

    async def contracts(
        self, tenant_id: TenantId, limit: int = 100, *, after: int | None = None
    ) -> list[Mapping[str, Any]]:
        async with self._transaction() as connection:
            rows = await self._run(connection, "contracts", tenant_id, min(limit, PAGE_MAX), after)
            taxes = await self._run(connection, "taxes", tenant_id, EVER, EVER)
        entered = [to_tax_step(row) for row in taxes]
        return [
            {
                **to_agreement(row).to_json(),
                "tax_schedule": [
                    step.to_json() for step in tax_schedule(entered[: row["version"]])
                ],
                "entered_at": row["entered_at"],
            }
            for row in rows
        ]

    async def customers(self, tenant_ids: Sequence[TenantId]) -> dict[TenantId, Party]:
        """Whom invoices are to by now, of at most `PAGE_MAX` tenants."""
        assert len(tenant_ids) <= PAGE_MAX, "more than a page of tenants"
        async with self._transaction() as connection:
            rows = await self._run(connection, "customers", list(tenant_ids))
        return {TenantId(row["tenant_id"]): to_agreement(row).customer for row in rows}

    async def change_plan(self, tenant_id: TenantId, plan: str, at: datetime | None) -> datetime:
        async with self._transaction() as connection:
            await self._run(connection, "lock_plans")
            await self._check_plan(connection, tenant_id, plan)
            now = await connection.fetchval(NOW)
            if at is not None and at <= now:
                raise BadRequest("A plan changes now or later; the past is corrected by credit.")
            if at is None:
                [row] = await self._run(connection, "plan_now", tenant_id, plan)
            else:
                [row] = await self._run(connection, "plan_later", tenant_id, plan, at)
            effective_at: datetime = row["effective_at"]
            return effective_at

    async def plan_changes(
        self,
        tenant_id: TenantId,
        limit: int = 100,
        *,
        after: tuple[datetime, datetime] | None = None,
    ) -> list[Mapping[str, Any]]:
        place = (min(limit, PAGE_MAX), *(after or (None, None)))
        async with self._transaction() as connection:
            rows = await self._run(connection, "plan_changes", tenant_id, *place)
        return [dict(row) for row in rows]

    async def apply_plan_changes(self, limit: int) -> int:
        async with self._transaction() as connection:
            await self._run(connection, "lock_plans")
            [row] = await self._run(connection, "apply_plan_changes", limit)
            return int(row["entries"])

    async def grant_credit(self, tenant_id: TenantId, amount: Decimal, note: str) -> Decimal:
        async with self._transaction() as connection:
            present = await self._present(connection, tenant_id)
            currency = present.currency if present else LIST_CURRENCY
            if not amount.is_finite() or not amount:
                raise BadRequest("A credit is an amount other than 0.")
            if amount.adjusted() >= CREDIT_DIGITS_MAX:
                raise BadRequest(f"A credit has at most {CREDIT_DIGITS_MAX} digits in front.")
            if money.to_currency(amount, currency) != amount:
                raise BadRequest(f"{money.plain(amount)} is no amount in {currency}.")
            entry = json.dumps(to_entry(grant_transfer(amount, currency)))
            [row] = await self._run(connection, "post_credit", tenant_id, entry, note)
            left_over: Decimal = row["left_over"]
            return left_over

    async def credits(
        self,
        tenant_id: TenantId,
        limit: int = 100,
        *,
        after: tuple[datetime, UUID, int] | None = None,
    ) -> list[Mapping[str, Any]]:
        place = (min(limit, PAGE_MAX), *(after or (None, None, None)))
        async with self._transaction() as connection:
            rows = await self._run(connection, "credits", tenant_id, *place)
        return [dict(row) for row in rows]

    async def credit_left(self, tenant_id: TenantId) -> Mapping[str, Decimal]:
        async with self._transaction() as connection:
            rows = await self._run(connection, "credit_left", tenant_id)
        return {row["currency"]: row["left_over"] for row in rows}

    async def add_rate(self, rate: ExchangeRate) -> None:
        async with self._transaction() as connection:
            values = (rate.base, rate.quote, rate.day, rate.rate, rate.source)
            await self._run(connection, "insert_rate", *values)
            [row] = await self._run(connection, "rate", rate.base, rate.quote, rate.day)
        if (row["rate"], row["source"]) != (rate.rate, rate.source):
            raise Conflict(
                f"The rate of {rate.day} from {rate.base} to {rate.quote} is "
                f"{money.plain(row['rate'])} by {row['source']}; a rate is never changed."
            )
        await self.convert_budgets()

    async def convert_budgets(self, page: int = CONVERTED_MAX) -> int:
        """Each page is a transaction: whoever asks for the gate waits for one page at most."""
        after, converted = "", 0
        while True:
            async with self._transaction() as connection:
                [row] = await self._run(connection, "convert", after, page)
            if row["through"] is None:
                return converted
            after, converted = row["through"], converted + int(row["converted"])

    async def rates_entered(self) -> tuple[datetime | None, datetime]:
        async with self._transaction() as connection:
            [row] = await self._run(connection, "rates_entered")
        return row["newest"], row["now"]

    async def rates(
        self, limit: int = 100, *, after: tuple[str, str, date] | None = None
    ) -> list[ExchangeRate]:
        place = (min(limit, PAGE_MAX), *(after or (None, None, None)))
        async with self._transaction() as connection:
            rows = await self._run(connection, "all_rates", *place)
        return [to_rate(row) for row in rows]

    async def _present(self, connection: Any, tenant_id: TenantId) -> Agreement | None:
        """The contract in force, under the lock of the tenant's invoicing."""
        rows = await self._run(connection, "lock_billing", tenant_id)
        if not rows or rows[0]["period_start"] is None:
            raise NotFound("There is no such tenant.")
        [row] = await self._run(connection, "facts", tenant_id, EVER)
        return None if row["version"] is None else to_agreement(row)

    async def _check(
        self, connection: Any, tenant_id: TenantId, present: Agreement | None, new: Agreement
    ) -> None:
        currency = present.currency if present else LIST_CURRENCY
        if new.currency != currency:
            if (await self._run(connection, "has_invoices", tenant_id))[0]["yes"]:
                raise Conflict(f"Invoices are in {currency}; a currency stays once one is final.")
            [credit] = await self._run(connection, "prepaid", tenant_id, currency, EVER)
            if credit["left_over"]:
                raise Conflict(f"There is a credit in {currency}; take it back first.")
            await check_rate(connection, new.currency)
        if new.ends_on and new.ends_on != (present.ends_on if present else None):
            await self._check_end(connection, tenant_id, new.ends_on)

    async def _check_end(self, connection: Any, tenant_id: TenantId, ends_on: date) -> None:
        """A contract has a day at least, and what is invoiced stays under it."""
        [facts] = await self._run(connection, "facts", tenant_id, EVER)
        terms = await self._run(connection, "terms", tenant_id, EVER)
        starts = to_terms(terms, facts["zone"])[0].starts
        if ends_on <= starts:
            raise Conflict(f"ends_on must be after {starts}, when the first terms start.")
        [closed] = await self._run(connection, "last_closed", tenant_id)
        next_day = closed["next_day"]
        if next_day and ends_on < next_day:
            raise Conflict(f"The contract is invoiced up to {next_day}.")

    async def _check_plan(self, connection: Any, tenant_id: TenantId, plan: str) -> None:
        tenants = await self._run(connection, "tenants", tenant_id, "", 1)
        if not tenants:
            raise NotFound("There is no such tenant.")
        plans = await self._run(connection, "plans", [plan], None, 1) if plan.isprintable() else []
        if not plans:
            raise BadRequest(f"There is no plan {plan[:200]}.")
        needed = json.loads(plans[0]["definition"])["placement"]
        kind = json.loads(tenants[0]["placement_definition"])["kind"]
        if needed != kind:
            raise BadRequest(
                f"Plan {plan} needs a {needed} placement and the tenant is in "
                f"the {kind}: its documents would have to move first."
            )

    async def _run(self, connection: Any, name: str, *values: object) -> list[Any]:
        rows: list[Any] = await connection.fetch(self._sql[name], *values)
        return rows
