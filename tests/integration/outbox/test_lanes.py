"""How many at once: a slow sink delays itself alone, and workers share without sending twice."""

import asyncio

from tests.support.ledger import World, in_world
from tests.support.outbox import (
    Recorder,
    StillClock,
    deliverer,
    enqueue,
    outside,
    rounds_until,
    run_rounds,
    states,
    until,
)
from tests.support.postgres import Database

from tenantry.application.delivery import BATCH_MAX, EVERYTHING, LANES_MAX
from tenantry.ports.delivery import Delivery, DeliveryFailed, Route

ALL = Route("webhook", EVERYTHING)


def test_one_slow_sink_stops_no_other(database: Database) -> None:
    class Stuck:
        def __init__(self) -> None:
            self.under_way = 0
            self.most = 0
            self.free = asyncio.Event()

        async def deliver(self, _: Delivery) -> None:
            self.under_way += 1
            self.most = max(self.most, self.under_way)
            await self.free.wait()
            self.under_way -= 1

    async def body(world: World) -> None:
        stuck, quick = Stuck(), Recorder()
        set_up = outside(ALL, Route("mail", EVERYTHING), webhook=stuck, mail=quick)
        worker = deliverer(world, set_up, StillClock())
        for _ in range(2 * BATCH_MAX + 1):
            await enqueue(world)
        await worker.deliver()
        await until(lambda: len(quick.got) == 2 * BATCH_MAX + 1)
        await enqueue(world)
        await rounds_until(worker, lambda: len(quick.got) == 2 * BATCH_MAX + 2)
        assert stuck.most == BATCH_MAX, "and no more than its share at once"
        stuck.free.set()
        await worker.idle()
        assert {state for _, state, _, _ in await states(world)} == {"delivered"}

    in_world(database, body)


def test_several_workers_share_without_sending_twice(database: Database) -> None:
    async def body(world: World) -> None:
        clock, sink = StillClock(), Recorder()
        workers = [deliverer(world, outside(ALL, webhook=sink), clock) for _ in range(4)]
        for _ in range(100):
            await enqueue(world)
        for _ in range(3):
            await asyncio.gather(*(run_rounds(worker) for worker in workers))
        ids = [d.notice_id for d in sink.got]
        assert len(ids) == len(set(ids)) == 100

    in_world(database, body)


def test_no_number_of_tenants_endpoints_holds_up_the_operators_sinks(database: Database) -> None:
    class Stuck:
        def __init__(self) -> None:
            self.got = 0
            self.free = asyncio.Event()

        async def deliver(self, _: Delivery) -> None:
            self.got += 1
            await self.free.wait()
            raise DeliveryFailed("slow")

    async def body(world: World) -> None:
        clock, stuck, mail, other = StillClock(), Stuck(), Recorder(), Recorder()
        names = [f"slow:n{number}" for number in range(LANES_MAX)]
        routes = [Route(name, EVERYTHING) for name in names]
        set_up = outside(
            *routes,
            Route("mail", EVERYTHING),
            Route("well:one", "^late"),
            slow=stuck,
            mail=mail,
            well=other,
        )
        worker = deliverer(world, set_up, clock)
        for _ in range(2 * BATCH_MAX):
            await enqueue(world)
        await worker.deliver()
        await until(lambda: stuck.got == LANES_MAX * BATCH_MAX)
        await enqueue(world, "late.one")
        await rounds_until(worker, lambda: len(mail.got) == 2 * BATCH_MAX + 1)
        assert other.got == [], "every lane of tenants is taken"
        stuck.free.set()
        await worker.idle()
        await run_rounds(worker)
        assert len(other.got) == 1, "those that took nothing rest, and it is another's turn"
        assert stuck.got == LANES_MAX * BATCH_MAX
        clock.pass_by(seconds=30)
        await run_rounds(worker)
        assert stuck.got > LANES_MAX * BATCH_MAX

    in_world(database, body)


def test_lanes_are_bounded(database: Database) -> None:
    class Waiting:
        def __init__(self) -> None:
            self.sinks: set[str] = set()
            self.free = asyncio.Event()

        async def deliver(self, delivery: Delivery) -> None:
            self.sinks.add(delivery.sink)
            await self.free.wait()

    async def body(world: World) -> None:
        sink = Waiting()
        names = [f"webhook:n{number}" for number in range(LANES_MAX + 5)]
        set_up = outside(*(Route(name, EVERYTHING) for name in names), webhook=sink)
        worker = deliverer(world, set_up, StillClock())
        await enqueue(world)
        await worker.deliver()
        await until(lambda: len(sink.sinks) == LANES_MAX)
        await worker.deliver()
        assert len(sink.sinks) == LANES_MAX
        sink.free.set()
        await worker.idle()
        await run_rounds(worker)
        assert sink.sinks == set(names)

    in_world(database, body)
