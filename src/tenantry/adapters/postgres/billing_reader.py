"""Reads what invoices are made from: as a tenant inside its unit of work, or as control."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from tenantry.adapters.postgres.statements import statements
from tenantry.domain.agreement import Agreement
from tenantry.domain.contract import LIST_CURRENCY, ExchangeRate, Terms, terms_of
from tenantry.domain.errors import NotFound
from tenantry.domain.ids import TenantId
from tenantry.domain.late_usage import Closed, EarlierPeriod
from tenantry.domain.party import Party, name_as_stored
from tenantry.domain.period import Span
from tenantry.domain.plan import plan_from
from tenantry.domain.tax import NO_TAX, TaxRate
from tenantry.domain.tax_schedule import TaxStep, tax_before, tax_schedule
from tenantry.domain.usage_line import UNKNOWN, PricedAs, UsageLine
from tenantry.ports.billing import Reading, Stored

Fetch = Callable[..., Awaitable[list[Any]]]  # (statement, *values)
# A period is closed when none of its requests is open, so only adjustments and reversals can come
# late; for what came by another way the two periods before are looked through, and the invariants
# find the rest.
LATE_DAYS = 62
EVER = datetime(9999, 1, 1, tzinfo=UTC)  # later than any row: the state of now


class BillingReader:
    """Statements over one connection; `fetch` runs them."""

    def __init__(self, fetch: Fetch) -> None:
        self._fetch = fetch
        self._sql = statements("sql/billing.sql")

    async def read(
        self, tenant_id: TenantId, period: Span, watermark: datetime, as_of: datetime | None
    ) -> Reading:
        then = as_of or EVER
        facts = await self._one("facts", tenant_id, then)
        agreement = to_agreement(facts) if facts["version"] is not None else None
        currency = agreement.currency if agreement else LIST_CURRENCY
        rates = await self._rates(currency, then)
        [credit] = await self._fetch(self._sql["prepaid"], tenant_id, currency, then)
        terms = await self._fetch(self._sql["terms"], tenant_id, then)
        usage = await self._usage(tenant_id, period, watermark, then)
        return Reading(
            tenant_id=tenant_id,
            tenant_name=facts["name"],
            zone=facts["zone"],
            anchor_day=facts["anchor_day"],
            agreement=agreement,
            tax=await self._tax(tenant_id, period, then) or NO_TAX,
            terms=to_terms(terms, facts["zone"]),
            plan_versions=tuple(_plan_versions(terms, facts["zone"], period)),
            rates=rates,
            prepaid=credit["left_over"],
            period=period,
            watermark=watermark,
            usage=[to_usage_line(row) for row in usage],
            price_versions=_versions(usage, "price_versions"),
            posted_versions=_versions(usage, "posted_versions"),
            earlier=await self._earlier(tenant_id, period, currency, watermark, then),
        )

    async def _usage(
        self, tenant_id: TenantId, period: Span, watermark: datetime, then: datetime
    ) -> list[Any]:
        """By the ledger; where that tells no more what there was, by what the invoice of `then`
        holds."""
        values = (tenant_id, period.start, period.end, watermark, then)
        if then < EVER and (await self._one("is_past", *values))["yes"]:
            return await self._fetch(self._sql["usage_held"], tenant_id, period.start, then)
        return await self._fetch(self._sql["usage"], *values)

    async def _rates(self, currency: str, then: datetime) -> tuple[ExchangeRate, ...]:
        if currency == LIST_CURRENCY:
            return ()
        return tuple(to_rate(row) for row in await self._fetch(self._sql["rates"], currency, then))

    async def _earlier(
        self,
        tenant_id: TenantId,
        period: Span,
        currency: str,
        watermark: datetime,
        then: datetime,
    ) -> list[EarlierPeriod]:
        """Earlier periods that have more in the ledger than invoices hold of them, each by the
        contract and the rates of the instant at which it was closed."""
        spans = await self._fetch(
            self._sql["late_periods"], tenant_id, period.start, watermark, LATE_DAYS, then
        )
        found = []
        for row in spans:
            span = Span(row["period_start"], row["period_end"])
            if late := await self._usage(tenant_id, span, watermark, then):
                held = await self._fetch(self._sql["invoiced_usage"], tenant_id, span.start, then)
                found.append(
                    EarlierPeriod(
                        span,
                        [to_usage_line(each) for each in held],
                        [to_usage_line(each) for each in late],
                        await self._closed(tenant_id, span, currency, row["closed_at"], then),
                    )
                )
        return found

    async def _closed(
        self, tenant_id: TenantId, period: Span, currency: str, closed_at: datetime, then: datetime
    ) -> Closed | None:
        """What an invoice of `then` goes by for an earlier period; None: by nothing of the kind,
        as all did once."""
        if not (await self._one("goes_by_closed", then))["yes"]:
            return None
        agreed = await self._one("facts", tenant_id, closed_at)
        tax = await self._tax(tenant_id, period, closed_at)
        return Closed(agreed["ends_on"], await self._rates(currency, closed_at), tax)

    async def _tax(self, tenant_id: TenantId, period: Span, then: datetime) -> TaxRate | None:
        """By the contract of then; None: there was none."""
        rows = await self._fetch(self._sql["taxes"], tenant_id, then, period.end)
        if not rows:
            return None
        return tax_before(tax_schedule(map(to_tax_step, rows)), rows[0]["next_day"])

    async def documents(
        self, tenant_id: TenantId, before: str | None, limit: int
    ) -> list[Mapping[str, Any]]:
        rows = await self._fetch(self._sql["documents"], tenant_id, before, limit)
        return [dict(row) for row in rows]

    async def document(self, tenant_id: TenantId, number: str) -> Stored:
        row = await self._one("document", tenant_id, number, missing="There is no such invoice.")
        return Stored(
            invoice_id=row["invoice_id"],
            number=row["number"],
            kind=row["kind"],
            status=row["status"],
            issued_at=row["issued_at"],
            period=Span(row["period_start"], row["period_end"]),
            watermark=row["watermark"],
            document=row["document"],
            sha256=row["sha256"],
            currency=row["currency"],
            voided_at=row["voided_at"],
            void_reason=row["void_reason"],
            credits_number=row["credits_number"],
            contract_version=row["contract_version"],
        )

    async def next_period(self, tenant_id: TenantId) -> Span:
        facts = await self._one("facts", tenant_id, EVER)
        return Span(facts["period_start"], facts["period_end"])

    async def freed_periods(self, tenant_id: TenantId) -> list[Span]:
        rows = await self._fetch(self._sql["freed_periods"], tenant_id)
        return [Span(row["period_start"], row["period_end"]) for row in rows]

    async def period_at(self, tenant_id: TenantId, at: datetime) -> Span:
        row = await self._one("period_at", tenant_id, at)
        return Span(row["period_start"], row["period_end"])

    async def _one(self, name: str, *values: object, missing: str = "") -> Any:
        rows = await self._fetch(self._sql[name], *values)
        if not rows:
            raise NotFound(missing or "There is no such tenant.")
        return rows[0]


def to_agreement(row: Any) -> Agreement:
    """The first contract may have the name of a tenant whose name nobody checked."""
    name = name_as_stored(row["legal_name"])
    return Agreement(
        Party(name, tuple(row["address"]), row["tax_id"], row["email"]),
        row["currency"],
        row["tax_rate"],
        row["tax_label"],
        row["payment_days"],
        row["ends_on"],
        row["version"],
        row["tax_starts_on"],
    )


def to_tax_step(row: Any) -> TaxStep:
    return TaxStep(TaxRate(row["tax_rate"], row["tax_label"]), row["tax_starts_on"], row["moves"])


def to_terms(rows: Sequence[Any], zone: str) -> tuple[Terms, ...]:
    """One a civil day: of several on a day the last holds for all of it."""
    by_day: dict[Any, Terms] = {}
    for row in rows:
        plan = plan_from(row["plan"], json.loads(row["definition"]), version=row["version"])
        day = _day(row["effective_at"], zone)
        by_day[day] = terms_of(plan, day)
    return tuple(by_day[day] for day in sorted(by_day))


def to_rate(row: Any) -> ExchangeRate:
    return ExchangeRate(row["day"], row["base"], row["quote"], row["rate"], row["source"])


def _versions(usage: Sequence[Any], name: str) -> list[int]:
    return sorted({version for row in usage for version in row[name] or ()})


def to_usage_line(row: Any) -> UsageLine:
    """What invoices say of what they hold is beside what stands: the difference is of both."""
    parts = [from_priced_as(kept) for kept in (row["priced_as"], *(row["held_as"] or ()))]
    return UsageLine(
        row["model"],
        row["token_class"],
        row["quantity"],
        row["charge"],
        row["unit_price"],
        parts[0] if len(parts) == 1 else _together(parts),
        from_priced_as(row["posted_as"]),
    )


def _together(parts: Sequence[PricedAs]) -> PricedAs:
    def each(name: str) -> tuple[str, ...]:
        return tuple(sorted({text for part in parts for text in getattr(part, name)}))

    since = min((part.since for part in parts if part.since is not None), default=None)
    return PricedAs(each("service_tiers"), each("price_keys"), each("plans"), since)


def to_kept(line: UsageLine) -> dict[str, Any]:
    """As it is kept beside what an invoice holds: also by all that was posted, where a document of
    an earlier edition would say otherwise."""
    kept = _to_priced_as(line.priced_as)
    if line.posted_as != line.priced_as:
        kept["posted"] = _to_priced_as(line.posted_as)
    return kept


def _to_priced_as(priced_as: PricedAs) -> dict[str, Any]:
    since = priced_as.since
    return {
        "service_tiers": list(priced_as.service_tiers),
        "price_keys": list(priced_as.price_keys),
        "plans": list(priced_as.plans),
        "since": None if since is None else since.isoformat(),
    }


def from_priced_as(kept: str | None) -> PricedAs:
    """Of JSON, whose lists may be null and are in no order."""
    if kept is None:
        return UNKNOWN
    found = json.loads(kept)
    tiers, keys, plans = (
        tuple(sorted(found[name] or ())) for name in ("service_tiers", "price_keys", "plans")
    )
    since = found["since"]
    return PricedAs(tiers, keys, plans, None if since is None else datetime.fromisoformat(since))


def _plan_versions(rows: Sequence[Any], zone: str, period: Span) -> list[dict[str, Any]]:
    """Those that hold within the period: the last that began before it, and those that follow."""
    begun = [row for row in rows if row["effective_at"] < period.end]
    earlier = [row for row in begun if row["effective_at"] <= period.start]
    rest = [row for row in begun if row["effective_at"] > period.start]
    return [
        {
            "plan": row["plan"],
            "version": row["version"],
            "from": _day(row["effective_at"], zone).isoformat(),
        }
        for row in (*earlier[-1:], *rest)
    ]


def _day(at: datetime, zone: str) -> Any:
    return at.astimezone(ZoneInfo(zone)).date()
