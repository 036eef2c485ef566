"""What a plan's `overage` table says: included tokens, and the price of those beyond them.

    [pro.overage]
    mode = "graduated"           # or "volume"
    included = 5_000_000         # tokens of a billing period; default 0
    steps = [                    # counted from the first token that is not included
      { up_to = 1_000_000, per_million = "10" },
      { per_million = "8" },     # the last step has no end
    ]

An empty table is none: tokens are then charged by list, price × markup.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tenantry.domain.plan_values import PlanError, count_of, money_of
from tenantry.domain.tiers import Step, Tiers
from tenantry.domain.usage import GUARDRAIL_CLASSES, TokenClass

STEPS_MAX = 50  # of a plan: each can be a line of an invoice
_FIELDS = frozenset({"mode", "included", "steps"})
_STEP_FIELDS = frozenset({"up_to", "per_million"})

# The classes that count tokens; images, rerank queries and guardrail units keep their list charge.
COUNTED = (
    frozenset(TokenClass)
    - {TokenClass.IMAGE, TokenClass.RERANK_UNITS, TokenClass.CACHE_HIT}
    - GUARDRAIL_CLASSES
)


@dataclass(frozen=True, slots=True)
class Overage:
    """Tokens of every class and model together, in the contract's currency."""

    included: int
    tiers: Tiers

    @property
    def is_even(self) -> bool:
        """Whether a token costs the same, however many came before it."""
        return not self.included and len({step.per_million for step in self.tiers.steps}) == 1


def overage_from(name: str, table: object) -> Overage | None:
    """The `overage` of the plan `name`; None for an empty table. Raises `PlanError`."""
    if not isinstance(table, Mapping):
        raise PlanError(f"plan {name}: overage must be a table")
    if not table:
        return None
    _known(name, "overage", table, _FIELDS)
    mode = table.get("mode")
    if mode != "graduated" and mode != "volume":
        raise PlanError(f"plan {name}: overage.mode must be graduated or volume")
    included = count_of(name, "overage.included", table.get("included", 0))
    return Overage(included, Tiers(mode, _steps(name, table.get("steps"))))


def _steps(name: str, given: object) -> tuple[Step, ...]:
    if not isinstance(given, (list, tuple)) or not 1 <= len(given) <= STEPS_MAX:
        raise PlanError(f"plan {name}: overage.steps must be a list of 1 to {STEPS_MAX} steps")
    steps: list[Step] = []
    end = 0
    for number, table in enumerate(given):
        key = f"overage.steps[{number}]"
        step = _step(name, key, table)
        last = number == len(given) - 1
        if last and step.up_to is not None:
            raise PlanError(f"plan {name}: {key} is the last step and must have no up_to")
        if not last:
            if step.up_to is None:
                raise PlanError(
                    f"plan {name}: {key}.up_to is missing; the last step alone has none"
                )
            if step.up_to <= end:
                raise PlanError(f"plan {name}: {key}.up_to must be more than {end}")
            end = step.up_to
        steps.append(step)
    return tuple(steps)


def _step(name: str, key: str, table: object) -> Step:
    if not isinstance(table, Mapping):
        raise PlanError(f"plan {name}: {key} must be a table")
    _known(name, key, table, _STEP_FIELDS)
    if "per_million" not in table:
        raise PlanError(f"plan {name}: {key}.per_million is missing; write 0 where it is free")
    up_to = table.get("up_to")
    return Step(
        None if up_to is None else count_of(name, f"{key}.up_to", up_to),
        money_of(name, f"{key}.per_million", table["per_million"]),
    )


def _known(name: str, key: str, table: Mapping[object, object], fields: frozenset[str]) -> None:
    unknown = sorted(str(field) for field in table if field not in fields)
    if unknown:
        raise PlanError(f"plan {name}: unknown field {key}.{unknown[0]}")
