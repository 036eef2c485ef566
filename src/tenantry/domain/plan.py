"""A plan: what a tenant may use and what it pays for it.

Every limit is `None` (unlimited), `0` (blocks all) or a positive number.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Literal

from tenantry.domain.markup import Markup
from tenantry.domain.overage import overage_from
from tenantry.domain.plan_values import PlanError, count_of, money_of, moneys_of, texts_of
from tenantry.domain.usage import TokenClass
from tenantry.domain.vector_lengths import DIMENSIONS_MAX, USUAL_DIMENSIONS


@dataclass(frozen=True, slots=True)
class Plan:
    name: str
    version: int = 1
    requests_per_day: int | None = None
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    concurrent_requests: int | None = None
    monthly_budget: Decimal | None = None  # of list charges, in the contract's currency
    budget_hard: bool = True  # a soft budget admits and alerts
    soft_alert_at: Decimal | None = None
    max_tokens_ceiling: int = 8_192
    max_tokens_default: int = 2_048
    placement: Literal["pool", "silo"] = "pool"
    markup: Decimal = Decimal(1)
    markup_by_model: Mapping[str, Decimal] = field(default_factory=dict)  # by catalogue id
    markup_by_class: Mapping[TokenClass, Decimal] = field(default_factory=dict)
    monthly_fee: Decimal = Decimal(0)
    documents_max: int | None = None
    storage_max_mb: int | None = None
    document_max_mb: int | None = None  # one document; None: what every upload is bounded by
    kms_key: Literal["shared", "own"] = "shared"
    fair_queue_weight: int = 1
    models_allowed: frozenset[str] | None = None
    default_model: str = "amazon.nova-micro-v1:0"
    embedding_model: str = "amazon.titan-embed-text-v2:0"
    embedding_dimensions: int = USUAL_DIMENSIONS  # as near as `embedding_model` makes them
    regions_allowed: frozenset[str] | None = None
    service_tiers_allowed: frozenset[str] = frozenset({"default"})
    # Whether `maxTokens` is lowered to the ceiling and to what budgets have left; None: for
    # requests of a run, whose caller asks for as much as there is and goes on with what comes.
    clamp_output: bool | None = None
    preamble: str = ""
    guardrail: str | None = None  # `<id>:<version>`, mandatory on every call of the plan
    guardrails_allowed: frozenset[str] | None = None  # where none is mandatory; None: any
    answer_cache_ttl_s: int | None = None  # how long an answer may be given again; None: never
    cache_hit_price: Decimal = Decimal(0)  # what such an answer is charged, in USD as by list
    overage: Mapping[str, Any] = field(default_factory=dict)  # as `domain/overage.py` reads it
    minimum: Decimal = Decimal(0)

    def clamps(self, *, in_run: bool) -> bool:
        """Whether a request of such a kind is lowered rather than refused."""
        return in_run if self.clamp_output is None else self.clamp_output

    def markup_of(self, model: str) -> Markup:
        """The most particular holds: a model's, else a token class's, else the plan's."""
        own = self.markup_by_model.get(model)
        return Markup(self.markup, self.markup_by_class) if own is None else Markup(own)


_LIMITS = (
    "requests_per_day",
    "requests_per_minute",
    "tokens_per_minute",
    "concurrent_requests",
    "documents_max",
    "storage_max_mb",
    "document_max_mb",
    "answer_cache_ttl_s",
)
_COUNTS = ("max_tokens_ceiling", "max_tokens_default", "fair_queue_weight", "embedding_dimensions")
_OPTIONAL_MONEY = ("monthly_budget", "soft_alert_at")
_MONEY = ("markup", "monthly_fee", "minimum", "cache_hit_price")
_OPTIONAL_SETS = ("models_allowed", "regions_allowed", "guardrails_allowed")
_FLAGS = ("budget_hard", "clamp_output")
_TEXTS = ("default_model", "embedding_model", "preamble")
_FIELDS = {f.name for f in dataclasses.fields(Plan)} - {"name", "version"}
_TIERS = frozenset({"default", "flex", "priority", "reserved"})  # Bedrock's, on demand
_GUARDRAIL = re.compile(r"[A-Za-z0-9:/.-]{1,2048}:(?:DRAFT|[0-9]{1,8})", re.ASCII)
TEXT_CHARS_MAX = 20_000
ANSWER_CACHE_TTL_MAX_S = 7 * 86_400


