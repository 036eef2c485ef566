"""An invoice as a document: canonical JSON, its bytes and its hash. Pure, and rounded nowhere.

The shape is docs/reference/invoices.md. It is what a customer sees: no provider cost, no markup.
Canonical: sorted keys, no white space, UTF-8, decimals as plain text. Two hashes: that of the whole
document, and that of its content, which leaves out what only finalising knows (number, status,
instants); a reviewer approves the content.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any, Literal
from zoneinfo import ZoneInfo

from tenantry.domain import money
from tenantry.domain.agreement import Agreement
from tenantry.domain.billing import LineKind, Statement, StatementLine
from tenantry.domain.contract import ExchangeRate
from tenantry.domain.invoice_edition import PRESENT, Edition
from tenantry.domain.invoice_parties import tax_words
from tenantry.domain.party import Issuer, issuer_to_json, party_to_json
from tenantry.domain.period import Span, day_begun
from tenantry.domain.proration import Days, civil_days
from tenantry.domain.tax import TaxRate
from tenantry.domain.told_apart import words_apart

Kind = Literal["invoice", "credit_note"]
Document = dict[str, Any]
NOT_CONTENT = frozenset({"number", "status", "issued_at", "due_at", "watermark"})
DRAFT = "draft-"
_HEAD = (
    "number", "kind", "status", "issued_at", "due_at", "period", "currency", "total", "credit",
    "due",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Made:
    """What a document is made from; the statement is of the same edition. `issued_at` None: a
    draft."""

    tenant_id: str
    agreement: Agreement
    zone: str
    period: Span
    statement: Statement
    watermark: datetime  # the ledger was read up to here
    issuer: Issuer | None = None
    price_versions: Sequence[int] = ()
    plan_versions: Sequence[Mapping[str, Any]] = ()  # plan, version, from
    references: Mapping[str, Any] = field(default_factory=dict)
    kind: Kind = "invoice"
    number: str | None = None
    issued_at: datetime | None = None
    edition: Edition = PRESENT


def document(made: Made) -> Document:
    """The members in the order of the reference; `canonical` sorts them."""
    statement, agreement, issued_at = made.statement, made.agreement, made.issued_at
    in_zone = {"issue_zone": made.zone} if made.edition >= Edition.PERIODS_TOLD else {}
    edition = {"edition": int(made.edition)} if made.edition >= Edition.CHANGES_TOLD else {}
    return {
        "number": made.number or draft_number(made.period, made.zone),
        "kind": made.kind,
        "status": "draft" if issued_at is None else "final",
        "issued_at": instant(issued_at),
        "due_at": None if issued_at is None else instant(_due_at(made, issued_at)),
        **in_zone,
        **edition,
        "issuer": None if made.issuer is None else issuer_to_json(made.issuer),
        "customer": {"tenant_id": made.tenant_id, **party_to_json(agreement.customer)},
        "currency": statement.currency,
        "zone": made.zone,
        "period": period_json(made.period, made.zone),
        "plan": statement.terms.plan,
        "lines": _lines_json(made),
        "subtotal": text(statement.subtotal),
        "true_up": text(statement.true_up),
        "tax": _tax_json(statement),
        "total": text(statement.total),
        "credit": text(statement.credit),
        "due": text(statement.due),
        "exchange_rate": None if statement.rate is None else rate_json(statement.rate),
        "references": dict(made.references),
        "price_versions": sorted(set(made.price_versions)),
        "plan_versions": [dict(version) for version in _plan_versions(made)],
        "watermark": instant(made.watermark),
    }


def canonical(body: Mapping[str, Any]) -> bytes:
    return json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def sha256(body: Mapping[str, Any]) -> str:
    """Of the canonical bytes: what is stored beside a final document."""
    return hashlib.sha256(canonical(body)).hexdigest()


def content_sha256(body: Mapping[str, Any]) -> str:
    """Equal ledgers, contracts and issuers give equal hashes, whenever they are read."""
    return sha256({key: value for key, value in body.items() if key not in NOT_CONTENT})


def head(body: Mapping[str, Any]) -> Document:
    """What a list shows of a document."""
    return {name: body[name] for name in _HEAD}


def draft_number(period: Span, zone: str) -> str:
    """A draft has no number yet: it is named by the civil day on which its period begins."""
    return f"{DRAFT}{day_begun(period.start, zone).isoformat()}"


def number_of(series: str, count: int) -> str:
    """`INV-2026-000041`."""
    return f"{series}-{count:06}"


def instant(value: datetime | None) -> str | None:
    """RFC 3339 in UTC with microseconds, so that a watermark is exact."""
    if value is None:
        return None
    return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ").replace(".000000Z", "Z")


def text(amount: Decimal) -> str:
    """An amount in whole minor units, with all of its digits."""
    return format(amount, "f")


def rate_json(rate: ExchangeRate) -> dict[str, str]:
    return {
        "day": rate.day.isoformat(),
        "base": rate.base,
        "quote": rate.quote,
        "rate": money.plain(rate.rate),
        "source": rate.source,
    }


def tax_rate_json(tax: TaxRate) -> dict[str, str]:
    return {"rate": money.plain(tax.rate), "label": tax.label}


def period_json(period: Span, zone: str) -> dict[str, Any]:
    first = day_begun(period.start, zone)
    last = day_begun(period.end, zone) - timedelta(days=1)
    return {
        "start": instant(period.start),
        "end": instant(period.end),
        "label": f"{first.isoformat()} to {last.isoformat()}",
    }


def _due_at(made: Made, issued_at: datetime) -> datetime:
    """Civil days later, at the same time of day, whatever clocks do between; of earlier editions
    so many times 24 hours."""
    days = timedelta(days=made.agreement.payment_days)
    if made.edition < Edition.PERIODS_TOLD:
        return issued_at + days
    return (issued_at.astimezone(ZoneInfo(made.zone)) + days).astimezone(UTC)


def _plan_versions(made: Made) -> Sequence[Mapping[str, Any]]:
    """Those that hold on a day of the period under contract: of several on a day, the last. Earlier
    editions name every one."""
    if made.edition < Edition.PERIODS_TOLD:
        return made.plan_versions
    ends, days = made.agreement.ends_on, civil_days(made.period, made.zone)
    by_day = {date.fromisoformat(each["from"]): each for each in made.plan_versions}
    starts = sorted(day for day in by_day if ends is None or day < ends)
    until = [*starts[1:], ends or days.end]
    spans = zip(starts, until, strict=bool(starts))
    held = [by_day[start] for start, end in spans if Days(start, end).within(days).count]
    return held or [by_day[start] for start in starts[-1:]]


def _lines_json(made: Made) -> list[dict[str, Any]]:
    lines = [_line_json(line, made.edition) for line in made.statement.lines]
    times = made.edition >= Edition.CHANGES_TOLD
    for line, words in zip(lines, words_apart(lines, made.zone, times=times), strict=True):
        if words:
            line["description"] += f", {words}"
        if "tax" in line and len(made.statement.taxes) > 1:
            line["description"] += f", {tax_words(line['tax'])}"
    return lines


def _tax_json(statement: Statement) -> dict[str, Any]:
    """Where there are several, each stands apart beside their sum."""
    first, *others = statement.taxes
    found = {**tax_rate_json(first.by), "amount": text(statement.tax)}
    if not others:
        return found
    parts = [
        {**tax_rate_json(each.by), "net": text(each.net), "amount": text(each.amount)}
        for each in statement.taxes
    ]
    return {**found, "parts": parts}


def _line_json(line: StatementLine, edition: Edition) -> dict[str, Any]:
    price, priced_as = line.per_million, line.priced_as
    told = {
        "service_tiers": list(priced_as.service_tiers),
        "price_keys": [_without_account(key) for key in priced_as.price_keys],
        "plans": list(priced_as.plans),
        "priced_from": instant(priced_as.since),
    }
    return {
        "kind": str(line.kind),
        "description": line.description,
        "model": line.model,
        "token_class": line.token_class,
        "quantity": line.quantity,
        "unit_price": None if price is None else money.plain(price),
        "charge": money.plain(_finite(line.exact, line.amount)),
        "amount": text(line.amount),
        **(told if edition >= Edition.PRICES_TOLD and line.model is not None else {}),
        **(_whose(line) if edition >= Edition.PERIODS_TOLD else {}),
    }


def _whose(line: StatementLine) -> dict[str, Any]:
    """Which days a line is for, where it says so; why an adjustment is made, at which rate, and at
    which tax, where that is another than the contract's."""
    found: dict[str, Any] = {}
    if line.period is not None:
        start, end = instant(line.period.start), instant(line.period.end)
        found["period"] = {"start": start, "end": end}
    if line.kind is LineKind.ADJUSTMENT:
        found["reason"] = line.reason
        found["exchange_rate"] = None if line.rate is None else rate_json(line.rate)
    if line.tax is not None:
        found["tax"] = tax_rate_json(line.tax)
    return found


def _without_account(key: str) -> str:
    """A price key as customers read it: of an ARN the resource alone, as `provisioned-model/x`."""
    return key.split(":", 5)[-1] if key.startswith("arn:") else key


def _finite(exact: Fraction, amount: Decimal) -> Decimal:
    """The exact sum; of a fee for 20 of 30 days, which no decimal writes, what it is rounded to."""
    rest = exact.denominator
    for prime in (2, 5):
        while rest % prime == 0:
            rest //= prime
    if rest != 1:
        return amount
    return money.EXACT.divide(Decimal(exact.numerator), Decimal(exact.denominator))
