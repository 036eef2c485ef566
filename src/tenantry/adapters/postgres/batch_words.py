"""Between the words of `ports.admission` and the composite types of `gate_batch`. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
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
    RefusingBudget,
    Reservation,
    Settlement,
)

Row = tuple[Any, ...]
_NO_OUTCOME: Row = (None,) * 21
_REFUSALS = frozenset(get_args(RefusalCode))
_REMAINING = (
    ("requests_left_day", "requests_per_day"),
    ("requests_left_minute", "requests_per_minute"),
    ("tokens_left_minute", "tokens_per_minute"),
    ("budget_left", "budget"),
)


def to_reservation_row(reservation: Reservation) -> Row:
    """`tenantry.reservation_in`."""
    first = reservation.first
    assert (first.call, first.attempt) == (0, 1), "it shares the request's row"
    return (
        reservation.request_id,
        reservation.tenant_id,
        reservation.api_key_id,
        reservation.plan,
        reservation.plan_version,
        reservation.price_version,
        reservation.worst_tokens,
        str(reservation.worst_cost),
        str(reservation.worst_charge),
        reservation.user_hash,
        reservation.run_id,
        _json(reservation.tags),
        reservation.counts_as_request,
        reservation.paced_by_minute,
        *_to_intent_columns(first),
    )


def to_begin_row(tenant_id: TenantId, request_id: UUID, intent: Intent) -> Row:
    """`tenantry.begin_in`."""
    return (tenant_id, request_id, intent.call, intent.attempt, *_to_intent_columns(intent))


def _to_intent_columns(intent: Intent) -> Row:
    return (
        intent.operation,
        intent.model,
        intent.price_key,
        intent.account,
        intent.region,
        intent.deadline_ms,
        _json(intent.pinned),
    )


def to_outcome_rows(settlement: Settlement) -> list[Row]:
    """`tenantry.outcome_in` but for its place: one settlement's attempts."""
    head = (
        len(settlement.outcomes) == 1,
        settlement.tenant_id,
        settlement.request_id,
        settlement.final,
    )
    if not settlement.outcomes:
        return [head + _NO_OUTCOME]
    return [head + _to_outcome_columns(outcome) for outcome in settlement.outcomes]


def placed(settlements: Iterable[Sequence[Row]]) -> list[Row]:
    """All rows of a call, each with the place of its settlement in front."""
    return [(place, *row) for place, rows in enumerate(settlements, start=1) for row in rows]


def _to_outcome_columns(outcome: AttemptOutcome) -> Row:
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
        str(rated.cost) if rated else "0",
        str(rated.charge) if rated else "0",
        outcome.service_tier,
        outcome.upstream_request_id,
        _json(outcome.raw),
        outcome.normaliser_version,
        sorted(outcome.flags),
        outcome.quarantined,
        outcome.error,
        _json(estimate),
        _array([line.token_class for line in lines]),
        _array([str(line.quantity) for line in lines]),
        _array([str(line.unit_cost) for line in lines]),
        _array([str(line.cost) for line in lines]),
        _array([str(_unit_price(line)) for line in lines]),
        _array([str(line.charge) for line in lines]),
    )


def _array(values: Sequence[str]) -> str:
    """PostgreSQL's text of an array; the values are numbers and names of token classes."""
    return "{" + ",".join(values) + "}"


def _unit_price(line: Line) -> Decimal:
    """The customer's price for 1,000,000, as `unit_cost` is the provider's."""
    return money.EXACT.divide(money.shifted(line.charge, 6), Decimal(line.quantity))


def from_admission_verdict(at: datetime, row: Mapping[str, Any]) -> Admitted | Refused:
    """What `gate_admit` decided of one reservation, at its instant."""
    code = row["code"]
    if code == "admitted":
        remaining = {}
        for column, name in _REMAINING:
            if (left := row[column]) is not None:
                remaining[name] = left
        return Admitted(at, row["period_start"], remaining)
    assert code in _REFUSALS, f"gate_admit answered {code!r}"
    return Refused(
        code=code,
        limit=row["limit_name"],
        retry_after_ms=row["retry_after_ms"],
        resets_at=row["resets_at"],
        budget_left=row["budget_left"] if code == "budget" else None,
        budget=_to_refusing_budget(row) if code == "budget" else None,
    )


def _to_refusing_budget(row: Mapping[str, Any]) -> RefusingBudget | None:
    rate = row["budget_rate"]
    if rate is None:
        return None
    return RefusingBudget(row["budget_limit"], row["left_of_limit"], row["budget_unit"], rate)


def _json(value: Mapping[str, object]) -> str:
    return orjson.dumps(dict(value)).decode() if value else "{}"
