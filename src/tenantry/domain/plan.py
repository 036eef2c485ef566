"""A plan: what a tenant may use and what it pays for it.

Every limit is `None` (unlimited), `0` (blocks all) or a positive number (metering.md, case 30).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any, Literal


class PlanError(ValueError):
    """A plan's definition is wrong; the message names plan and field."""


@dataclass(frozen=True, slots=True)
class Plan:
    name: str
    version: int = 1
    requests_per_day: int | None = None
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    concurrent_requests: int | None = None
    monthly_budget: Decimal | None = None  # customer's charge, contract currency
    budget_hard: bool = True  # a soft budget admits and alerts
    soft_alert_at: Decimal | None = None
    max_tokens_ceiling: int = 8_192
    max_tokens_default: int = 2_048
    placement: Literal["pool", "silo"] = "pool"
    markup: Decimal = Decimal(1)
    monthly_fee: Decimal = Decimal(0)
    documents_max: int | None = None
    storage_max_mb: int | None = None
    kms_key: Literal["shared", "own"] = "shared"
    fair_queue_weight: int = 1
    models_allowed: frozenset[str] | None = None
    default_model: str = "amazon.nova-micro-v1:0"
    embedding_model: str = "amazon.titan-embed-text-v2:0"
    embedding_dimensions: int = 512
    regions_allowed: frozenset[str] | None = None
    service_tiers_allowed: frozenset[str] = frozenset({"default"})
    clamp_output: bool = False
    preamble: str = ""
    guardrail: str | None = None  # `<id>:<version>`, mandatory on every call of the plan
    overage: Mapping[str, Any] = field(default_factory=dict)
    minimum: Decimal = Decimal(0)


_LIMITS = (
    "requests_per_day",
    "requests_per_minute",
    "tokens_per_minute",
    "concurrent_requests",
    "documents_max",
    "storage_max_mb",
)
_MONEY = ("monthly_budget", "soft_alert_at", "markup", "monthly_fee", "minimum")
_SETS = ("models_allowed", "regions_allowed", "service_tiers_allowed")
# What a client may ask Bedrock for (Converse API reference, `serviceTier`, 2026-11).
_SERVICE_TIERS = frozenset({"default", "flex", "priority", "reserved"})
_FIELDS = {f.name for f in dataclasses.fields(Plan)}


def plan_from(name: str, table: Mapping[str, Any], *, version: int = 1) -> Plan:
    """A plan from one TOML table or JSON object. Money is a string or an integer, never a float."""
    unknown = set(table) - _FIELDS
    if unknown:
        raise PlanError(f"plan {name}: unknown field {sorted(unknown)[0]}")
    values: dict[str, Any] = {**table, "name": name, "version": version}
    for key in _LIMITS:
        value = values.get(key)
        if value is not None and (isinstance(value, bool) or not isinstance(value, int)):
            raise PlanError(f"plan {name}: {key} must be a whole number")
        if value is not None and value < 0:
            raise PlanError(f"plan {name}: {key} must not be negative")
    for key in _MONEY:
        if values.get(key) is not None:
            values[key] = _money(name, key, values[key])
    for key in _SETS:
        if values.get(key) is not None:
            values[key] = frozenset(str(item) for item in values[key])
    plan = Plan(**values)
    _check(plan)
    return plan


def plan_to_json(plan: Plan) -> dict[str, Any]:
    """The inverse of `plan_from`, without name and version: what is stored."""
    result: dict[str, Any] = {}
    for item in dataclasses.fields(plan):
        value = getattr(plan, item.name)
        if item.name in ("name", "version"):
            continue
        if isinstance(value, Decimal):
            value = str(value)
        elif isinstance(value, frozenset):
            value = sorted(value)
        elif isinstance(value, Mapping):
            value = dict(value)
        result[item.name] = value
    return result


def _money(name: str, key: str, value: object) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, (int, str, Decimal)):
        raise PlanError(f"plan {name}: {key} must be a decimal in quotes or a whole number")
    try:
        amount = Decimal(value)
    except InvalidOperation:
        raise PlanError(f"plan {name}: {key} is not a decimal number") from None
    if not amount.is_finite() or amount < 0:
        raise PlanError(f"plan {name}: {key} must be finite and not negative")
    return amount


def _check(plan: Plan) -> None:
    if plan.placement not in ("pool", "silo"):
        raise PlanError(f"plan {plan.name}: placement must be pool or silo")
    if plan.kms_key not in ("shared", "own"):
        raise PlanError(f"plan {plan.name}: kms_key must be shared or own")
    if unknown := plan.service_tiers_allowed - _SERVICE_TIERS:
        raise PlanError(f"plan {plan.name}: service_tiers_allowed names no tier {min(unknown)!r}")
    if not 1 <= plan.max_tokens_default <= plan.max_tokens_ceiling:
        raise PlanError(f"plan {plan.name}: max_tokens_default must be 1 to max_tokens_ceiling")
    if plan.fair_queue_weight < 1:
        raise PlanError(f"plan {plan.name}: fair_queue_weight must be at least 1")
    if plan.embedding_dimensions not in (256, 512, 1024):
        raise PlanError(f"plan {plan.name}: embedding_dimensions must be 256, 512 or 1024")
