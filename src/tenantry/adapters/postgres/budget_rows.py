"""From rows of budgets with their balances to what is told of them. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tenantry.domain import money
from tenantry.domain.budget import BudgetKey

PLAN = "plan"  # the subject of the plan's own monthly budget


def to_budget(row: Mapping[str, Any]) -> dict[str, Any]:
    """One budget: its limit, what is settled and reserved of its present period, what is left.

    `id` is None for the plan's own, which is set with the plan.
    """
    key = BudgetKey(row["subject"], row["period"], row["basis"])
    scope, scope_id = key.scope
    settled = money.ZERO if row["settled"] is None else row["settled"]
    reserved = money.ZERO if row["reserved"] is None else row["reserved"]
    return {
        "id": None if scope == PLAN else key.id,
        "scope": scope,
        "scope_id": scope_id,
        "period": key.period,
        "basis": key.basis,
        "limit": row["amount"],
        "currency": row["currency"] if key.basis == "charge" else "USD",
        "hard": row["hard"],
        "settled": settled,
        "reserved": reserved,
        "remaining": max(money.less(row["amount"], settled, reserved), money.ZERO),
        "resets_at": row["resets_at"],
        "set_by": row["set_by"],
    }


def to_limit(row: Mapping[str, Any]) -> dict[str, Any]:
    """The same among a tenant's other limits."""
    budget = to_budget(row)
    plan = budget["scope"] == PLAN
    return {
        "name": "monthly_budget" if plan else f"budget {row['subject']}",
        "used": money.total((budget["settled"], budget["reserved"])),
        **{name: value for name, value in budget.items() if name not in ("scope", "scope_id")},
    }
