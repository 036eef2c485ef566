"""A request that was admitted: its attempts, their intents, and its one settlement.

Owns: that every attempt has a committed intent before it leaves, that all outcomes reach the
ledger in one settlement, and what happens when the ledger cannot take it in time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from decimal import Decimal
from typing import Self
from uuid import UUID

from tenantry.application import metering
from tenantry.application.admission import Admission, PlannedCall
from tenantry.application.context import Progress
from tenantry.application.owned_tasks import OwnedTasks
from tenantry.domain import money
from tenantry.domain.errors import BadRequest, Unavailable, UpstreamRefused
from tenantry.domain.usage import NO_USAGE, Usage
from tenantry.ports.admission import AdmissionPort, AttemptOutcome, Settlement

LATE_SETTLE_TRIES = 120  # with the pauses below: about ten minutes, then the sweeper takes over
LATE_SETTLE_PAUSE_S = 5.0
_OF_THE_CLIENT = (BadRequest, UpstreamRefused)


def _costs(outcome: AttemptOutcome) -> bool:
    return outcome.end == "unknown" or (outcome.end == "settled" and outcome.charged)


class AdmittedRequest:
    """Not safe for concurrent settlement; calls of one request may run side by side. As a context
    manager it settles what its block has used, however that ends."""

    def __init__(
        self,
        port: AdmissionPort,
        admission: Admission,
        request_id: UUID,
        tasks: OwnedTasks,
        settle_wait_ms: int,
        progress: Progress,
    ) -> None:
        self._port = port
        self._tasks = tasks
        self._settle_wait_ms = settle_wait_ms
        self._outcomes: list[AttemptOutcome] = []
        self._progress = progress
        self._begun = 1  # attempts; the first one's intent came with the admission
        self._costly = 0  # outcomes that are charged or unknown
        self._tell()
        self.admission = admission
        self.request_id = request_id
        self.principal = admission.principal

    @property
    def outcomes(self) -> Sequence[AttemptOutcome]:
        return self._outcomes

    async def begin(self, planned: PlannedCall, call: int, attempt: int) -> None:
        """Commits the intent of an attempt; the first one came with the admission."""
        if call or attempt > 1:
            await self._port.begin(
                self.principal.tenant_id,
                self.request_id,
                planned.intent(self.principal, self.admission.prices, call, attempt),
            )
            self._begun += 1
            self._tell()

    def ended(self, outcome: AttemptOutcome) -> None:
        self._outcomes.append(outcome)
        self._costly += _costs(outcome)
        self._tell()

    def _tell(self) -> None:
        self._progress.spent = self._costly > 0 or self._begun > len(self._outcomes)

    @property
    def charge(self) -> Decimal:
        """The list charge of all that was charged, unrounded, in USD."""
        return money.total(
            o.rated.charge for o in self._outcomes if o.rated is not None and o.charged
        )

    @property
    def told_charge(self) -> Decimal | None:
        """The charge, as it may be told; None where some of it is not known yet."""
        return self.charge if self.priced else None

    @property
    def priced(self) -> bool:
        """Whether all that may be charged has a price: what is not known is not said to be 0."""
        rated = [o.rated is not None for o in self._outcomes if o.charged and o.end != "released"]
        return all(rated) and any(o.rated is not None for o in self._outcomes)

    @property
    def usage(self) -> Usage:
        """What the customer is charged for, all calls together."""
        used = [o.usage for o in self._outcomes if o.rated is not None and o.charged]
        return used[0] if len(used) == 1 else sum(used, NO_USAGE)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: object, failure: BaseException | None, traceback: object
    ) -> None:
        if failure is None:
            await self.settle()
        else:
            await self.settle_failed(failure)

    async def settle_failed(self, failure: BaseException) -> None:
        """Settles a request that ends without an answer. What it has used is our waste, unless it
        fails by what the client asked for. Raises as `settle`.
        """
        if not isinstance(failure, _OF_THE_CLIENT):
            self.waste()
        await self.settle()

    def waste(self) -> None:
        """Nothing that was noted so far is the customer's: nobody gets the answer."""
        self._outcomes = [metering.undelivered(outcome) for outcome in self._outcomes]
        self._costly = sum(map(_costs, self._outcomes))
        self._tell()

    async def settle(self) -> None:
        """Durable on return. Raises `Unavailable` after `settle_wait_ms`: nothing is then charged.

        What the ledger could not take in time is posted later as our waste, because the caller
        is told that the request failed; a charge that it did take, unheard, is reversed.
        """
        settlement = self._settlement(self._outcomes)
        try:
            async with asyncio.timeout(self._settle_wait_ms / 1_000):
                await self._port.settle(settlement)
        except (TimeoutError, Unavailable):
            self.waste()
            self._tasks.start(
                self._settle_late(self._settlement(self._outcomes)), name="settle-late"
            )
            raise Unavailable("the ledger cannot be reached; nothing was charged") from None

    def _settlement(self, outcomes: Sequence[AttemptOutcome]) -> Settlement:
        return Settlement(
            request_id=self.request_id,
            tenant_id=self.principal.tenant_id,
            outcomes=tuple(outcomes),
            final=True,
        )

    async def _settle_late(self, settlement: Settlement) -> None:
        for _ in range(LATE_SETTLE_TRIES):
            await asyncio.sleep(LATE_SETTLE_PAUSE_S)
            try:
                await self._port.settle(settlement)
            except Unavailable:
                continue
            return
