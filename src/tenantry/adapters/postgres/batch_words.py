"""Between the words of `ports.admission` and the composite types of `gate_batch`. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, get_args
from uuid import UUID

import orjson

from tenantry.domain import money
from tenantry.domain.ids import TenantId
from tenantry.domain.rating import Line
from tenantry.ports.admission import (
    Admitted,
    AttemptOutcome,
    Intent,
    RefusalCode,
    Refused,
    Reservation,
    Settled,
    Settlement,
)

Row = tuple[Any, ...]
_REFUSALS = frozenset(get_args(RefusalCode))
_REMAINING = {
    "requests_left_day": "requests_per_day",
    "requests_left_minute": "requests_per_minute",
    "tokens_left_minute": "tokens_per_minute",
    "budget_left": "budget",
}


def to_reservation_row(reservation: Reservation) -> Row:
    """`tenantry.reservation_in`."""
    return (
        reservation.request_id,
        reservation.tenant_id,
        reservation.api_key_id,
        reservation.plan_version,
        reservation.price_version,
        reservation.worst_tokens,
        reservation.worst_cost,
        reservation.worst_charge,
        reservation.user_hash,
        reservation.run_id,
        _json(reservation.tags),
        reservation.counts_as_request,
        reservation.paced_by_minute,
        *_to_intent_columns(reservation.first),
    )


def to_begin_row(tenant_id: TenantId, request_id: UUID, intent: Intent) -> Row:
    """`tenantry.begin_in`."""
    return (tenant_id, request_id, *_to_intent_columns(intent))


def _to_intent_columns(intent: Intent) -> Row:
    return (
        intent.call,
        intent.attempt,
        intent.operation,
        intent.model,
        intent.price_key,
        intent.account,
        intent.region,
        intent.deadline_ms,
        _json(intent.pinned),
    )


def to_settlement_row(settlement: Settlement) -> Row:
    """`tenantry.settlement_in`."""
    return (
        settlement.tenant_id,
        settlement.request_id,
        settlement.final,
        [_to_outcome_row(outcome) for outcome in settlement.outcomes],
    )


def _to_outcome_row(outcome: AttemptOutcome) -> Row:
    rated = outcome.rated if outcome.end == "settled" else None
    lines = rated.lines if rated else ()
    doubtful = outcome.end == "unknown" or outcome.quarantined is not None
    estimate = {str(name): count for name, count in outcome.usage.items()} if doubtful else {}
    return (
        outcome.call,
        outcome.attempt,
        outcome.end,
        outcome.charged,
        outcome.usage.tokens,
        rated.cost if rated else money.ZERO,
        rated.charge if rated else money.ZERO,
        outcome.service_tier,
        outcome.upstream_request_id,
        _json(outcome.raw),
        outcome.normaliser_version,
        sorted(outcome.flags),
        outcome.quarantined,
        outcome.error,
        _json(estimate),
        _array(line.token_class.value for line in lines),
        _array(line.quantity for line in lines),
        _array(line.unit_cost for line in lines),
        _array(line.cost for line in lines),
        _array(_unit_price(line) for line in lines),
        _array(line.charge for line in lines),
    )


def _array(values: Iterable[str | int | Decimal]) -> str:
    """PostgreSQL's text of an array; the values are numbers and names of token classes."""
    return "{" + ",".join(map(str, values)) + "}"


def _unit_price(line: Line) -> Decimal:
    """The customer's price for 1,000,000, as `unit_cost` is the provider's."""
    return money.EXACT.divide(line.charge.scaleb(6, money.EXACT), Decimal(line.quantity))


def from_admission_verdict(row: Mapping[str, Any]) -> Admitted | Refused:
    """What `gate_admit` decided of one reservation."""
    code = row["code"]
    if code == "admitted":
        left = {name: row[column] for column, name in _REMAINING.items()}
        return Admitted(
            at=row["at"],
            period_start=row["period_start"],
            remaining={name: amount for name, amount in left.items() if amount is not None},
        )
    assert code in _REFUSALS, f"gate_admit answered {code!r}"
    return Refused(
        code=code,
        limit=row["limit_name"],
        retry_after_ms=row["retry_after_ms"],
        resets_at=row["resets_at"],
        budget_left=row["budget_left"] if code == "budget" else None,
    )


def from_settlement_verdict(row: Mapping[str, Any]) -> Settled:
    return Settled(at=row["at"], posted=row["yes"])


def _json(value: Mapping[str, object]) -> str:
    return orjson.dumps(dict(value)).decode() if value else "{}"
