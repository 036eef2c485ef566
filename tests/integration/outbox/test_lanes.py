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

from tenantry.application.delivery import BATCH_MAX, EVERYTHING
from tenantry.application.endpoint_turns import LANES_MAX, SLOW_LANES_MAX, SLOW_S
from tenantry.domain.backoff import REST
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


class Stuck:
    """Takes nothing until it is freed, and then refuses that or, with `takes`, takes it."""

    def __init__(self, *, takes: bool = False) -> None:
        self.got: list[Delivery] = []
        self.free = asyncio.Event()
        self.takes = takes

    async def deliver(self, delivery: Delivery) -> None:
        self.got.append(delivery)
        await self.free.wait()
        if not self.takes:
            raise DeliveryFailed("slow")

    def sinks(self) -> set[str]:
        return {delivery.sink for delivery in self.got}


async def enqueue_for(world: World, number: int, count: int = 1) -> None:
    """For tenant and endpoint of that number; see `own`."""
    for _ in range(count):
        await enqueue(world, kind_of(number), tenant_id=f"tnt_{number}")


def own(sink: str, number: int) -> Route:
    return Route(f"{sink}:n{number}", f"^{kind_of(number)}$")


def kind_of(number: int) -> str:
    return f"own.{'abcdefghij'[number // 10]}{'abcdefghij'[number % 10]}"


def test_no_number_of_tenants_endpoints_holds_up_the_operators_sinks(database: Database) -> None:
    async def body(world: World) -> None:
        clock, stuck, mail, other = StillClock(), Stuck(), Recorder(), Recorder()
        set_up = outside(
            *(own("slow", number) for number in range(LANES_MAX)),
            Route("mail", EVERYTHING),
            own("well", LANES_MAX),
            slow=stuck,
            mail=mail,
            well=other,
        )
        worker = deliverer(world, set_up, clock)
        for number in range(LANES_MAX):
            await enqueue_for(world, number, BATCH_MAX + 1)
        await worker.deliver()
        await until(lambda: len(stuck.got) == LANES_MAX * BATCH_MAX)
        await enqueue_for(world, LANES_MAX)
        await rounds_until(worker, lambda: len(mail.got) == LANES_MAX * (BATCH_MAX + 1) + 1)
        assert other.got == [], "every lane of tenants is taken"
        clock.pass_by(seconds=SLOW_S)
        stuck.free.set()
        await worker.idle()
        await run_rounds(worker)
        assert len(other.got) == 1, "those that took nothing rest, and it is another's turn"
        assert len(stuck.got) == LANES_MAX * BATCH_MAX
        stuck.got.clear()
        stuck.free.clear()
        clock.pass_by(seconds=REST.total_seconds())
        await worker.deliver()
        await until(lambda: len(stuck.got) == SLOW_LANES_MAX * BATCH_MAX)
        await enqueue_for(world, LANES_MAX)
        await rounds_until(worker, lambda: len(other.got) == 2)
        assert len(stuck.sinks()) == SLOW_LANES_MAX, "what was slow has few lanes"
        stuck.free.set()
        await worker.idle()

    in_world(database, body)


def test_lanes_are_bounded(database: Database) -> None:
    async def body(world: World) -> None:
        sink = Stuck(takes=True)
        numbers = range(LANES_MAX + 5)
        set_up = outside(*(own("webhook", number) for number in numbers), webhook=sink)
        worker = deliverer(world, set_up, StillClock())
        for number in numbers:
            await enqueue_for(world, number)
        await worker.deliver()
        await until(lambda: len(sink.sinks()) == LANES_MAX)
        await worker.deliver()
        assert len(sink.sinks()) == LANES_MAX
        sink.free.set()
        await worker.idle()
        await run_rounds(worker)
        assert len(sink.sinks()) == LANES_MAX + 5

    in_world(database, body)


def test_a_tenants_endpoints_hold_up_its_own_alone(database: Database) -> None:
    async def body(world: World) -> None:
        clock, stuck, quick = StillClock(), Stuck(), Recorder()
        set_up = outside(
            Route("slow:one", "^anna"),
            Route("slow:two", "^anna"),
            Route("quick:hers", "^anna"),
            Route("quick:his", "^bert"),
            slow=stuck,
            quick=quick,
        )
        worker = deliverer(world, set_up, clock)
        anna, bert = world.anna.tenant_id, world.bert.tenant_id
        await enqueue(world, "anna.one", tenant_id=anna)
        await enqueue(world, "bert.one", tenant_id=bert)
        for count in (1, 2):
            stuck.free.clear()
            await rounds_until(worker, lambda so_far=count: len(stuck.got) == so_far)
            await rounds_until(worker, lambda: "quick:his" in {each.sink for each in quick.got})
            clock.pass_by(seconds=SLOW_S)
            stuck.free.set()
            await worker.idle()
        await run_rounds(worker, 2)
        assert sorted(each.sink for each in quick.got) == ["quick:hers", "quick:his"]
        assert sorted(each.sink for each in stuck.got) == ["slow:one", "slow:two"]
        stuck.got.clear()
        stuck.free.clear()
        clock.pass_by(seconds=REST.total_seconds())
        await enqueue(world, "anna.two", tenant_id=anna)
        await worker.deliver()
        await rounds_until(worker, lambda: len(quick.got) == 3 and len(stuck.got) > 0)
        await worker.deliver()  # begins no second one
        assert len(stuck.sinks()) == 1, "one slow lane a tenant, and a quick one beside it"
        stuck.free.set()
        await worker.idle()

    in_world(database, body)


def test_what_does_not_end_in_time_comes_ever_more_rarely_and_says_when(
    database: Database,
) -> None:
    async def body(world: World) -> None:
        clock = StillClock()

        class Hanging:
            hangs = True

            async def deliver(self, _: Delivery) -> None:
                if self.hangs:
                    clock.pass_by(seconds=20)
                    raise DeliveryFailed("the receiver did not answer in time")

        sink = Hanging()
        worker = deliverer(world, outside(Route("hook:n1", EVERYTHING), hook=sink), clock)
        rests_s = []
        await enqueue(world, tenant_id=world.anna.tenant_id)
        for _ in range(8):
            await run_rounds(worker)
            began = clock.now()
            await run_rounds(worker)
            assert clock.now() == began, "it rests"
            [(first,)] = await world.fetch("SELECT min(next_at) FROM delivery")
            rests_s.append((first - began).total_seconds())
            clock.at = first
        assert rests_s[:6] == [30, 60, 120, 240, 480, 960]
        assert set(rests_s[6:]) == {960}
        sink.hangs = False
        await run_rounds(worker)
        sink.hangs = True
        await enqueue(world, tenant_id=world.anna.tenant_id)
        await run_rounds(worker)
        [(after,)] = await world.fetch(
            "SELECT min(next_at) FROM delivery WHERE state = 'pending' AND attempts = 1"
        )
        assert (after - clock.now()).total_seconds() == 30, "what it took makes it as before"

    in_world(database, body)


def test_the_next_notice_after_a_full_batch_does_not_wait(database: Database) -> None:
    async def body(world: World) -> None:
        sink = Recorder()
        worker = deliverer(world, outside(own("hook", 1), hook=sink), StillClock())
        await enqueue_for(world, 1, BATCH_MAX)
        await run_rounds(worker)
        await enqueue_for(world, 1)
        await run_rounds(worker)
        assert len(sink.got) == BATCH_MAX + 1

    in_world(database, body)
