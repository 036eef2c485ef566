"""What moves money is tried until Stripe has it, however long that takes, or until a word."""

from datetime import timedelta
from typing import Any

import pytest
from tests.support.outbox import Recorder, deliverer, outside, run_rounds, states
from tests.support.postgres import Database
from tests.support.stripe_shop import Shop, forget_customers, in_shop, invoice

from tenantry.application.delivery import LATE_NOTICE
from tenantry.domain.backoff import ATTEMPTS_MAX, LONGEST_S
from tenantry.ports.delivery import Route


async def rounds_for(shop: Shop, worker: Any, hours: int) -> None:
    for _ in range(hours):
        shop.pass_by(hours=1)
        await run_rounds(worker)


async def open_states(shop: Shop) -> list[tuple[str, str | None]]:
    return [
        (state, error) for _, state, _, error in await states(shop.world) if state != "delivered"
    ]


async def say_void(shop: Shop, number: str) -> None:
    """Later than the invoice: its notice keeps the time that it has."""
    old = shop.clock.at
    at = await shop.world.fetch("SELECT notice_id, created_at FROM notice")
    await shop.say("invoice.voided", {"number": number})
    for row in at:
        await shop.world.as_superuser(
            "UPDATE tenantry.notice SET created_at = $1 WHERE notice_id = $2",
            row["created_at"], row["notice_id"],
        )  # fmt: skip
    assert shop.clock.at == old


@pytest.mark.parametrize("customer", [None, "cus_other"])
def test_a_void_is_not_done_where_stripe_does_not_find_what_it_has(
    database: Database, customer: str | None
) -> None:
    async def body(shop: Shop) -> None:
        anna, worker = shop.world.anna.tenant_id, shop.worker()
        await shop.finalise(invoice())
        await run_rounds(worker)
        [made] = shop.stand_in.invoices.values()
        shop.pass_by(hours=1)
        await forget_customers(shop)
        assert await shop.desk.unlink_stripe(anna)
        if customer is not None:
            await shop.desk.link_stripe(anna, customer)
        shop.stand_in.away, shop.stand_in.search_finds = True, False
        await say_void(shop, "INV-2027-0001")
        await rounds_for(shop, worker, 30)
        shop.stand_in.away = False
        await rounds_for(shop, worker, 5 * 24)
        [(state, error)] = await open_states(shop)
        assert state == "pending" and "does not find it" in str(error)
        assert made["status"] == "open"
        shop.stand_in.search_finds = True
        await rounds_for(shop, worker, 5)
        assert (made["status"], await open_states(shop)) == ("void", [])

    in_shop(database, body)


def test_what_stripe_may_not_have_is_looked_for_a_day_from_the_last_outage_on(
    database: Database,
) -> None:
    async def body(shop: Shop) -> None:
        worker = shop.worker()
        await shop.finalise(invoice())
        await worker.route()
        await shop.desk.unlink_stripe(shop.world.anna.tenant_id)
        await run_rounds(worker)  # dead: no customer
        shop.stand_in.away = True
        await say_void(shop, "INV-2027-0001")
        await rounds_for(shop, worker, 30)
        shop.stand_in.away = False
        await rounds_for(shop, worker, 20)
        assert "pending" in [state for state, _ in await open_states(shop)]
        await rounds_for(shop, worker, 12)
        assert "pending" not in [state for state, _ in await open_states(shop)]

    in_shop(database, body)


def test_an_outage_of_weeks_gives_up_neither_invoice_nor_void(database: Database) -> None:
    async def body(shop: Shop) -> None:
        worker = shop.worker()
        await shop.finalise(invoice("INV-void"))
        await run_rounds(worker)
        shop.pass_by(hours=1)
        shop.stand_in.away = True
        await say_void(shop, "INV-void")
        await shop.finalise(invoice("INV-later"))
        await rounds_for(shop, worker, 14 * 24)
        assert [state for state, _ in await open_states(shop)] == ["pending"] * 2
        attempts = [count for _, state, count, _ in await states(shop.world) if state == "pending"]
        assert all(ATTEMPTS_MAX < count < 40 + 14 * 6 for count in attempts), "every 4 h at most"
        shop.stand_in.away = False
        await rounds_for(shop, worker, 5)
        assert await open_states(shop) == []
        statuses = {
            each["metadata"]["tenantry_invoice"]: each["status"]
            for each in shop.stand_in.invoices.values()
        }
        assert statuses == {"INV-void": "void", "INV-later": "open"}

    in_shop(database, body)


