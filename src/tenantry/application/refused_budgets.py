"""Tells that a hard budget refuses, which can be before its last share is settled.

Owns: noticing the refusal beside the request, which waits for nothing here. A budget is told of
once a period and limit, by its alert's key. A worker asks at once of a limit or period that it has
not asked of, and after `AGAIN_S` of the same; so a client that keeps knocking costs a look in a
dictionary.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from tenantry.application.owned_tasks import OwnedTasks
from tenantry.domain.errors import Unavailable
from tenantry.domain.ids import TenantId
from tenantry.ports.admission import Refused
from tenantry.ports.alerts import RefusedBudgets
from tenantry.ports.clock import Clock

AGAIN_S = 60.0
TELLING_MAX = 64  # under way or waiting: they must not take the places of calls
NOTED_MAX = 10_000  # limits; past it all are forgotten, and asked for again
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Limit:
    """What an alert is raised of once."""

    tenant_id: TenantId
    budget: str
    amount: Decimal
    unit: str
    resets_at: datetime | None


class RefusedBudgetTeller:
    """One for each worker. Hears of refusals that a caller is told, of no other verdict: a budget
    that shortens an answer refuses nothing."""

    def __init__(self, budgets: RefusedBudgets, tasks: OwnedTasks, clock: Clock) -> None:
        self._budgets = budgets
        self._tasks = tasks
        self._clock = clock
        self._noted: dict[_Limit, float] = {}  # when it was asked of, monotonic
        self._telling = 0
        self._one_by_one = asyncio.Lock()  # of the few control connections at most one is taken

    def note(self, tenant_id: TenantId, refused: Refused) -> None:
        """Returns at once; the alert is raised by a task beside the request."""
        budget = refused.budget
        if budget is None:
            return
        now = self._clock.monotonic()
        limit = _Limit(tenant_id, refused.limit, budget.limit, budget.unit, refused.resets_at)
        before = self._noted.get(limit)
        if before is not None and now < before + AGAIN_S:
            return
        if self._telling >= TELLING_MAX:
            return  # the next refusal tells
        if len(self._noted) >= NOTED_MAX:
            self._noted.clear()
        self._noted[limit] = now
        try:
            telling = self._tasks.start(self._tell(limit, refused), name="refused-budget")
        except Unavailable:
            del self._noted[limit]  # too many calls under way: the next refusal tells
            return
        self._telling += 1
        telling.add_done_callback(self._ended)

    def _ended(self, _: asyncio.Task[None]) -> None:
        self._telling -= 1

    async def _tell(self, limit: _Limit, refused: Refused) -> None:
        try:
            async with self._one_by_one:
                await self._budgets.raise_refused(limit.tenant_id, refused)
        except Unavailable as outage:
            self._noted.pop(limit, None)
            _log.warning("a refused budget is told of later: %s", outage.message)
