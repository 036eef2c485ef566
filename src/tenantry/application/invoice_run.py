"""The monthly run: every tenant's period that is due is drafted, and finalised or put to review.

Restartable anywhere: what is due is read from the database, each tenant's invoice is one commit,
and a period that is closed is not due any more. One tenant's trouble is recorded with its reason
and stops no other; it is tried again every `AGAIN_S`. What only waits for a roll-up is tried again
in the next round. A period whose invoice is void waits for the
person who voided it: it is told as a trouble, and made final by hand.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from tenantry.application.invoicing import (
    NO_ISSUER,
    finalise_invoice,
    store_for_review,
)
from tenantry.application.round import Round
from tenantry.domain.errors import Busy, Conflict, TenantryError, Unavailable
from tenantry.domain.ids import TenantId
from tenantry.domain.invoice import content_sha256
from tenantry.domain.party import Issuer
from tenantry.ports.billing import Contracts, DuePeriod, InvoiceBook, Outcome
from tenantry.ports.clock import Clock

Mode = Literal["off", "review", "automatic"]

RUN_EVERY_S = 60.0
PLANS_EVERY_S = 1.0
PLAN_CHANGES_MAX = 1_000  # in one commit
AGAIN_S = 3_600  # after a trouble
PAGE = 100  # tenants in one reading
AT_ONCE = 2  # tenants; each has a connection of its own
PASSES_MAX = 240  # periods that one tenant may be behind
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RunTally:
    """How many periods came to what."""

    final: int = 0
    review: int = 0
    nothing: int = 0
    trouble: int = 0
    waiting: int = 0  # for a roll-up that is under way


async def run_due(
    book: InvoiceBook,
    clock: Clock,
    issuer: Issuer | None,
    *,
    mode: Mode,
    after_s: int = 0,
    again_s: int = AGAIN_S,
) -> RunTally:
    """One round over all tenants, in pages. `after_s`: how long after its end a period is due.

    Raises `Conflict`, before anything is tried, where no number may be given.
    """
    counts: Counter[Outcome] = Counter()
    waiting: set[TenantId] = set()
    if mode == "off":
        return RunTally()
    if issuer is None:
        _log.warning("no invoice is made: %s", NO_ISSUER)
        return RunTally()
    if mode == "automatic":
        await book.check_numbers()
    tried_before = await book.now() - timedelta(seconds=again_s)
    for _ in range(PASSES_MAX):
        found = await _pass(book, clock, issuer, mode, after_s, tried_before, waiting)
        counts.update(found)
        if not any(outcome in ("final", "nothing") for outcome in found):
            break  # nobody has moved on to a further period
    counts["trouble"] += await book.tell_freed(tried_before)
    return RunTally(
        counts["final"], counts["review"], counts["nothing"], counts["trouble"], len(waiting)
    )


async def _pass(
    book: InvoiceBook,
    clock: Clock,
    issuer: Issuer,
    mode: Mode,
    after_s: int,
    tried_before: datetime,
    waiting: set[TenantId],
) -> list[Outcome]:
    """What came of each; who only waits is added to `waiting`, and is not tried again."""
    outcomes: list[Outcome] = []
    slots = asyncio.Semaphore(AT_ONCE)

    async def one(due: DuePeriod) -> None:
        async with slots:
            outcome = await _one(book, clock, issuer, mode, due)
            if outcome is None:
                waiting.add(due.tenant_id)
            else:
                outcomes.append(outcome)

    after = ""
    while page := await _due(book, after, tried_before, after_s, mode):
        lost: list[Unavailable] = []
        try:
            async with asyncio.TaskGroup() as running:
                for due in page:
                    if due.tenant_id in waiting:
                        continue
                    running.create_task(one(due))
        except* Unavailable as outages:
            # What is raised in here would come in a group of its own. No task has a group within.
            lost = [each for each in outages.exceptions if isinstance(each, Unavailable)]
        if lost:
            raise lost[0]
        after = page[-1].tenant_id
    return outcomes


async def _due(
    book: InvoiceBook, after: str, tried_before: datetime, after_s: int, mode: Mode
) -> Sequence[DuePeriod]:
    return await book.due(
        after,
        PAGE,
        tried_before=tried_before,
        grace_s=after_s,
        again_in_review=mode == "automatic",
    )


async def _one(
    book: InvoiceBook, clock: Clock, issuer: Issuer, mode: Mode, due: DuePeriod
) -> Outcome | None:
    """One tenant's period; None: it waits. An outage ends the round; whatever else happens is this
    tenant's."""
    try:
        if mode == "review":
            drafted = await store_for_review(book, issuer, due.tenant_id, due.period)
            if drafted is not None:
                await book.record_run(due, "review", content_sha256(drafted))
                return "review"
        done = await finalise_invoice(book, clock, issuer, due.tenant_id, due.period)
        return "nothing" if done.number is None else "final"
    except Unavailable:
        raise
    except Busy as refusal:
        _log.info("the invoice of %s waits: %s", due.tenant_id, refusal.message)
        return None
    except TenantryError as refusal:
        await book.record_run(due, "trouble", refusal.message)
    except Exception as fault:
        _log.exception("the invoice of %s failed", due.tenant_id)
        await book.record_run(due, "trouble", f"a fault of Tenantry: {type(fault).__name__}")
    return "trouble"


def billing_rounds(
    book: InvoiceBook,
    contracts: Contracts,
    clock: Clock,
    issuer: Issuer | None,
    *,
    mode: Mode,
    after_s: int,
) -> list[Round]:
    """Changes of plan at their time, and, where there is an issuer, the monthly run."""

    async def apply_plans() -> object:
        return await contracts.apply_plan_changes(PLAN_CHANGES_MAX)

    plans = Round("plan-changes", PLANS_EVERY_S, apply_plans)
    if issuer is None:
        _log.info("invoices are drafts only: %s", NO_ISSUER)
        return [plans]

    async def invoice() -> object:
        try:
            tally = await run_due(book, clock, issuer, mode=mode, after_s=after_s)
        except Conflict:
            return None  # the round of the numbers tells of it
        if tally.trouble:
            _log.warning("alert: %d invoices could not be made", tally.trouble)
        return tally

    return [plans, Round("invoices", RUN_EVERY_S, invoice)]
