"""At least once, under one id, with pauses that grow, until it is given up; whatever fails."""

import json
import tracemalloc
from datetime import timedelta
from typing import Any

import asyncpg
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

from tenantry.adapters.postgres.deliveries import PostgresDeliveries
from tenantry.application.delivery import (
    ALERTS,
    BATCH_MAX,
    EVERYTHING,
    FOR_STRIPE,
    LEASE,
    ROUTE_MAX,
    Outside,
)
from tenantry.domain.backoff import ATTEMPTS_MAX, GIVE_UP_AFTER
from tenantry.ports.delivery import Delivery, DeliveryFailed, Route
from tenantry.ports.outbox import PLATFORM, TEST_NOTICE, Notice

ALL = Route("webhook", EVERYTHING)


def around(sink: Any) -> Outside:
    return outside(ALL, webhook=sink)


def test_a_notice_goes_once_to_each_sink_that_hears_of_it(database: Database) -> None:
    async def body(world: World) -> None:
        clock, webhook, mail, stripe = StillClock(), Recorder(), Recorder(), Recorder()
        desk = PostgresDeliveries(world.databases.control)
        await desk.link_stripe(world.bert.tenant_id, "cus_bert")
        set_up = outside(
            ALL,
            Route("mail", ALERTS),
            Route("stripe", FOR_STRIPE, linked=True),
            webhook=webhook,
            mail=mail,
            stripe=stripe,
        )
        await enqueue(world, "platform.clock_skew")
        await enqueue(world, "brand_new.word", tenant_id=world.anna.tenant_id)
        for who in (world.anna, world.bert):
            invoice = {"number": f"INV-{who.tenant.name}"}
            await enqueue(world, "invoice.finalised", invoice, tenant_id=who.tenant_id)
        await enqueue(world, "job.finished", tenant_id=world.bert.tenant_id)
        worker = deliverer(world, set_up, clock)
        await run_rounds(worker, 3)
        assert sorted(d.kind for d in webhook.got) == [
            "brand_new.word",
            "invoice.finalised",
            "invoice.finalised",
            "job.finished",
            "platform.clock_skew",
        ]
        assert sorted(d.kind for d in mail.got) == ["brand_new.word", "platform.clock_skew"]
        assert [(d.tenant_id, d.customer_id) for d in stripe.got] == [
            (world.bert.tenant_id, "cus_bert")
        ]
        assert {state for _, state, _, _ in await states(world)} == {"delivered"}

    in_world(database, body)


def test_pauses_grow_and_it_arrives_under_the_same_id(database: Database) -> None:
    async def body(world: World) -> None:
        clock = StillClock()
        sink = Recorder(*(DeliveryFailed("busy") for _ in range(3)))
        worker = deliverer(world, around(sink), clock)
        await enqueue(world)
        await run_rounds(worker, 2)
        assert await states(world) == [("webhook", "pending", 1, "busy")]
        for pause_s in (5, 10, 20):
            seen = len(sink.got)
            clock.pass_by(seconds=pause_s - 0.001)
            await run_rounds(worker)
            assert len(sink.got) == seen, "not before its time"
            clock.pass_by(seconds=0.001)
            await run_rounds(worker)
            assert len(sink.got) == seen + 1
        assert len({d.notice_id for d in sink.got}) == 1
        assert await states(world) == [("webhook", "delivered", 4, None)]

    in_world(database, body)


def test_it_is_given_up_after_three_days_and_begun_anew_when_asked(database: Database) -> None:
    async def body(world: World) -> None:
        clock = StillClock()
        sink = Recorder(*(DeliveryFailed("away\x00\ud800 " + "x" * 900) for _ in range(100)))
        desk = PostgresDeliveries(world.databases.control)
        worker = deliverer(world, around(sink), clock)
        await enqueue(world)
        began = clock.now()
        await run_rounds(worker)
        while (await states(world))[0][1] == "pending":
            due = (await world.fetch("SELECT next_at FROM delivery"))[0][0]
            clock.at = max(clock.at, due)
            await run_rounds(worker)
        assert clock.now() - began == GIVE_UP_AFTER
        assert len(sink.got) < ATTEMPTS_MAX
        [(_, state, attempts, error)] = await states(world)
        assert (state, attempts) == ("dead", len(sink.got))
        assert error is not None
        assert len(error) == 500
        assert await desk.counts() == {"dead": 1, "pending": 0}
        [listed] = await desk.listed("dead", 10)
        assert await desk.retry(listed.notice_id, "mail", clock.now()) == 0
        assert await desk.retry(listed.notice_id, None, clock.now()) == 1
        assert await desk.retry(listed.notice_id, None, clock.now()) == 0, "it is on its way"
        sink.failures.clear()
        await run_rounds(worker)
        assert await states(world) == [("webhook", "delivered", 1, None)]

    in_world(database, body)