def plan_from(name: str, table: Mapping[str, Any], *, version: int = 1) -> Plan:
    """A plan from one TOML table or JSON object. Money is a string or an integer, never a float.

    Raises `PlanError` for anything that is not exactly a plan: what is misread here would be a
    limit that does not hold.
    """
    unknown = table.keys() - _FIELDS
    if unknown:
        raise PlanError(f"plan {name}: unknown field {sorted(unknown)[0]}")
    values: dict[str, Any] = {key: _value(name, key, value) for key, value in table.items()}
    plan = Plan(name=name, version=version, **values)
    _check(plan)
    return plan


def _value(name: str, key: str, value: object) -> object:
    optional = key in _LIMITS or key in _OPTIONAL_MONEY or key in _OPTIONAL_SETS
    if value is None and (optional or key in ("guardrail", "clamp_output")):
        return None
    if key in _LIMITS or key in _COUNTS:
        return count_of(name, key, value)
    if key in _MONEY or key in _OPTIONAL_MONEY:
        return money_of(name, key, value)
    if key in _OPTIONAL_SETS or key == "service_tiers_allowed":
        return texts_of(name, key, value)
    if key in _FLAGS and not isinstance(value, bool):
        raise PlanError(f"plan {name}: {key} must be true or false")
    if key in _TEXTS and (not isinstance(value, str) or len(value) > TEXT_CHARS_MAX):
        raise PlanError(f"plan {name}: {key} must be a text of at most {TEXT_CHARS_MAX} characters")
    if key == "markup_by_model":
        return moneys_of(name, key, value)
    if key == "markup_by_class":
        return _by_class(name, moneys_of(name, key, value))
    if key == "overage":
        overage_from(name, value)
    return value


def _by_class(name: str, markups: Mapping[str, Decimal]) -> Mapping[TokenClass, Decimal]:
    unknown = markups.keys() - set(TokenClass)
    if unknown:
        raise PlanError(f"plan {name}: there is no token class {sorted(unknown)[0]!r}")
    return {TokenClass(token_class): markup for token_class, markup in markups.items()}


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
            value = {
                str(key): str(inner) if isinstance(inner, Decimal) else inner
                for key, inner in value.items()
            }
        result[item.name] = value
    return result


def _check(plan: Plan) -> None:
    if plan.placement not in ("pool", "silo"):
        raise PlanError(f"plan {plan.name}: placement must be pool or silo")
    if plan.kms_key not in ("shared", "own"):
        raise PlanError(f"plan {plan.name}: kms_key must be shared or own")
    if not 1 <= plan.max_tokens_default <= plan.max_tokens_ceiling:
        raise PlanError(f"plan {plan.name}: max_tokens_default must be 1 to max_tokens_ceiling")
    if plan.fair_queue_weight < 1:
        raise PlanError(f"plan {plan.name}: fair_queue_weight must be at least 1")
    if not 1 <= plan.embedding_dimensions <= DIMENSIONS_MAX:
        raise PlanError(f"plan {plan.name}: embedding_dimensions must be 1 to {DIMENSIONS_MAX:,}")
    unknown = plan.service_tiers_allowed - _TIERS
    if unknown:
        raise PlanError(f"plan {plan.name}: there is no service tier {sorted(unknown)[0]}")
    if not 1 <= (plan.answer_cache_ttl_s or 1) <= ANSWER_CACHE_TTL_MAX_S:
        raise PlanError(
            f"plan {plan.name}: answer_cache_ttl_s must be at most {ANSWER_CACHE_TTL_MAX_S}"
        )
    guardrail = plan.guardrail
    if guardrail is not None and not (
        isinstance(guardrail, str) and _GUARDRAIL.fullmatch(guardrail)
    ):
        raise PlanError(f"plan {plan.name}: guardrail must be <id>:<version>")
    for allowed in plan.guardrails_allowed or ():
        if not _GUARDRAIL.fullmatch(allowed):
            raise PlanError(f"plan {plan.name}: guardrails_allowed must hold <id>:<version>")
