"""`ports.billing.InvoiceBook`: the life of invoices, in transactions of control's.

A document is final in one commit: its number, its bytes, which usage it holds, its postings, the
closed period, the run's record and the notice to the outside. Before it the ledger's watermark is
taken in a transaction of its own, so that a tenant's requests wait for a lock and never for an
invoice. A number is given under the guard of what is kept beside the database.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Literal

from tenantry.adapters.postgres import outbox
from tenantry.adapters.postgres.billing_reader import BillingReader, to_kept
from tenantry.adapters.postgres.invoice_order import check_again, check_void
from tenantry.adapters.postgres.mended_hours import have_been_seen, waiting_hours
from tenantry.adapters.postgres.pooled import Pooled
from tenantry.adapters.postgres.refusals import refusals_are_conflicts
from tenantry.domain import money
from tenantry.domain.credit_note import Credited
from tenantry.domain.errors import Conflict, NotFound
from tenantry.domain.ids import TenantId
from tenantry.domain.invoice import canonical, instant, number_of, sha256, text
from tenantry.domain.period import Span
from tenantry.domain.postings import Transfer
from tenantry.domain.tax import Taxed, TaxRate
from tenantry.domain.usage_line import UsageLine
from tenantry.ports.billing import (
    Compose,
    Composed,
    DuePeriod,
    Finalised,
    Issue,
    Outcome,
    Reading,
    Stored,
    StoredDraft,
)
from tenantry.ports.invoice_numbers import NumberGuard
from tenantry.ports.outbox import Notice

MakeId = Callable[[datetime], str]
_Usage = tuple[datetime, Sequence[UsageLine]]  # a period's start, and what a document holds of it


class PostgresInvoiceBook(Pooled):
    def __init__(self, control_pool: Any, numbers: NumberGuard) -> None:
        super().__init__(control_pool, "sql/billing.sql", told=refusals_are_conflicts)
        self._numbers = numbers

    async def read(
        self, tenant_id: TenantId, period: Span, watermark: datetime, as_of: datetime | None = None
    ) -> Reading:
        async with self._transaction() as connection:
            return await BillingReader(connection.fetch).read(tenant_id, period, watermark, as_of)

    async def documents(
        self, tenant_id: TenantId, *, before: str | None = None, limit: int = 100
    ) -> list[Mapping[str, Any]]:
        async with self._transaction() as connection:
            return await BillingReader(connection.fetch).documents(tenant_id, before, limit)

    async def document(self, tenant_id: TenantId, number: str) -> Stored:
        async with self._transaction() as connection:
            return await BillingReader(connection.fetch).document(tenant_id, number)

    async def next_period(self, tenant_id: TenantId) -> Span:
        async with self._transaction() as connection:
            return await BillingReader(connection.fetch).next_period(tenant_id)

    async def freed_periods(self, tenant_id: TenantId) -> list[Span]:
        async with self._transaction() as connection:
            return await BillingReader(connection.fetch).freed_periods(tenant_id)

    async def period_at(self, tenant_id: TenantId, at: datetime) -> Span:
        async with self._transaction() as connection:
            return await BillingReader(connection.fetch).period_at(tenant_id, at)

    async def finalise(
        self, tenant_id: TenantId, period: Span, compose: Compose, make_id: MakeId
    ) -> Finalised:
        await self._numbers.check()
        watermark = await self.close_ledger(tenant_id, period)
        async with self._transaction() as connection:
            await self._check_turn(connection, tenant_id, period)
            mended = await waiting_hours(connection, tenant_id, period.end)
            reader = BillingReader(connection.fetch)
            reading = await reader.read(tenant_id, period, watermark, None)
            series, issue = await self._next(connection, "INV", reading.zone)
            made = compose(reading, issue)
            if made is not None or not reading.earlier:  # else what is late is on no document yet
                at = issue.issued_at
                await have_been_seen(connection, tenant_id, mended, watermark, at)
            if made is None:
                await self._run(connection, "close_period", tenant_id, period.start, period.end)
                await self._close(connection, tenant_id, period, "nothing", "", watermark)
                return Finalised(None, {}, "")
            usage = [(period.start, reading.usage)]
            usage += [(each.period.start, each.late) for each in reading.earlier]
            row = _row("invoice", tenant_id, make_id(issue.issued_at), series, issue, period, made)
            row["watermark"] = watermark.isoformat()
            done = await self._write(connection, row, made, usage)
            await self._close(connection, tenant_id, period, "final", issue.number, watermark)
        await self._numbers.given(issue.number, done.sha256)
        return done

    async def issue_credit_note(
        self,
        tenant_id: TenantId,
        of: Stored,
        compose: Callable[[Credited, Issue], Composed],
        make_id: MakeId,
    ) -> Finalised:
        await self._numbers.check()
        async with self._transaction() as connection:
            await self._run(connection, "lock_billing", tenant_id)
            credited = await self._credited(connection, tenant_id, of.number)
            zone: str = json.loads(of.document)["zone"]
            series, issue = await self._next(connection, "CN", zone)
            made = compose(credited, issue)
            note = _row(
                "credit_note", tenant_id, make_id(issue.issued_at), series, issue, of.period, made
            )
            note["watermark"] = of.watermark.isoformat()
            note["credits_number"] = of.number
            done = await self._write(connection, note, made, [])
        await self._numbers.given(issue.number, done.sha256)
        return done

    async def _credited(self, connection: Any, tenant_id: TenantId, number: str) -> Credited:
        [row] = await self._run(connection, "credited", tenant_id, number)
        parts = [
            Taxed(TaxRate(Decimal(each["rate"]), each["label"]), each["net"], each["amount"])
            for each in await self._run(connection, "credited_parts", tenant_id, number)
        ]
        return Credited(row["net"], row["tax"], row["prepaid"], tuple(parts))

    async def void(self, tenant_id: TenantId, number: str, reason: str) -> bool:
        async with self._transaction() as connection:
            found = await BillingReader(connection.fetch).document(tenant_id, number)
            await self._run(connection, "lock_billing", tenant_id)
            await check_void(connection.fetch, tenant_id, number)
            [row] = await self._run(connection, "void_invoice", tenant_id, number, reason)
            if row[0]:
                body = {"number": number, "kind": found.kind, "reason": reason}
                await outbox.enqueue(
                    connection, Notice(tenant_id, f"{found.kind}.voided", number, body)
                )
            return bool(row[0])

    async def store_draft(
        self, tenant_id: TenantId, period: Span, document: Mapping[str, Any], sha256: str
    ) -> None:
        async with self._transaction() as connection:
            await self._run(
                connection,
                "store_draft",
                tenant_id,
                period.start,
                period.end,
                canonical(document),
                sha256,
            )

    async def draft(self, tenant_id: TenantId, period: Span) -> StoredDraft | None:
        rows = await self._fetch("draft", tenant_id, period.start)
        return StoredDraft(*rows[0]) if rows else None

    async def owner(self, number: str) -> TenantId:
        rows = await self._fetch("tenant_of", number)
        if not rows:
            raise NotFound("There is no such invoice.")
        return TenantId(rows[0]["tenant_id"])

    async def due(
        self,
        after: str,
        limit: int,
        *,
        tried_before: datetime,
        grace_s: int,
        again_in_review: bool,
    ) -> list[DuePeriod]:
        rows = await self._fetch("due", after, limit, tried_before, grace_s, again_in_review)
        return [
            DuePeriod(
                TenantId(row["tenant_id"]),
                Span(row["period_start"], row["period_end"]),
                row["outcome"],
            )
            for row in rows
        ]

    async def record_run(self, due: DuePeriod, outcome: Outcome, detail: str) -> None:
        period = due.period
        await self._fetch(
            "record_run", due.tenant_id, period.start, period.end, outcome, detail, None
        )

    async def tell_freed(self, told_before: datetime) -> int:
        return len(await self._fetch("tell_freed", told_before))

    async def runs(
        self,
        tenant_id: TenantId | None,
        outcome: Outcome | None,
        limit: int,
        *,
        after: tuple[datetime, str] | None = None,
        since: date | None = None,
    ) -> list[Mapping[str, Any]]:
        values = (tenant_id, outcome, limit, *(after or (None, None)), since)
        async with self._transaction() as connection:
            await connection.execute(self._sql["plan_by_values"])
            rows = await self._run(connection, "runs", *values)
        return [dict(row) for row in rows]

    async def check_numbers(self) -> None:
        await self._numbers.check()

    async def close_ledger(self, tenant_id: TenantId, period: Span) -> datetime:
        [closing] = await self._fetch("period_closing", tenant_id, period.start, period.end)
        if not closing["is_over"]:
            raise Conflict(
                f"The period ends at {instant(period.end)}: until then nothing of it is made final"
                " or stored for review. What it comes to so far is its draft."
            )
        if closing["waiting"]:
            named = "; ".join(closing["named"])
            raise Conflict(f"{closing['waiting']} requests of the period are open: {named}.")
        watermark: datetime = closing["watermark"]
        return watermark

    async def _check_turn(self, connection: Any, tenant_id: TenantId, period: Span) -> None:
        """Under the tenant's lock: periods in their order, each with at most one live invoice."""
        [account] = await self._run(connection, "lock_billing", tenant_id)
        if period.start > account["period_start"]:
            first = instant(account["period_start"])
            raise Conflict(f"The period from {first} comes first.")
        if period.start == account["period_start"] and period.end != account["period_end"]:
            end = instant(account["period_end"])
            raise Conflict(f"The period ends at {end} by the database's time zones.")
        live = await self._run(connection, "live", tenant_id, period.start)
        if live:
            raise Conflict(f"{live[0]['number']} is the final invoice of this period.")
        await check_again(connection.fetch, tenant_id, period.start)
        for change in await self._run(connection, "pending_plan", tenant_id, period.end):
            at = instant(change["effective_at"])
            raise Conflict(f"The change to plan {change['plan']} at {at} is not applied yet.")

    async def _next(self, connection: Any, prefix: str, zone: str) -> tuple[tuple[str, int], Issue]:
        [row] = await self._run(connection, "next_number", prefix, zone)
        series = (row["series"], row["count"])
        return series, Issue(number_of(*series), row["at"])

    async def _write(
        self, connection: Any, row: dict[str, Any], made: Composed, usage: Iterable[_Usage]
    ) -> Finalised:
        tenant_id, number = TenantId(row["tenant_id"]), row["number"]
        await self._run(
            connection,
            "finalise",
            json.dumps(row),
            canonical(made.document),
            json.dumps([line for each in usage for line in _usage_rows(*each)]),
            json.dumps([to_entry(transfer) for transfer in made.transfers]),
        )
        kind = "invoice.finalised" if row["kind"] == "invoice" else "credit_note.issued"
        digest = sha256(made.document)
        notice = Notice(tenant_id, kind, number, {**made.document, "sha256": digest})
        await outbox.enqueue(connection, notice)
        return Finalised(number, made.document, digest)

    async def _close(
        self,
        connection: Any,
        tenant_id: TenantId,
        period: Span,
        outcome: Literal["final", "nothing"],
        detail: str,
        watermark: datetime,
    ) -> None:
        values = (tenant_id, period.start, period.end, outcome, detail, watermark)
        await self._run(connection, "record_run", *values)
        await self._run(connection, "drop_draft", tenant_id, period.start)

    async def _run(self, connection: Any, name: str, *values: object) -> list[Any]:
        rows: list[Any] = await connection.fetch(self._sql[name], *values)
        return rows

    async def _fetch(self, name: str, *values: object) -> list[Any]:
        async with self._transaction() as connection:
            return await self._run(connection, name, *values)


