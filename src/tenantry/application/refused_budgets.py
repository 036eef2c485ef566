"""Tells that a hard budget refuses, which can be before its last share is settled.

Owns: noticing the refusal beside the request, which waits for nothing here. A budget is told of
once a period, by its alert's key; a worker asks again after `AGAIN_S` only, so that a client that
keeps knocking costs a look in a dictionary.
"""

from __future__ import annotations

import asyncio
import logging

from tenantry.application.owned_tasks import OwnedTasks
from tenantry.domain.errors import Unavailable
from tenantry.domain.ids import TenantId
from tenantry.ports.admission import Refused
from tenantry.ports.alerts import RefusedBudgets
from tenantry.ports.clock import Clock

AGAIN_S = 600.0
NOTED_MAX = 10_000  # budgets; past it all are forgotten, and asked for again
_log = logging.getLogger(__name__)


class RefusedBudgetTeller:
    """One for each worker. Hears of refusals that a caller is told, of no other verdict: a budget
    that shortens an answer refuses nothing."""

    def __init__(self, budgets: RefusedBudgets, tasks: OwnedTasks, clock: Clock) -> None:
        self._budgets = budgets
        self._tasks = tasks
        self._clock = clock
        self._noted: dict[tuple[TenantId, str], float] = {}
        self._one_by_one = asyncio.Lock()  # of the few control connections at most one is taken

    def note(self, tenant_id: TenantId, refused: Refused) -> None:
        """Returns at once; the alert is raised by a task beside the request."""
        if refused.code != "budget" or not refused.limit:
            return
        now, key = self._clock.monotonic(), (tenant_id, refused.limit)
        if now < self._noted.get(key, now):
            return
        if len(self._noted) >= NOTED_MAX:
            self._noted.clear()
        self._noted[key] = now + AGAIN_S
        try:
            self._tasks.start(self._tell(*key), name="refused-budget")
        except Unavailable:
            del self._noted[key]  # too many calls under way: the next refusal tells

    async def _tell(self, tenant_id: TenantId, budget: str) -> None:
        try:
            async with self._one_by_one:
                await self._budgets.raise_refused(tenant_id, budget)
        except Unavailable as outage:
            self._noted.pop((tenant_id, budget), None)
            _log.warning("a refused budget is told of later: %s", outage.message)
