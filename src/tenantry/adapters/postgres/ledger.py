"""`ports.ledger.TenantLedger`: a tenant's own usage, limits and invoice lines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from tenantry.adapters.postgres.budget_rows import to_limit
from tenantry.adapters.postgres.refusals import archived_is_refused
from tenantry.adapters.postgres.statements import statements
from tenantry.adapters.postgres.unit_of_work import TenantWork
from tenantry.domain import money
from tenantry.domain.errors import BadRequest
from tenantry.domain.ids import TenantId
from tenantry.domain.period import Span
from tenantry.domain.plan import Plan
from tenantry.domain.tenant import Principal, Scope
from tenantry.ports.ledger import GroupBy, UsageRow

LIMIT_BUDGETS_MAX = 1_000  # among an admin's limits; `/v1/budgets` has pages
_IN_DETAIL = frozenset({"key", "user", "tag", "run"})  # what the small roll-up does not tell
_PLACE = ("model", "day", "hour", "currency")
_PLACE_IN_DETAIL = ("model", "day", "hour", "key", "user", "run", "tag", "currency")
WINDOW_SLOTS = 11  # of the minute limits: 6 s each, migrations/0006_calendar.sql


class PostgresTenantLedger:
    def __init__(self, work: TenantWork) -> None:
        self._work = work
        self._sql = {**statements("sql/ledger.sql"), **statements("sql/usage.sql")}

    async def usage(
        self,
        principal: Principal,
        start: datetime,
        end: datetime,
        group_by: Sequence[GroupBy],
        *,
        user_hash: str | None = None,
        run_id: str | None = None,
        after: Sequence[str] | None = None,
        limit: int | None = None,
    ) -> list[UsageRow]:
        """Days and hours are of the tenant's zone."""
        zone, tenant_id = principal.tenant.zone, principal.tenant_id
        given = (start, end, list(group_by), zone)
        place = {} if after is None else _place_of(group_by, after)
        if _IN_DETAIL.isdisjoint(group_by) and user_hash is None and run_id is None:
            page = (*map(place.get, _PLACE), limit)
            rows = await self._fetch(tenant_id, "usage", *given, *page)
        else:
            page = (*map(place.get, _PLACE_IN_DETAIL), limit)
            named = (user_hash, run_id)
            rows = await self._fetch(tenant_id, "usage_in_detail", *given, *named, *page)
        return to_usage_rows(rows, group_by, zone)

    async def period(self, principal: Principal) -> Span:
        [row] = await self._fetch(principal.tenant_id, "period")
        return Span(row["period_start"], row["period_end"])

    async def limits(
        self, principal: Principal, *, user_hash: str | None = None, run_id: str | None = None
    ) -> list[Mapping[str, Any]]:
        counters = await self._fetch(principal.tenant_id, "counters")
        subjects = None if principal.may(Scope.ADMIN) else _subjects(principal, user_hash, run_id)
        budgets = await self._fetch(
            principal.tenant_id, "budgets", subjects, "", "", LIMIT_BUDGETS_MAX
        )
        limits = [
            limit
            for row in counters
            for limit in (*_plan_limits(row), *_document_limits(principal.tenant.plan, row))
        ]
        return limits + [to_limit(row) for row in budgets]

    async def _fetch(self, tenant_id: TenantId, name: str, *values: object) -> list[Any]:
        with archived_is_refused():
            async with self._work.reading(tenant_id) as unit:
                return await unit.fetch(self._sql[name], tenant_id, *values)


def to_usage_rows(rows: Sequence[Any], group_by: Sequence[str], zone: str) -> list[UsageRow]:
    """Folds the rows of one group (its total, then its classes) into one."""
    result: list[UsageRow] = []
    tokens: dict[str, int] = {}
    for row in rows:
        if row["is_total"]:
            tokens = {}
            group = {name: _shown(row[name], zone) for name in group_by}
            result.append(UsageRow(group, row["requests"], tokens, row["charge"], row["currency"]))
        else:
            tokens[row["token_class"]] = row["quantity"]
    return result


def _place_of(group_by: Sequence[str], after: Sequence[str]) -> dict[str, Any]:
    """The values of a group that was shown, as the database has them."""
    names = (*group_by, "currency")
    if len(names) != len(after):
        raise BadRequest("No group of usage has such values.")
    place: dict[str, Any] = dict(zip(names, after, strict=True))
    try:
        if "day" in place:
            place["day"] = date.fromisoformat(place["day"])
        if "hour" in place:
            place["hour"] = datetime.fromisoformat(place["hour"]).astimezone(UTC)
    except (ValueError, OverflowError):
        raise BadRequest("No group of usage has such values.") from None
    return place


def _shown(value: Any, zone: str) -> str:
    """An instant as RFC 3339 has it, in the tenant's zone; of UTC with Z, as instants are told."""
    if isinstance(value, datetime):
        told = value.astimezone(ZoneInfo(zone)).isoformat(timespec="seconds")
        return told.replace("+00:00", "Z")
    return str(value)


def _plan_limits(row: Any) -> list[dict[str, Any]]:
    used = {
        "requests_per_day": row["day_requests"],
        "requests_per_minute": _in_window(row, "request_slots"),
        "tokens_per_minute": _in_window(row, "token_slots"),
        "concurrent_requests": row["in_flight"],
    }
    return [
        _counted(name, row[name], count, row["day_end"] if name == "requests_per_day" else None)
        for name, count in used.items()
        if row[name] is not None
    ]


def _document_limits(plan: Plan, row: Any) -> list[dict[str, Any]]:
    """Storage in decimals of a megabyte, to the byte: what remains is what still fits."""
    found: tuple[tuple[str, int | None, int | Decimal], ...] = (
        ("documents_max", plan.documents_max, row["documents"]),
        ("storage_max_mb", plan.storage_max_mb, money.shifted(Decimal(row["stored_bytes"]), -6)),
        ("document_max_mb", plan.document_max_mb, 0),  # each document has all of it
    )
    return [_counted(name, most, used) for name, most, used in found if most is not None]


def _counted(name: str, most: int, used: int | Decimal, resets_at: object = None) -> dict[str, Any]:
    if isinstance(used, Decimal):
        remaining: int | Decimal = max(money.less(Decimal(most), used), money.ZERO)
    else:
        remaining = max(most - used, 0)
    return {
        "name": name,
        "limit": most,
        "used": used,
        "remaining": remaining,
        "resets_at": resets_at,
    }


def _in_window(row: Any, slots: str) -> int:
    oldest = row["now_slot"] - WINDOW_SLOTS + 1
    newest = row["latest_slot"]
    return sum(
        row[slots][slot % WINDOW_SLOTS]
        for slot in range(max(oldest, newest - WINDOW_SLOTS + 1), newest + 1)
    )


def _subjects(principal: Principal, user_hash: str | None, run_id: str | None) -> list[str]:
    """Whose budgets a request of this API key would count against."""
    subjects = ["tenant", f"api_key:{principal.api_key_id}"]
    subjects += [f"user:{user_hash}"] if user_hash is not None else []
    subjects += [f"run:{run_id}"] if run_id is not None else []
    return subjects
