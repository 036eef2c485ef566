"""A draft that somebody deletes at Stripe is made again: what moves money is not given up."""

from __future__ import annotations

from typing import Any

import pytest
from tests.support.outbox import run_rounds, states
from tests.support.postgres import Database
from tests.support.stripe_shop import LINES, POSTS, Shop, in_shop, invoice

DUE = ("cus_anna", "usd", 14_238)


def delete_draft(shop: Shop) -> None:
    [draft] = shop.stand_in.invoices.values()
    shop.stand_in._delete(draft)


def test_a_draft_that_was_deleted_between_two_attempts_is_made_again(database: Database) -> None:
    async def body(shop: Shop) -> None:
        worker = shop.worker()
        await shop.finalise(invoice())
        for count in range(3):
            shop.stand_in.break_post(count + POSTS - 1, "500")
            await run_rounds(worker)
            assert (await shop.state())[0] == "pending"
            delete_draft(shop)
            shop.pass_by(minutes=5)
        await run_rounds(worker)
        assert await shop.state() == ("delivered", None)
        assert shop.stand_in.collected == [DUE]
        assert len(shop.stand_in.items) == LINES + 2

    in_shop(database, body)


@pytest.mark.parametrize("before", [1, LINES, POSTS - 1])
def test_a_draft_that_is_deleted_under_a_push_is_made_again(
    database: Database, before: int
) -> None:
    async def body(shop: Shop) -> None:
        posts = 0

        async def deleted() -> None:
            nonlocal posts
            if posts == before:
                delete_draft(shop)
            else:
                posts += 1
                shop.stand_in.meanwhile = deleted

        shop.stand_in.meanwhile = deleted
        await shop.finalise(invoice())
        worker = shop.worker()
        await run_rounds(worker)
        state, error = await shop.state()
        assert state == "pending"
        assert error == "the draft in_0 was deleted at Stripe meanwhile: the next attempt makes one"
        shop.pass_by(minutes=5)
        await run_rounds(worker)
        assert await shop.state() == ("delivered", None)
        assert shop.stand_in.collected == [DUE]

    in_shop(database, body)


def test_drafts_that_are_deleted_again_and_again_are_waited_for(database: Database) -> None:
    async def body(shop: Shop) -> None:
        worker = shop.worker()
        await shop.finalise(invoice())
        for _ in range(6):
            await run_rounds(worker)
            shop.stand_in.invoices.clear()
            shop.stand_in.collected.clear()
            await shop.world.as_superuser(
                "UPDATE tenantry.delivery SET state = 'pending', ended_at = NULL, next_at = since"
            )
        assert (await shop.state())[0] == "pending"
        [(_, _, _, error)] = await states(shop.world)
        assert error == "5 drafts were deleted at Stripe within a day"
        shop.pass_by(days=1)
        await run_rounds(worker)
        assert await shop.state() == ("delivered", None)

    in_shop(database, body)


def test_a_void_whose_draft_is_deleted_meanwhile_has_nothing_left_to_do(
    database: Database,
) -> None:
    async def body(shop: Shop) -> None:
        worker = shop.worker()
        shop.stand_in.break_post(POSTS - 1, "500")
        await shop.finalise(invoice())
        await run_rounds(worker)
        deleting = shop.stand_in._delete

        def gone(draft: Any) -> Any:
            deleting(draft)
            return shop.stand_in._invoice(draft["id"])

        shop.stand_in._delete = gone  # type: ignore[method-assign]
        await shop.say("invoice.voided", {"number": "INV-2027-0001"})
        shop.pass_by(minutes=5)
        for _ in range(3):
            await run_rounds(worker)
            shop.pass_by(minutes=5)
        assert {state for _, state, _, _ in await states(shop.world)} == {"delivered"}
        assert shop.stand_in.invoices == {}

    in_shop(database, body)


def test_a_customer_that_was_deleted_is_not_told_as_a_draft(database: Database) -> None:
    async def body(shop: Shop) -> None:
        worker = shop.worker()
        shop.stand_in.break_post(0, "cut")
        await shop.finalise(invoice())
        await run_rounds(worker)
        shop.stand_in.customers.remove("cus_anna")
        shop.pass_by(minutes=5)
        await run_rounds(worker)
        told = "Stripe refused: 400 resource_missing No such customer: 'cus_anna'"
        assert await shop.state() == ("dead", told)

    in_shop(database, body)
