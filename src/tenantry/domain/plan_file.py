"""Plans as one TOML file: what `plans apply` reads and what Tenantry ships.

Each table is a plan, named by its heading; its fields are those of `domain/plan.py`.
"""

from __future__ import annotations

import tomllib
from typing import Any

from tenantry.domain.plan import plan_from
from tenantry.domain.plan_values import PlanError


def plan_tables_from_toml(text: str) -> dict[str, dict[str, Any]]:
    """The tables by plan name, each checked by `plan_from`. Raises `PlanError`.

    Money stands in quotes: TOML's own numbers with a fraction are binary and are refused.
    """
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise PlanError(f"the file of plans is not TOML: {error}") from None
    tables: dict[str, dict[str, Any]] = {}
    for name, table in document.items():
        if not isinstance(table, dict):
            raise PlanError(f"{name} stands outside of any plan; a plan is a table, like [free]")
        plan_from(name, table)
        tables[name] = table
    if not tables:
        raise PlanError("the file holds no plan")
    return tables
