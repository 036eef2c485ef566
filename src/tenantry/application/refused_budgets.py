"""Tells that a hard budget refuses, which can be before its last share is settled.

Owns: noticing the refusal beside the request, which waits for nothing here. A budget is told of
once a period and limit, by its alert's key. A worker asks whether a refusal is news after
`AGAIN_S`, or after `SOON_S` where the budget has another amount left than before, as where its
limit was changed; so a client that keeps knocking costs a look in a dictionary.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from decimal import Decimal

from tenantry.application.owned_tasks import OwnedTasks
from tenantry.domain.errors import Unavailable
from tenantry.domain.ids import TenantId
from tenantry.ports.admission import Refused
from tenantry.ports.alerts import RefusedBudgets
from tenantry.ports.clock import Clock

AGAIN_S = 60.0
SOON_S = 1.0
TELLING_MAX = 64  # under way or waiting: they must not take the places of calls
NOTED_MAX = 10_000  # budgets; past it all are forgotten, and asked for again
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Noted:
    at: float  # monotonic
    left: Decimal | None


class RefusedBudgetTeller:
    """One for each worker. Hears of refusals that a caller is told, of no other verdict: a budget
    that shortens an answer refuses nothing."""

    def __init__(self, budgets: RefusedBudgets, tasks: OwnedTasks, clock: Clock) -> None:
        self._budgets = budgets
        self._tasks = tasks
        self._clock = clock
        self._noted: dict[tuple[TenantId, str], _Noted] = {}
        self._telling = 0
        self._one_by_one = asyncio.Lock()  # of the few control connections at most one is taken

    def note(self, tenant_id: TenantId, refused: Refused) -> None:
        """Returns at once; the alert is raised by a task beside the request."""
        if refused.code != "budget" or not refused.limit:
            return
        now, key = self._clock.monotonic(), (tenant_id, refused.limit)
        before = self._noted.get(key)
        if before is not None:
            quiet_s = AGAIN_S if before.left == refused.budget_left else SOON_S
            if now < before.at + quiet_s:
                return
        if self._telling >= TELLING_MAX:
            return  # the next refusal tells
        if len(self._noted) >= NOTED_MAX:
            self._noted.clear()
        self._noted[key] = _Noted(now, refused.budget_left)
        try:
            telling = self._tasks.start(self._tell(*key), name="refused-budget")
        except Unavailable:
            del self._noted[key]  # too many calls under way: the next refusal tells
            return
        self._telling += 1
        telling.add_done_callback(self._ended)

    def _ended(self, _: asyncio.Task[None]) -> None:
        self._telling -= 1

    async def _tell(self, tenant_id: TenantId, budget: str) -> None:
        try:
            async with self._one_by_one:
                await self._budgets.raise_refused(tenant_id, budget)
        except Unavailable as outage:
            self._noted.pop((tenant_id, budget), None)
            _log.warning("a refused budget is told of later: %s", outage.message)