def to_entry(transfer: Transfer) -> dict[str, str]:
    return {
        "kind": transfer.kind,
        "debit": transfer.debit,
        "credit": transfer.credit,
        "amount": money.plain(transfer.amount),
        "currency": transfer.currency,
    }


def _row(
    kind: str,
    tenant_id: TenantId,
    invoice_id: str,
    series: tuple[str, int],
    issue: Issue,
    period: Span,
    made: Composed,
) -> dict[str, Any]:
    """The columns of a document that its bytes do not hold by themselves."""
    return {
        "tenant_id": tenant_id,
        "invoice_id": invoice_id,
        "kind": kind,
        "number": issue.number,
        "series": series[0],
        "series_number": series[1],
        "period_start": period.start.isoformat(),
        "period_end": period.end.isoformat(),
        "issued_at": issue.issued_at.isoformat(),
        "due_at": made.due_at.isoformat(),
        "currency": made.document["currency"],
        "total": text(made.total),
        "credit": text(made.credit),
        "due": text(made.due),
        "contract_version": made.contract_version,
        "credits_number": None,
    }


def _usage_rows(period_start: datetime, lines: Sequence[UsageLine]) -> list[dict[str, Any]]:
    return [
        {
            "period_start": period_start.isoformat(),
            "model": line.model,
            "token_class": line.token_class,
            "unit_price": money.plain(line.unit_price or money.ZERO),
            "quantity": line.quantity,
            "charge": money.plain(line.charge),
            "priced_as": to_kept(line),
        }
        for line in lines
    ]
