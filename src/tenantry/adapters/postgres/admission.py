"""`ports.admission.AdmissionPort` over the batcher."""

from __future__ import annotations

from uuid import UUID

from tenantry.adapters.postgres import batch_words
from tenantry.adapters.postgres.batcher import Batcher
from tenantry.domain.errors import Unavailable
from tenantry.domain.ids import TenantId
from tenantry.ports.admission import (
    Admitted,
    AttemptOutcome,
    Intent,
    Refused,
    Reservation,
    Settled,
    Settlement,
)


class PostgresAdmission:
    """One for each worker; the batcher is started and closed by who made it."""

    def __init__(self, batcher: Batcher) -> None:
        self._batcher = batcher

    async def admit(self, reservation: Reservation) -> Admitted | Refused:
        undo = _never_sent(
            reservation.tenant_id, reservation.request_id, reservation.first, final=True
        )
        row = batch_words.to_reservation_row(reservation)
        verdict = await self._batcher.submit("admit", reservation.request_id, row, undo)
        return batch_words.from_admission_verdict(verdict)

    async def begin(self, tenant_id: TenantId, request_id: UUID, intent: Intent) -> None:
        undo = _never_sent(tenant_id, request_id, intent, final=False)
        row = (tenant_id, request_id, batch_words.to_intent_row(intent))
        verdict = await self._batcher.submit("begin", request_id, row, undo)
        if not verdict["yes"]:
            raise Unavailable("The reservation is gone: the sweep ended it.")

    async def settle(self, settlement: Settlement) -> Settled:
        row = batch_words.to_settlement_row(settlement)
        verdict = await self._batcher.submit("settle", settlement.request_id, row)
        return batch_words.from_settlement_verdict(verdict)


def _never_sent(
    tenant_id: TenantId, request_id: UUID, intent: Intent, *, final: bool
) -> Settlement:
    outcome = AttemptOutcome(intent.call, intent.attempt, "released", charged=False)
    return Settlement(request_id, tenant_id, (outcome,), final)