def test_what_is_dismissed_is_counted_no_more_until_it_is_begun_anew(database: Database) -> None:
    async def body(world: World) -> None:
        clock = StillClock()
        webhook, mail = (Recorder(DeliveryFailed("no", final=True)) for _ in range(2))
        set_up = outside(ALL, Route("mail", ALERTS), webhook=webhook, mail=mail)
        desk = PostgresDeliveries(world.databases.control)
        worker = deliverer(world, set_up, clock)
        await enqueue(world)
        assert await desk.dismiss((await desk.listed(None, 10))[0].notice_id, None) == 0
        await run_rounds(worker)
        notice = (await desk.listed("dead", 10))[0].notice_id
        for _ in range(2):
            assert await desk.dismiss(notice, "webhook") == 1
            assert await desk.counts() == {"dead": 1, "pending": 0}
        assert [row.sink for row in await desk.listed("dead", 10)] == ["mail"]
        told = {row.sink: (row.state, row.last_error) for row in await desk.listed(None, 10)}
        assert told == {"webhook": ("dismissed", "no"), "mail": ("dead", "no")}
        assert await desk.dismiss(notice, None) == 2
        assert await desk.counts() == {"dead": 0, "pending": 0}
        await run_rounds(worker)
        assert await desk.retry(notice, None, clock.now()) == 2
        await run_rounds(worker)
        assert {row.state for row in await desk.listed(None, 10)} == {"delivered"}

    in_world(database, body)


def test_a_test_is_told_by_its_id_and_counted_nowhere(database: Database) -> None:
    async def body(world: World) -> None:
        sink = Recorder(*(DeliveryFailed("gone", final=True) for _ in range(2)))
        desk = PostgresDeliveries(world.databases.control)
        first, second = [
            await desk.report(Notice(PLATFORM, TEST_NOTICE, key, {})) for key in ("one", "two")
        ]
        assert await desk.report(Notice(PLATFORM, TEST_NOTICE, "one", {})) is None
        worker = deliverer(world, around(sink), StillClock())
        await run_rounds(worker)
        for test in (first, second):
            [row] = await desk.listed(None, 1, test)
            assert (row.notice_id, row.state) == (test, "dead")
        assert await desk.counts() == {"dead": 0, "pending": 0}

    in_world(database, body)


def test_what_no_repetition_can_help_is_dead_at_once(database: Database) -> None:
    async def body(world: World) -> None:
        sink = Recorder(DeliveryFailed("unreadable", final=True))
        worker = deliverer(world, around(sink), StillClock())
        await enqueue(world)
        await run_rounds(worker, 3)
        assert await states(world) == [("webhook", "dead", 1, "unreadable")]

    in_world(database, body)


def test_a_poison_notice_stops_none_of_the_others(database: Database) -> None:
    class Choking:
        def __init__(self) -> None:
            self.got: list[Delivery] = []

        async def deliver(self, delivery: Delivery) -> None:
            self.got.append(delivery)
            if delivery.body.get("poison"):
                raise KeyError("a fault of ours")

    async def body(world: World) -> None:
        sink = Choking()
        worker = deliverer(world, around(sink), StillClock())
        await enqueue(world, body={"poison": True})
        for _ in range(3 * BATCH_MAX):
            await enqueue(world)
        await run_rounds(worker, 2)
        found = await states(world)
        assert sorted({state for _, state, _, _ in found}) == ["delivered", "pending"]
        assert [error for _, state, _, error in found if state == "pending"] == ["fault: KeyError"]
        assert len(sink.got) == 1 + 3 * BATCH_MAX

    in_world(database, body)


def test_a_notice_that_ends_its_worker_runs_out_of_attempts(database: Database) -> None:
    async def body(world: World) -> None:
        clock, sink = StillClock(), Recorder()
        deliveries = PostgresDeliveries(world.databases.control)
        await enqueue(world)
        worker = deliverer(world, around(sink), clock)
        await worker.route()
        for _ in range(ATTEMPTS_MAX):  # leased, and never heard of again
            now = clock.now()
            assert len(await deliveries.claim("webhook", now, now + LEASE, 10)) == 1
            assert await deliveries.claim("webhook", now, now + LEASE, 10) == []
            clock.pass_by(seconds=LEASE.total_seconds())
        await run_rounds(worker)
        assert sink.got == []
        [(_, state, _, error)] = await states(world)
        assert (state, error) == ("dead", "every attempt ended with its worker")

    in_world(database, body)