def test_what_waits_is_seen_told_once_a_day_and_ended_by_a_word(database: Database) -> None:
    async def body(shop: Shop) -> None:
        worker = shop.worker()
        shop.stand_in.away = True
        await shop.finalise(invoice("INV-anna"))
        await shop.finalise(invoice("INV-bert"), shop.world.bert.tenant_id)
        await run_rounds(worker)
        assert not await worker.tell_late()
        await rounds_for(shop, worker, 25)
        [owed] = await shop.desk.owed("stripe", 10)
        assert (owed.number, owed.state, owed.tenant_id) == (
            "INV-anna", "pending", shop.world.anna.tenant_id,
        )  # fmt: skip
        late = await shop.desk.overdue(["stripe"], shop.clock.at - timedelta(days=1))
        assert (late.pending, late.dead, late.numbers) == (1, 0, ["INV-anna"])
        assert await worker.tell_late()
        assert not await worker.tell_late(), "once a day"
        [notice] = await shop.world.fetch(
            "SELECT tenant_id, body ->> 'pending' FROM notice WHERE kind = $1", LATE_NOTICE
        )
        assert tuple(notice) == ("", "1")
        assert await shop.desk.dismiss(owed.notice_id, None) == 0, "it is not dead"
        assert await shop.desk.dismiss(owed.notice_id, "mail") == 0
        assert await shop.desk.dismiss(owed.notice_id, "stripe") == 1
        assert await shop.desk.owed("stripe", 10) == []
        shop.stand_in.away = False
        await rounds_for(shop, worker, 5)
        assert shop.stand_in.invoices == {}
        assert (await shop.desk.overdue(["stripe"], shop.clock.at)).oldest_at is None
        assert await shop.desk.retry(owed.notice_id, "stripe", shop.clock.now()) == 1
        await run_rounds(worker)
        assert len(shop.stand_in.collected) == 1

    in_shop(database, body)


def test_a_void_waits_for_a_stripe_that_is_not_set_up_meanwhile(database: Database) -> None:
    async def body(shop: Shop) -> None:
        await shop.finalise(invoice())
        await run_rounds(shop.worker())
        shop.pass_by(hours=1)
        await say_void(shop, "INV-2027-0001")
        without = deliverer(
            shop.world, outside(Route("webhook", "."), webhook=Recorder()), shop.clock
        )
        await run_rounds(without, 2)
        [owed] = await shop.desk.owed("stripe", 10)
        assert owed.kind == "invoice.voided"
        shop.pass_by(hours=25)
        assert await without.tell_late()
        await run_rounds(shop.worker())
        assert [each["status"] for each in shop.stand_in.invoices.values()] == ["void"]

    in_shop(database, body)


def test_what_is_left_to_a_person_is_kept_until_it_is_dismissed(database: Database) -> None:
    async def body(shop: Shop) -> None:
        worker = shop.worker()
        await shop.finalise(invoice())
        await run_rounds(worker)
        [made] = shop.stand_in.invoices.values()
        made["status"] = "paid"
        shop.pass_by(hours=1)
        await say_void(shop, "INV-2027-0001")
        await run_rounds(worker)
        [owed] = await shop.desk.owed("stripe", 10)
        assert (owed.state, "refund it there" in str(owed.last_error)) == ("dead", True)
        shop.pass_by(days=500)
        await worker.purge(timedelta(days=400))
        assert len(await shop.desk.owed("stripe", 10)) == 1
        assert await shop.desk.dismiss(owed.notice_id, "stripe") == 1
        assert await worker.purge(timedelta(days=400)) == 1

    in_shop(database, body)


def test_what_ends_every_worker_is_tried_at_a_bounded_pace(database: Database) -> None:
    async def body(shop: Shop) -> None:
        worker = shop.worker()
        await shop.finalise(invoice())
        await worker.route()
        await shop.world.as_superuser("UPDATE tenantry.delivery SET attempts = $1", ATTEMPTS_MAX)
        asked: list[Any] = []

        async def killed(delivery: Any) -> None:
            asked.append(delivery)
            raise MemoryError  # as if the process were gone: nothing is marked

        shop.sink.deliver = killed  # type: ignore[method-assign]
        failed, worker._failed = worker._failed, _nothing  # type: ignore[method-assign]
        await run_rounds(worker)
        [row] = await shop.world.fetch("SELECT next_at, state FROM delivery")
        assert (row["state"], len(asked)) == ("pending", 1)
        assert row["next_at"] == shop.clock.at + timedelta(seconds=LONGEST_S)
        assert failed is not None

    in_shop(database, body)


async def _nothing(*_: Any, **__: Any) -> None:
    return None
