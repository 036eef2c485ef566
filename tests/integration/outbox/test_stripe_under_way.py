"""A push that an operator dismisses while it runs goes on at Stripe: its void comes after it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

from tests.support.outbox import run_rounds
from tests.support.postgres import Database
from tests.support.stripe_shop import POSTS, Shop, in_shop, invoice

from tenantry.application.delivery import LEASE

NUMBER = "INV-2027-0001"
VOID = {"number": NUMBER}


async def owed_to(shop: Shop, who: str) -> dict[str, tuple[UUID, str]]:
    """What Stripe does not have of a tenant, by its kind: the notice and its state."""
    owed = await shop.desk.owed("stripe", 10)
    return {each.kind: (each.notice_id, each.state) for each in owed if each.tenant_id == who}


async def dismiss_push(shop: Shop) -> UUID:
    notice_id, _ = (await owed_to(shop, shop.world.anna.tenant_id))["invoice.finalised"]
    assert await shop.desk.dismiss(notice_id, "stripe") == 1
    return notice_id


def by_customer(shop: Shop) -> dict[str, str]:
    return {each["customer"]: each["status"] for each in shop.stand_in.invoices.values()}


async def lease_passes(shop: Shop, worker: Any) -> None:
    shop.pass_by(seconds=LEASE / timedelta(seconds=1))
    await run_rounds(worker)


def test_a_void_waits_for_a_push_that_was_dismissed_while_it_ran(database: Database) -> None:
    async def body(shop: Shop) -> None:
        anna, bert = shop.world.anna.tenant_id, shop.world.bert.tenant_id
        worker, other = shop.worker(), shop.worker()
        await shop.desk.link_stripe(bert, "cus_other")
        await shop.finalise(invoice("INV-bert"), bert)
        await run_rounds(worker)

        seen: list[Any] = []

        async def dismissed_and_voided() -> None:
            await dismiss_push(shop)
            await shop.say("invoice.voided", VOID)
            await shop.say("invoice.voided", {"number": "INV-bert"}, bert)
            await run_rounds(other)
            seen.extend([await owed_to(shop, anna), await owed_to(shop, bert)])

        shop.stand_in.meanwhile = dismissed_and_voided
        await shop.finalise(invoice(NUMBER))
        await run_rounds(worker)
        [of_anna, of_bert] = seen
        assert {kind: state for kind, (_, state) in of_anna.items()} == {
            "invoice.voided": "pending"
        }
        assert of_bert == {}, "a void waits for its own invoice's push alone"
        assert by_customer(shop) == {"cus_anna": "open", "cus_other": "void"}
        await lease_passes(shop, other)
        assert by_customer(shop) == {"cus_anna": "void", "cus_other": "void"}
        assert await owed_to(shop, anna) == {}

    in_shop(database, body)


def test_what_was_dismissed_while_it_ran_is_taken_up_again_after_it(database: Database) -> None:
    async def body(shop: Shop) -> None:
        worker, other = shop.worker(), shop.worker()

        seen: list[Any] = []

        async def dismissed_voided_and_retried() -> None:
            notice_id = await dismiss_push(shop)
            await shop.say("invoice.voided", VOID)
            seen.append(await shop.desk.retry(notice_id, "stripe", shop.clock.now()))
            await run_rounds(other)
            seen.append(len(await owed_to(shop, shop.world.anna.tenant_id)))
            await dismiss_push(shop)
            seen.append(await shop.desk.send(notice_id, "stripe", shop.clock.now()))
            await run_rounds(other)
            seen.append(len(await owed_to(shop, shop.world.anna.tenant_id)))

        shop.stand_in.meanwhile = dismissed_voided_and_retried
        await shop.finalise(invoice(NUMBER))
        await run_rounds(worker)
        assert seen == [1, 2, True, 2]
        assert by_customer(shop) == {"cus_anna": "open"}
        for _ in range(2):
            await lease_passes(shop, other)
        assert by_customer(shop) == {"cus_anna": "void"}
        assert await owed_to(shop, shop.world.anna.tenant_id) == {}

    in_shop(database, body)


def test_a_push_that_failed_before_it_was_dismissed_holds_up_no_void(database: Database) -> None:
    async def body(shop: Shop) -> None:
        worker = shop.worker()
        shop.stand_in.break_post(POSTS - 1, "cut")
        await shop.finalise(invoice(NUMBER))
        await run_rounds(worker)
        await dismiss_push(shop)
        await shop.say("invoice.voided", VOID)
        await run_rounds(worker)
        assert by_customer(shop) == {"cus_anna": "void"}
        assert await owed_to(shop, shop.world.anna.tenant_id) == {}

    in_shop(database, body)
