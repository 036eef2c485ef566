"""`ports.admission.AdmissionPort` over the batcher."""

from __future__ import annotations

from uuid import UUID

from tenantry.adapters.postgres import batch_words
from tenantry.adapters.postgres.batcher import Batcher, Undo
from tenantry.domain.errors import Unavailable
from tenantry.domain.ids import TenantId
from tenantry.ports.admission import (
    Admitted,
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
        row = batch_words.to_reservation_row(reservation)
        undo = Undo(reservation.tenant_id, reservation.first, final=True)
        at, verdict = await self._batcher.submit("admit", reservation.request_id, [row], undo)
        return batch_words.from_admission_verdict(at, verdict)

    async def begin(self, tenant_id: TenantId, request_id: UUID, intent: Intent) -> None:
        row = batch_words.to_begin_row(tenant_id, request_id, intent)
        undo = Undo(tenant_id, intent, final=False)
        _, is_open = await self._batcher.submit("begin", request_id, [row], undo)
        if not is_open:
            raise Unavailable(
                "The request was given up while the ledger was out of reach; nothing was charged."
            )

    async def settle(self, settlement: Settlement) -> Settled:
        rows = batch_words.to_outcome_rows(settlement)
        at, posted = await self._batcher.submit("settle", settlement.request_id, rows)
        return Settled(at, posted)