def test_a_late_attempt_does_not_end_what_another_has_taken_over(database: Database) -> None:
    async def body(world: World) -> None:
        clock = StillClock()
        deliveries = PostgresDeliveries(world.databases.control)
        await enqueue(world)
        await deliverer(world, around(Recorder()), clock).route()
        [late] = await deliveries.claim("webhook", clock.now(), clock.now() + LEASE, 1)
        clock.pass_by(seconds=LEASE.total_seconds())
        [present] = await deliveries.claim("webhook", clock.now(), clock.now() + LEASE, 1)
        assert not await deliveries.bury(late, clock.now(), "too late")
        assert not await deliveries.postpone(late, clock.now(), "too late")
        assert await deliveries.delivered(present, clock.now())
        assert not await deliveries.delivered(present, clock.now())

    in_world(database, body)


def test_a_sink_that_is_no_more_set_up_keeps_what_it_is_owed(database: Database) -> None:
    async def body(world: World) -> None:
        clock, sink = StillClock(), Recorder()
        await enqueue(world)
        await deliverer(world, around(Recorder()), clock).route()
        await run_rounds(deliverer(world, outside(), clock))
        assert (await states(world))[0][1] == "pending"
        await run_rounds(deliverer(world, around(sink), clock))
        assert len(sink.got) == 1

    in_world(database, body)


def test_old_notices_go_in_batches_and_what_is_owed_stays(database: Database) -> None:
    async def body(world: World) -> None:
        clock = StillClock()
        deliveries = PostgresDeliveries(world.databases.control)
        sink = Recorder(DeliveryFailed("later"))
        worker = deliverer(world, around(sink), clock)
        await enqueue(world, "owed.still")
        await run_rounds(worker)
        for _ in range(5):
            await enqueue(world)
        await run_rounds(worker)
        assert await worker.purge(timedelta(days=400)) == 0
        clock.pass_by(days=401)
        await enqueue(world, "new.one")
        before = clock.now() - timedelta(days=400)
        assert await deliveries.purge(before, 2) == 2
        await world.as_superuser(
            "UPDATE tenantry.notice SET created_at = now() + '401 days' WHERE kind = 'new.one'"
        )
        assert await worker.purge(timedelta(days=400)) == 3
        left = {row[0] for row in await world.fetch("SELECT kind FROM notice")}
        assert left == {"owed.still", "new.one"}
        assert len(await states(world)) == 1

    in_world(database, body)


def test_a_hundred_thousand_notices_are_not_loaded_at_once(database: Database) -> None:
    async def body(world: World) -> None:
        await world.as_superuser(
            "INSERT INTO tenantry.notice (tenant_id, kind, once_key, body) SELECT '',"
            " 'usage.spike', n::text, jsonb_build_object('pad', repeat('x', 1000))"
            " FROM generate_series(1, 100000) n"
        )
        await world.as_superuser("ANALYZE tenantry.notice")
        worker = deliverer(world, around(Recorder()), StillClock())
        tracemalloc.start()
        assert await worker.route() == 10 * ROUTE_MAX, "the rest is left to later rounds"
        batch = await PostgresDeliveries(world.databases.control).claim(
            "webhook", worker._clock.now(), worker._clock.now() + LEASE, BATCH_MAX
        )
        _, peak_bytes = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert len(batch) == BATCH_MAX
        assert peak_bytes < 2_000_000
        plan = await world.databases.control.fetch(
            "EXPLAIN SELECT FROM notice WHERE routed_at IS NULL ORDER BY created_at LIMIT 500"
        )
        assert "notice_unrouted" in str(plan)

    in_world(database, body)


@pytest.mark.parametrize("role", ["app", "operator"])
def test_neither_the_app_nor_the_operator_writes_or_reads_secrets(
    database: Database, role: Any
) -> None:
    async def body(world: World) -> None:
        pool = getattr(world.databases, role)
        for statement in (
            "SELECT * FROM webhook_endpoint",
            "SELECT * FROM stripe_customer",
            "SELECT * FROM stripe_invoice",
            "DELETE FROM delivery",
            "UPDATE notice SET routed_at = NULL",
            "DELETE FROM notice",
        ):
            with pytest.raises(
                (asyncpg.InsufficientPrivilegeError, asyncpg.ReadOnlySQLTransactionError)
            ):
                await pool.execute(statement)

    in_world(database, body)


def test_a_body_keeps_its_figures(database: Database) -> None:
    async def body(world: World) -> None:
        sink = Recorder()
        exact = {"excess": 12345678901234567, "amount": "0.10", "share": 0.1}
        await enqueue(world, body=exact)
        await run_rounds(deliverer(world, around(sink), StillClock()))
        assert json.loads(json.dumps(sink.got[0].body, default=str)) == {**exact, "share": "0.1"}

    in_world(database, body)
