"""Tenants whose endpoints have much to hear give their lanes to others in turn."""

import dataclasses
from collections import Counter
from datetime import datetime

import pytest
from tests.support.ledger import World, in_world
from tests.support.outbox import (
    Recorder,
    StillClock,
    deliverer,
    enqueue,
    outside,
    run_rounds,
    states,
)
from tests.support.postgres import Database

from tenantry.application import endpoint_turns
from tenantry.application.delivery import BATCH_MAX, Deliverer
from tenantry.application.endpoint_turns import SLOW_S
from tenantry.domain.backoff import REST
from tenantry.ports.delivery import Delivery, DeliveryFailed, Route

BATCHES = 12
ANNA, BERT, CARL = (
    Route("hook:anna", "^anna"),
    Route("hook:bert", "^bert"),
    Route("hook:c", "^carl"),
)


class Busy:
    """Takes whatever it is given, `batch_s` for a batch; rounds go on meanwhile."""

    def __init__(self, clock: StillClock, batch_s: float) -> None:
        self.got: list[str] = []
        self.worker: Deliverer | None = None
        self._clock, self._batch_s = clock, batch_s

    async def deliver(self, delivery: Delivery) -> None:
        self.got.append(delivery.sink)
        if len(self.got) % BATCH_MAX == 0:
            self._clock.pass_by(seconds=self._batch_s)
            assert self.worker is not None
            await self.worker.deliver()


async def run_out(world: World, worker: Deliverer) -> None:
    for _ in range(3 * BATCHES):
        await run_rounds(worker)
    assert {state for _, state, _, _ in await states(world)} == {"delivered"}


@pytest.mark.parametrize("batch_s", [1.0, SLOW_S])
def test_one_that_has_much_to_hear_gives_its_lane_to_those_that_wait(
    database: Database, monkeypatch: pytest.MonkeyPatch, batch_s: float
) -> None:
    monkeypatch.setattr(endpoint_turns, "LANES_MAX", 1)
    monkeypatch.setattr(endpoint_turns, "SLOW_LANES_MAX", 1)

    async def body(world: World) -> None:
        clock = StillClock()
        sink = Busy(clock, batch_s)
        worker = sink.worker = deliverer(world, outside(ANNA, BERT, CARL, hook=sink), clock)
        anna, bert = world.anna.tenant_id, world.bert.tenant_id
        for _ in range(BATCHES * BATCH_MAX):
            await enqueue(world, "anna.one", tenant_id=anna)
            await enqueue(world, "bert.one", tenant_id=bert)
        await run_rounds(worker, 1)
        await enqueue(world, "carl.one", tenant_id="tnt_carl")
        seen = len(sink.got)
        await run_out(world, worker)
        turn = BATCH_MAX * (1 + int(endpoint_turns.TURN_S // batch_s))
        assert sink.got.index("hook:c") - seen <= 2 * turn, "it waits for a turn of each"
        half = Counter(sink.got[: len(sink.got) // 2])
        assert abs(half["hook:anna"] - half["hook:bert"]) <= turn, "and they take turns"

    in_world(database, body)


@dataclasses.dataclass
class Stepping(StillClock):
    """Its time of day may step; its seconds do not."""

    steady_s: float = 0.0

    def monotonic(self) -> float:
        return self.steady_s

    def pass_by(self, **time: float) -> None:
        before: datetime = self.at
        super().pass_by(**time)
        self.steady_s += (self.at - before).total_seconds()


def test_a_clock_that_steps_back_lengthens_no_rest(database: Database) -> None:
    async def body(world: World) -> None:
        clock, sink = Stepping(), Recorder(DeliveryFailed("no"))
        worker = deliverer(world, outside(ANNA, hook=sink), clock)
        right = clock.at
        clock.at = right.replace(year=right.year + 1)
        await enqueue(world, "anna.one", tenant_id=world.anna.tenant_id)
        await run_rounds(worker)
        clock.at = right
        await enqueue(world, "anna.two", tenant_id=world.anna.tenant_id)
        clock.pass_by(seconds=REST.total_seconds())
        await run_rounds(worker)
        assert [each.kind for each in sink.got] == ["anna.one", "anna.two"]

    in_world(database, body)
