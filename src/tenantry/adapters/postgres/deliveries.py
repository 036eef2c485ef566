"""`ports.delivery.Deliveries` and `NoticeDesk` in PostgreSQL, over a `control` pool."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import asyncpg

from tenantry.adapters.postgres.outbox import enqueue
from tenantry.adapters.postgres.pooled import Pooled
from tenantry.domain.errors import BadRequest
from tenantry.domain.ids import TenantId
from tenantry.ports.delivery import (
    Delivery,
    Due,
    Listed,
    Overdue,
    Owed,
    OwnInvoice,
    Route,
    StripeLink,
)
from tenantry.ports.outbox import TEST_NOTICE, Notice


class PostgresDeliveries(Pooled):
    def __init__(self, control_pool: Any) -> None:
        super().__init__(control_pool, "sql/outbox.sql")

    async def route(
        self, routes: Sequence[Route], tenants_hear: str, now: datetime, limit: int
    ) -> int:
        rows = await self._fetch(
            "route",
            limit,
            now,
            [route.sink for route in routes],
            [route.kinds for route in routes],
            [route.linked for route in routes],
            tenants_hear,
        )
        count: int = rows[0][0]
        return count

    async def due(self, now: datetime, limit: int) -> list[Due]:
        return [Due(**row) for row in await self._fetch("due", now, limit)]

    async def claim(self, sink: str, now: datetime, until: datetime, limit: int) -> list[Delivery]:
        return [_to_delivery(row) for row in await self._fetch("claim", sink, now, until, limit)]

    async def delivered(self, delivery: Delivery, now: datetime) -> bool:
        return await self._end(delivery, "delivered", now, None)

    async def postpone(
        self, delivery: Delivery, next_at: datetime, error: str, since: datetime | None = None
    ) -> bool:
        return await self._change("postpone", *_key(delivery), next_at, error, since)

    async def bury(self, delivery: Delivery, now: datetime, error: str) -> bool:
        return await self._end(delivery, "dead", now, error)

    async def purge(self, before: datetime, limit: int, keep_dead: Sequence[str] = ()) -> int:
        return await self._execute("purge", before, limit, list(keep_dead))

    async def overdue(self, sinks: Sequence[str], before: datetime) -> Overdue:
        return Overdue(**(await self._fetch("overdue", list(sinks), before))[0])

    async def report(self, notice: Notice) -> UUID | None:
        async with self._transaction() as connection:
            return await enqueue(connection, notice)

    async def owed(self, sink: str, limit: int) -> list[Owed]:
        return [Owed(**row) for row in await self._fetch("owed", sink, limit)]

    async def listed(
        self, state: str | None, limit: int, notice_id: UUID | None = None
    ) -> list[Listed]:
        rows = await self._fetch("listed", state, limit, notice_id)
        return [Listed(**row) for row in rows]

    async def retry(self, notice_id: UUID, sink: str | None, now: datetime) -> int:
        return await self._execute("retry", notice_id, sink, now)

    async def dismiss(self, notice_id: UUID, sink: str | None) -> int:
        return await self._execute("dismiss", notice_id, sink)

    async def send(self, notice_id: UUID, sink: str, now: datetime) -> bool:
        return await self._change("send", notice_id, sink, now)

    async def counts(self) -> Mapping[str, int]:
        return dict((await self._fetch("counts", TEST_NOTICE))[0])

    async def link_stripe(self, tenant_id: TenantId, customer_id: str) -> None:
        """Raises `BadRequest` where it is no customer's id, or another tenant's."""
        try:
            await self._execute("link_stripe", tenant_id, customer_id)
        except asyncpg.CheckViolationError:
            raise BadRequest("A customer of Stripe has an id such as cus_Q5p1xYz.") from None
        except asyncpg.UniqueViolationError:
            raise BadRequest(f"{customer_id} is another tenant's customer at Stripe.") from None

    async def unlink_stripe(self, tenant_id: TenantId) -> bool:
        return await self._change("unlink_stripe", tenant_id)

    async def stripe_links(self) -> list[StripeLink]:
        rows = await self._fetch("stripe_links")
        return [StripeLink(*row.values()) for row in rows]

    async def _end(self, delivery: Delivery, state: str, now: datetime, error: str | None) -> bool:
        ended = (*_key(delivery), state, now, error, delivery.superseded)
        return await self._change("end_delivery", *ended)

    async def _change(self, name: str, *values: object) -> bool:
        return await self._execute(name, *values) > 0


def _key(delivery: Delivery) -> tuple[object, ...]:
    return delivery.tenant_id, delivery.notice_id, delivery.sink, delivery.lease


def _to_delivery(row: Any) -> Delivery:
    return Delivery(
        tenant_id=TenantId(row["tenant_id"]),
        notice_id=row["notice_id"],
        sink=row["sink"],
        kind=row["kind"],
        body=json.loads(row["body"], parse_float=Decimal),
        created_at=row["created_at"],
        attempts=row["attempts"],
        since=row["since"],
        lease=row["lease"],
        leased_at=row["leased_at"],
        customer_id=row["customer_id"],
        waits=row["waits"],
        heard_of=row["heard_of"],
        superseded=row["superseded"],
        pushed=row["pushed"],
        customers=tuple(row["customers"]),
        invoice=_to_invoice(row),
    )


def _to_invoice(row: Any) -> OwnInvoice | None:
    if row["invoice_id"] is None:
        return None
    return OwnInvoice(
        row["invoice_id"], row["sha256"], row["currency"], row["due"], row["issued_at"]
    )
