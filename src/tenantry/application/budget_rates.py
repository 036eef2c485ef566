"""Balances at the rates that are known: what a command that was ended left, the worker finishes.

A rate is entered in one commit, and balances follow it in many. What is left of them is found by
comparison, so it does not matter who began. A request that was under way while a rate was entered
may open a balance at the rate of before, after its tenant was looked at: all are compared until
`SETTLED_S` after the newest rate, and then no more until there is another.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from tenantry.application.round import Round
from tenantry.ports.billing import Contracts

EVERY_S: Final = 20.0
SETTLED_S: Final = 60.0  # longer than any transaction of ours is open


def rates_round(contracts: Contracts) -> Round:
    """Its work returns of how many tenants a balance was converted."""
    settled: datetime | None = None

    async def convert() -> int:
        nonlocal settled
        newest, now = await contracts.rates_entered()
        if newest == settled:
            return 0
        converted = await contracts.convert_budgets()
        if newest is not None and now - newest > timedelta(seconds=SETTLED_S):
            settled = newest
        return converted

    return Round("rates", EVERY_S, convert)
