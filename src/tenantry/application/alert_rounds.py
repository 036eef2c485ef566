"""The rounds of alerts: budgets' shares, and the hours of all tenants.

| every | does |
|---|---|
| `BUDGETS_EVERY_S` | tells of budgets of tenants whose balances may have moved lately |
| `ALL_BUDGETS_EVERY_S` | looks at all: true-ups, lowered limits, a worker that was away |
| `WATCH_EVERY_S` | judges the hours that have become final, and forecasts months |
"""

from __future__ import annotations

from functools import partial

from tenantry.application.budget_alerts import alert_budgets
from tenantry.application.round import Round
from tenantry.application.usage_watch import watch_usage
from tenantry.domain.anomaly import Floor, Settings
from tenantry.ports.alerts import BudgetAlerts, UsageHours, UsageWatch

BUDGETS_EVERY_S = 5.0
ALL_BUDGETS_EVERY_S = 600.0
WATCH_EVERY_S = 60.0


def alert_rounds(
    budgets: BudgetAlerts, watch: UsageWatch, hours: UsageHours, floor: Floor
) -> list[Round]:
    """What tells an operator of money before the bill does."""

    async def watch_all() -> object:
        return await watch_usage(watch, hours, await watch.now(), Settings(floor))

    moved = partial(alert_budgets, budgets, all_of_them=False)
    every = partial(alert_budgets, budgets, all_of_them=True)
    return [
        Round("budget-alerts", BUDGETS_EVERY_S, moved),
        Round("all-budget-alerts", ALL_BUDGETS_EVERY_S, every),
        Round("usage-watch", WATCH_EVERY_S, watch_all),
    ]
