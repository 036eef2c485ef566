"""Tells of budgets that were half, nearly or wholly spent; never on the way of a request.

A share is that of what was settled. Each is told once in a period, and once more only of a limit
that is higher than all of which it was told: a jump tells all that it passes, a restart or a second
worker nothing again, a lowered limit what it makes due for the first time, and a limit that is
raised and lowered by turns nothing after its first turn. In another currency, where the contract's
has changed, a limit is another one. A limit of 0 has no shares.
"""

from __future__ import annotations

from tenantry.domain.ids import TenantId
from tenantry.ports.alerts import BudgetAlerts

TENANTS_PAGE = 200
ALERTS_PAGE = 500  # in one transaction
PAGES_MAX = 10_000  # of a round: more than there are tenants; it ends whatever the pages say


async def alert_budgets(budgets: BudgetAlerts, *, all_of_them: bool) -> int:
    """One round over the tenants whose balances may have moved lately, or over all. Returns how
    many alerts were raised.
    """
    raised, after = 0, ""
    for _ in range(PAGES_MAX):
        page = await budgets.moved_tenants(after, TENANTS_PAGE, all_of_them=all_of_them)
        if not page:
            break
        raised += await _of_page(budgets, page)
        after = page[-1]
    return raised


async def _of_page(budgets: BudgetAlerts, page: list[TenantId]) -> int:
    raised = 0
    for _ in range(PAGES_MAX):
        told = await budgets.raise_crossed(page, ALERTS_PAGE)
        raised += told
        if told == 0:  # also where another worker told of the same ones just now
            break
    return raised
