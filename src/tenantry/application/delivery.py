"""Delivers notices to the outside: routes, leases, sends, marks, gives up.

1. `route` chooses the sinks of new notices.
2. `deliver` starts a lane for each sink with something due and no lane of its own.
3. A lane leases a batch, sends its notices beside each other, and ends each: delivered, postponed,
   or dead. Then it ends itself; the next round starts it again.
4. `tell_late` tells operators of what a sink that moves money should have had by now.

Owns: when, how many at once, and when it is given up. Does not own: how a sink is spoken to.
Invariants: a sink that is slow holds its own lane alone, and no number of tenants' endpoints holds
up the operator's sinks; a worker that dies leaves leases that pass, so a notice may arrive twice,
never not at all; what moves money is given up by an operator alone; nothing is held in memory but
the batches of the lanes that run, and how endpoints did of late.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, timedelta
from typing import Final

from tenantry.application.endpoint_turns import EndpointTurns
from tenantry.application.round import Round
from tenantry.domain.backoff import ATTEMPTS_MAX, LONGEST_S, next_attempt, pause
from tenantry.domain.errors import Unavailable
from tenantry.ports.clock import Clock
from tenantry.ports.delivery import (
    LATE_AFTER,
    OWED_FOR_EVER,
    Deliveries,
    Delivery,
    DeliveryFailed,
    Route,
    Sink,
)
from tenantry.ports.outbox import PLATFORM, Notice

DELIVER_EVERY_S = 1.0
PURGE_EVERY_S = 600.0
LATE_EVERY_S = 600.0
LATE_NOTICE = "platform.undelivered"
ROUTE_MAX = 500  # notices in one commit
ROUTE_ROUNDS = 10  # then the rest waits for the next round: 5,000 a second are kept up with
BATCH_MAX = 8  # notices under way to one sink, in one worker
DUE_MAX = 10_000  # names of sinks
LEASE: Final = timedelta(seconds=120)
ATTEMPT_MAX_S: Final = 90.0  # shorter than the lease, so that a live worker marks in time
CLOSE_GRACE_S = 5.0
PURGE_MAX = 1_000
PURGE_ROUNDS = 20
# Regular expressions over kinds. Whatever is not business as usual is an alert: a new kind of it
# reaches who is on call without a change here.
EVERYTHING: Final = "."
ALERTS: Final = r"^(?!(invoice|credit_note|job)\.)"
FOR_STRIPE: Final = r"^(invoice\.(finalised|voided)|credit_note\.issued)$"
# What tenants' own endpoints hear of: bodies without provider cost and markup.
TENANTS_HEAR: Final = r"^(budget|invoice|credit_note|job)\."
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Outside:
    """The sinks that are set up, by the word before the colon of a sink's name, and what each hears
    of.
    """

    sinks: Mapping[str, Sink]
    routes: Sequence[Route]

    def sink(self, name: str) -> Sink | None:
        return self.sinks.get(name.partition(":")[0])


class Deliverer:
    """The lanes of one worker."""

    def __init__(self, deliveries: Deliveries, outside: Outside, clock: Clock) -> None:
        self._deliveries = deliveries
        self._outside = outside
        self._clock = clock
        self._lanes: dict[str, asyncio.Task[None]] = {}
        self._turns = EndpointTurns()
        self._closing = False

    async def route(self) -> int:
        """Chooses the sinks of what is new; returns how many notices there were."""
        routed = 0
        for _ in range(ROUTE_ROUNDS):
            now = self._clock.now()
            count = await self._deliveries.route(self._outside.routes, TENANTS_HEAR, now, ROUTE_MAX)
            routed += count
            if count < ROUTE_MAX:
                break
        return routed

    async def deliver(self) -> None:
        """Starts the lanes that have something to do; waits for none of them."""
        await self.route()
        found = await self._deliveries.due(self._clock.now(), DUE_MAX)
        now_s = self._clock.monotonic()
        for due in self._turns.in_order(found, now_s):
            sink = due.sink
            if sink in self._lanes:
                continue
            if self._outside.sink(sink) is None:
                continue  # was set up once; its deliveries wait until it is again
            if _is_tenants(sink) and not self._turns.take(sink, due.tenant_id, now_s):
                continue
            lane = asyncio.create_task(self._lane(sink), name=f"deliver to {sink}")
            self._lanes[sink] = lane
            lane.add_done_callback(functools.partial(self._ended, sink))

    async def idle(self) -> None:
        """Waits for the lanes that run now."""
        while self._lanes:
            await asyncio.wait(set(self._lanes.values()))

    async def close(self) -> None:
        """Lets what is under way end, for a while; what does not is delivered by another worker
        when its lease has passed.
        """
        self._closing = True
        if self._lanes:
            await asyncio.wait(set(self._lanes.values()), timeout=CLOSE_GRACE_S)
        late = set(self._lanes.values())
        for lane in late:
            lane.cancel()
        if late:
            await asyncio.wait(late)

    async def purge(self, keep: timedelta) -> int:
        """Deletes notices older than `keep`; returns how many."""
        deleted = 0
        for _ in range(PURGE_ROUNDS):
            before = self._clock.now() - keep
            count = await self._deliveries.purge(before, PURGE_MAX, sorted(OWED_FOR_EVER))
            deleted += count
            if count < PURGE_MAX:
                break
        return deleted

    async def tell_late(self) -> bool:
        """Tells once a day of what sinks that move money do not have since a day or longer; whether
        it was told now.
        """
        now = self._clock.now()
        sinks = sorted(OWED_FOR_EVER)
        late = await self._deliveries.overdue(sinks, now - LATE_AFTER)
        if late.oldest_at is None:
            return False
        summary = (
            f"{' and '.join(sinks)} should have had {late.pending + late.dead} invoices, voids or"
            f" credit notes for more than a day: {late.dead} wait for a person"
        )
        body = {
            "summary": summary,
            "pending": late.pending,
            "dead": late.dead,
            "oldest_at": late.oldest_at.astimezone(UTC).isoformat(),
            "numbers": list(late.numbers),
            "at": now.astimezone(UTC).isoformat(),
        }
        day = now.astimezone(UTC).date().isoformat()
        if await self._deliveries.report(Notice(PLATFORM, LATE_NOTICE, day, body)) is None:
            return False
        _log.warning("alert: %s: tenantry stripe waiting", summary)
        return True

    def _ended(self, sink: str, _: asyncio.Task[None]) -> None:
        del self._lanes[sink]
        self._turns.give_back(sink, self._clock.monotonic())

    async def _lane(self, sink: str) -> None:
        try:
            while not self._closing:
                now, began_s = self._clock.now(), self._clock.monotonic()
                batch = await self._deliveries.claim(sink, now, now + LEASE, BATCH_MAX)
                if not batch:
                    return
                attempts = (self._attempt(delivery) for delivery in batch)
                # All of them end before the first fault is told: none runs on unwatched.
                ended = await asyncio.gather(*attempts, return_exceptions=True)
                for fault in ended:
                    if isinstance(fault, BaseException):
                        raise fault
                if _is_tenants(sink):
                    now_s, took = self._clock.monotonic(), any(ended)
                    if not self._turns.go_on(sink, now_s, took=took, lasted_s=now_s - began_s):
                        return
                if len(batch) < BATCH_MAX:
                    return
        except Unavailable as outage:
            _log.warning("deliveries to %s have to wait: %s", sink, outage.message)
        except Exception:
            # A fault of ours ends this lane; the next round starts another one.
            _log.exception("a lane of deliveries failed: %s", sink)

    async def _attempt(self, delivery: Delivery) -> bool:
        """Whether the sink took it."""
        owed = delivery.sink in OWED_FOR_EVER
        if delivery.attempts > ATTEMPTS_MAX and owed:
            # If it ends this worker as well, then once in so long.
            again = self._clock.now() + timedelta(seconds=LONGEST_S)
            await self._deliveries.postpone(delivery, again, "an attempt ended with its worker")
        elif delivery.attempts > ATTEMPTS_MAX:
            await self._bury(delivery, "every attempt ended with its worker")
            return False
        sink = self._outside.sink(delivery.sink)
        assert sink is not None, "a lane has a sink"
        try:
            async with asyncio.timeout(ATTEMPT_MAX_S):
                await sink.deliver(delivery)
        except DeliveryFailed as failure:
            anew = owed and not failure.answered
            await self._failed(delivery, failure.message, final=failure.final, anew=anew)
        except TimeoutError:
            await self._failed(delivery, f"took longer than {ATTEMPT_MAX_S:.0f} s", anew=owed)
        except Exception as fault:
            # A notice that a sink cannot even read must not end the lane of all the others.
            _log.exception("a delivery to %s failed by a fault of ours", delivery.sink)
            await self._failed(delivery, f"fault: {type(fault).__name__}", anew=owed)
        else:
            await self._deliveries.delivered(delivery, self._clock.now())
            return True
        return False

    async def _failed(
        self, delivery: Delivery, error: str, *, final: bool = False, anew: bool = False
    ) -> None:
        """`anew`: the sink was away, so how long it was asked counts from now on."""
        now = self._clock.now()
        chance = int.from_bytes(self._clock.random(4), "big") / 2**32
        rest = self._turns.rest(delivery.sink) if _is_tenants(delivery.sink) else timedelta()
        again = None
        if not final:
            again = next_attempt(delivery.attempts, delivery.since, now, chance, rest)
        if again is None and not final and delivery.sink in OWED_FOR_EVER:
            again = now + pause(delivery.attempts, chance)
        if again is None:
            await self._bury(delivery, error)
        else:
            await self._deliveries.postpone(delivery, again, error, now if anew else None)

    async def _bury(self, delivery: Delivery, error: str) -> None:
        _log.error(
            "alert: notice %s (%s) is dead at %s after %d attempts: %s",
            delivery.notice_id,
            delivery.kind,
            delivery.sink,
            delivery.attempts,
            error,
        )
        await self._deliveries.bury(delivery, self._clock.now(), error)


def _is_tenants(sink: str) -> bool:
    """Whether a sink is one of the many that tenants name."""
    return ":" in sink


@contextlib.asynccontextmanager
async def delivery_rounds(
    deliveries: Deliveries, outside: Outside, clock: Clock, *, keep: timedelta
) -> AsyncIterator[list[Round]]:
    """The rounds that deliver and clear up; at the end of the block what is under way is left."""
    deliverer = Deliverer(deliveries, outside, clock)

    async def purge() -> object:
        return await deliverer.purge(keep)

    try:
        yield [
            Round("deliver", DELIVER_EVERY_S, deliverer.deliver),
            Round("purge-notices", PURGE_EVERY_S, purge),
            Round("undelivered", LATE_EVERY_S, deliverer.tell_late),
        ]
    finally:
        await deliverer.close()
