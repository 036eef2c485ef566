"""Tells that a hard budget refuses, which can be before its last share is settled.

Owns: noticing the refusal beside the request, which waits for nothing here. A budget is told of
once a period, by its alert's key; a worker asks again after `AGAIN_S` only, so that a client that
keeps knocking costs a look in a dictionary.
"""

from __future__ import annotations

import asyncio
import logging
from uuid import UUID

from tenantry.application.owned_tasks import OwnedTasks
from tenantry.domain.errors import Unavailable
from tenantry.domain.ids import TenantId
from tenantry.ports.admission import (
    AdmissionPort,
    Admitted,
    Intent,
    Refused,
    Reservation,
    Settled,
    Settlement,
)
from tenantry.ports.alerts import RefusedBudgets
from tenantry.ports.clock import Clock

AGAIN_S = 600.0
NOTED_MAX = 10_000  # budgets; past it all are forgotten, and asked for again
_log = logging.getLogger(__name__)


class TellingAdmission:
    """An `AdmissionPort` in front of another one."""

    def __init__(
        self, port: AdmissionPort, budgets: RefusedBudgets, tasks: OwnedTasks, clock: Clock
    ) -> None:
        self._port = port
        self._budgets = budgets
        self._tasks = tasks
        self._clock = clock
        self._noted: dict[tuple[TenantId, str], float] = {}
        self._one_by_one = asyncio.Lock()  # of the few control connections at most one is taken

    async def admit(self, reservation: Reservation) -> Admitted | Refused:
        verdict = await self._port.admit(reservation)
        if isinstance(verdict, Refused) and verdict.code == "budget" and verdict.limit:
            self._note(reservation.tenant_id, verdict.limit)
        return verdict

    async def begin(self, tenant_id: TenantId, request_id: UUID, intent: Intent) -> None:
        await self._port.begin(tenant_id, request_id, intent)

    async def settle(self, settlement: Settlement) -> Settled:
        return await self._port.settle(settlement)

    def _note(self, tenant_id: TenantId, budget: str) -> None:
        now, key = self._clock.monotonic(), (tenant_id, budget)
        if now < self._noted.get(key, now):
            return
        if len(self._noted) >= NOTED_MAX:
            self._noted.clear()
        self._noted[key] = now + AGAIN_S
        try:
            self._tasks.start(self._tell(tenant_id, budget), name="refused-budget")
        except Unavailable:
            del self._noted[key]  # too many calls under way: the next refusal tells

    async def _tell(self, tenant_id: TenantId, budget: str) -> None:
        try:
            async with self._one_by_one:
                await self._budgets.raise_refused(tenant_id, budget)
        except Unavailable as outage:
            self._noted.pop((tenant_id, budget), None)
            _log.warning("a refused budget is told of later: %s", outage.message)
