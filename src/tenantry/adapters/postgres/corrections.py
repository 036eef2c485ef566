"""`ports.corrections.Corrections`, as tenantry_control."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from tenantry.adapters.postgres.archived import archived_through
from tenantry.adapters.postgres.pooled import Pooled
from tenantry.domain import money
from tenantry.domain.ids import TenantId
from tenantry.domain.markup import Markup
from tenantry.domain.plan import plan_from
from tenantry.ports.corrections import Fix, Rated, StillOpen

_FIRST = (UUID(int=0), 0, 0)


class PostgresCorrections(Pooled):
    def __init__(self, control_pool: Any) -> None:
        super().__init__(control_pool, "sql/corrections.sql")

    async def correctable(
        self,
        tenant_id: TenantId,
        start: datetime,
        end: datetime,
        version: int,
        model: str | None,
        after: Rated | None,
        limit: int,
    ) -> list[Rated]:
        place = _FIRST if after is None else _place(after)
        rows = await self._fetch(
            "correctable", tenant_id, start, end, version, model, *place, limit
        )
        return [_to_rated(row) for row in rows]

    async def still_open(
        self,
        tenant_id: TenantId,
        start: datetime,
        end: datetime,
        version: int,
        model: str | None,
        limit: int,
    ) -> StillOpen:
        rows = await self._fetch("still_open", tenant_id, start, end, version, model, limit)
        first = [(row["request_id"], row["attempts"]) for row in rows]
        return StillOpen(rows[0]["in_all"] if rows else 0, first)

    async def archived_through(self) -> datetime | None:
        return await archived_through(self._pool)

    async def correct(self, tenant_id: TenantId, fixes: Sequence[Fix]) -> Sequence[Fix]:
        if not fixes:
            return []
        body = json.dumps([_to_row(fix) for fix in fixes])
        places = (await self._fetch("correct", tenant_id, body))[0]["places"]
        return [fixes[place - 1] for place in places]


def _place(of: Rated) -> tuple[UUID, int, int]:
    return of.request_id, of.call, of.attempt


def _to_rated(row: Any) -> Rated:
    classes = row["token_classes"]
    return Rated(
        row["admitted_at"],
        row["request_id"],
        row["call"],
        row["attempt"],
        row["price_key"],
        row["region"],
        row["service_tier"],
        classes,
        row["quantities"],
        row["unit_costs"],
        row["costs"],
        row["unit_prices"],
        row["charges"],
        row["step"],
        _first(row, classes, row["first_costs"]),
        _first(row, classes, row["first_prices"]),
        _markup(row),
    )


def _markup(row: Any) -> Markup | None:
    if row["definition"] is None:
        return None
    plan = plan_from(row["plan"], json.loads(row["definition"]), version=row["plan_version"])
    return plan.markup_of(row["model"])


def _first(row: Any, classes: Sequence[str], figures: Sequence[Decimal] | None) -> list[Decimal]:
    """In the order of what stands now."""
    by_class = dict(zip(row["first_classes"], figures or (), strict=figures is not None))
    return [by_class[name] for name in classes] if by_class else []


def _to_row(fix: Fix) -> dict[str, Any]:
    def texts(amounts: Sequence[Decimal]) -> list[str]:
        return [money.plain(amount) for amount in amounts]

    return {
        "request_id": str(fix.of.request_id),
        "admitted_at": fix.of.admitted_at.isoformat(),
        "call": fix.of.call,
        "attempt": fix.of.attempt,
        "step": fix.of.step,
        "price_version": fix.price_version,
        "unit_costs": texts(fix.unit_costs),
        "costs": texts(fix.costs),
        "unit_prices": texts(fix.unit_prices),
        "charges": texts(fix.charges),
    }
