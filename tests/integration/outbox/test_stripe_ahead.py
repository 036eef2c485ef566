"""Documents that a clock issued which was days ahead: what is at Stripe was made before them."""

from __future__ import annotations

from typing import Any

import pytest
from tests.support.outbox import run_rounds, states
from tests.support.postgres import Database
from tests.support.stripe_books import VOID, at_stripe, in_books, out_of_books
from tests.support.stripe_shop import POSTS, Shop, in_shop, invoice, pending

from tenantry.adapters.stripe import account

DUE = ("cus_anna", "usd", 14_238)
AHEAD_DAYS = 5


async def issued_ahead(shop: Shop, **changes: Any) -> None:
    """Anna's invoice and its notice, of a clock that is ahead of Stripe's."""
    shop.clock.pass_by(days=AHEAD_DAYS)
    await in_books(shop)
    await shop.finalise(invoice(**changes))


@pytest.mark.parametrize("searches", [True, False])
def test_it_is_pushed_once_also_when_its_key_is_forgotten(
    database: Database, searches: bool
) -> None:
    async def body(shop: Shop) -> None:
        shop.stand_in.has_search = searches
        await issued_ahead(shop)
        shop.stand_in.break_post(POSTS - 1, "cut")
        worker = shop.worker()
        await run_rounds(worker)
        assert shop.stand_in.collected == [DUE]
        shop.pass_by(days=2)
        await run_rounds(worker)
        assert await shop.state() == ("delivered", None)
        assert shop.stand_in.collected == [DUE], "charged once"
        await out_of_books(shop)

    in_shop(database, body)


@pytest.mark.parametrize("searches", [True, False])  # it lags, or there is none
def test_its_void_is_voided_there_once_the_clock_is_right_again(
    database: Database, searches: bool
) -> None:
    async def body(shop: Shop) -> None:
        shop.stand_in.has_search, shop.stand_in.search_finds = searches, False
        await issued_ahead(shop)
        worker = shop.worker()
        await run_rounds(worker)
        assert await shop.state() == ("delivered", None)
        shop.clock.pass_by(days=-AHEAD_DAYS)
        shop.pass_by(hours=1)
        await shop.say("invoice.voided", VOID)
        await run_rounds(worker)
        assert {state for _, state, _, _ in await states(shop.world)} == {"delivered"}
        assert [each["status"] for each in shop.stand_in.invoices.values()] == ["void"]
        await out_of_books(shop)

    in_shop(database, body)


def test_what_stripe_has_is_not_taken_for_gone_where_it_is_not_found(database: Database) -> None:
    async def body(shop: Shop) -> None:
        shop.stand_in.has_search = False
        await issued_ahead(shop)
        worker = shop.worker()
        await run_rounds(worker)
        assert shop.stand_in.collected == [DUE]
        shop.clock.pass_by(days=-AHEAD_DAYS)
        shop.stand_in.customers.clear()  # it lists nothing of one that was deleted there
        await shop.say("invoice.voided", VOID)
        await run_rounds(worker)
        told = "Stripe has INV-2027-0001 and does not find it: void it there, dismiss this"
        assert await pending(shop) == [told]
        await out_of_books(shop)

    in_shop(database, body)


def test_what_was_void_before_it_was_pushed_is_nowhere_looked_for(database: Database) -> None:
    async def body(shop: Shop) -> None:
        shop.stand_in.has_search = False
        await shop.finalise(invoice())
        await shop.say("invoice.voided", VOID)
        shop.clock.pass_by(days=-AHEAD_DAYS)
        await shop.world.as_superuser("UPDATE tenantry.notice SET created_at = $1", shop.clock.at)
        await run_rounds(shop.worker(), 1)
        shop.pass_by(minutes=5)
        await run_rounds(shop.worker(), 2)
        assert {state for _, state, _, _ in await states(shop.world)} == {"delivered"}
        assert shop.stand_in.invoices == {}

    in_shop(database, body)


def test_a_customer_of_many_invoices_is_looked_through_as_far_as_it_matters(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def body(shop: Shop) -> None:
        monkeypatch.setattr(account, "NEWEST", 2)
        monkeypatch.setattr(account, "INVOICES_MAX", 4)
        for _ in range(6):
            at_stripe(shop)["metadata"] = {}
        shop.pass_by(days=3)
        await shop.finalise(invoice())
        await run_rounds(shop.worker())
        assert await shop.state() == ("delivered", None)
        assert shop.stand_in.collected == [DUE]

    in_shop(database, body)


def test_the_lists_of_a_customer_are_asked_for_no_page_more_than_matters(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def body(shop: Shop) -> None:
        monkeypatch.setattr(account, "NEWEST", 100)
        for _ in range(150):
            at_stripe(shop)["metadata"] = {}
        shop.pass_by(days=3)
        await shop.finalise(invoice())
        await run_rounds(shop.worker())
        assert await shop.state() == ("delivered", None)
        assert shop.stand_in.requests.count(("GET", "/v1/invoices")) == 1

    in_shop(database, body)
