"""Invoices at Stripe through its SDK: one charge, whatever is repeated, cut or forgotten."""

import itertools

import pytest
from tests.support.outbox import run_rounds, states
from tests.support.postgres import Database
from tests.support.stripe_shop import POSTS, Shop, forget_customers, in_shop, invoice, pending

from tenantry.adapters.stripe.sink import SEARCH_LAGS
from tenantry.adapters.stripe.terms import Terms
from tenantry.domain.errors import BadRequest


def test_a_finalised_invoice_is_collected_once_with_all_its_lines(database: Database) -> None:
    async def body(shop: Shop) -> None:
        await shop.finalise(invoice())
        await shop.finalise(invoice("INV-bert"), shop.world.bert.tenant_id)
        await run_rounds(shop.worker(), 3)
        assert await shop.state() == ("delivered", None)
        assert shop.stand_in.collected == [("cus_anna", "usd", 14_238)]
        amounts = [item["amount"] for item in shop.stand_in.items.values()]
        assert amounts == [9_900, 3_600, 1_500, 1_238, -2_000]
        [made] = shop.stand_in.invoices.values()
        assert made["metadata"] == {
            "tenantry_invoice": "INV-2027-0001",
            "tenantry_tenant": shop.world.anna.tenant_id,
        }
        assert sum(method == "POST" for method, _ in shop.stand_in.requests) == POSTS

    in_shop(database, body)


def test_one_charge_after_48_hours(database: Database) -> None:
    """Every request in turn loses its answer; two days later the push goes on, and charges once."""

    async def body(shop: Shop) -> None:
        worker = shop.worker()
        for number, lost in enumerate(range(POSTS)):
            shop.stand_in.break_post(lost, "cut")
            await shop.finalise(invoice(f"INV-{number}"))
            await run_rounds(worker)
            assert sorted({each[1] for each in await states(shop.world)}) == (
                ["pending"] if number == 0 else ["delivered", "pending"]
            )
            shop.pass_by(hours=48)  # the key is forgotten
            await run_rounds(worker)
            assert {each[1] for each in await states(shop.world)} == {"delivered"}
            assert len(shop.stand_in.invoices) == len(shop.stand_in.collected) == number + 1
        assert {amount for _, _, amount in shop.stand_in.collected} == {14_238}

    in_shop(database, body)


@pytest.mark.parametrize("how", ["cut", "500"])
@pytest.mark.parametrize("pause_h", [0.01, 48])
def test_a_worker_that_forgets_everything_charges_once(
    database: Database, how: str, pause_h: float
) -> None:
    """As after a crash: what was answered was never marked, so all of it is done again."""

    async def body(shop: Shop) -> None:
        number = itertools.count()
        for lost in range(0, POSTS, 2):
            shop.stand_in.break_post(lost, how)
            await shop.finalise(invoice(f"INV-{next(number)}"))
            await run_rounds(shop.worker())
            for _ in range(4):
                shop.pass_by(hours=max(pause_h, 0.01))
                await shop.world.as_superuser(
                    "UPDATE tenantry.delivery SET state = 'pending', ended_at = NULL,"
                    " next_at = $1, since = $1",
                    shop.clock.at,
                )
                await run_rounds(shop.worker())
            shop.pass_by(hours=25)  # a saved 500 is forgotten too
            await run_rounds(shop.worker())
        assert len(shop.stand_in.collected) == len(shop.stand_in.invoices) == next(number)
        assert {amount for _, _, amount in shop.stand_in.collected} == {14_238}

    in_shop(database, body)


def test_what_changed_under_the_same_key_waits_until_it_is_forgotten(database: Database) -> None:
    async def body(shop: Shop) -> None:
        shop.stand_in.break_post(0, "500")
        await shop.finalise(invoice())
        await run_rounds(shop.worker())
        shop.sink._terms = Terms("send_invoice", 30)
        shop.pass_by(hours=1)
        await run_rounds(shop.worker())
        state, error = await shop.state()
        assert state == "pending"
        assert "same parameters" in str(error)
        shop.pass_by(hours=30)
        await run_rounds(shop.worker())
        assert await shop.state() == ("delivered", None)
        assert len(shop.stand_in.collected) == 1

    in_shop(database, body)


def test_a_voided_invoice_is_taken_back_or_never_pushed(database: Database) -> None:
    async def body(shop: Shop) -> None:
        worker = shop.worker()
        await shop.finalise(invoice("INV-pushed"))
        await run_rounds(worker)
        await shop.say("invoice.voided", invoice("INV-pushed"))
        # Both at once, in whatever order: it is never collected.
        await shop.say("invoice.voided", invoice("INV-both"))
        await shop.finalise(invoice("INV-both"))
        # A draft is left by a push that could not go on.
        shop.stand_in.break_post(3, "cut")
        await shop.finalise(invoice("INV-draft"))
        await run_rounds(worker)
        await shop.say("invoice.voided", invoice("INV-draft"))
        for hours in (1, 1, 24):
            shop.pass_by(hours=hours)
            await run_rounds(worker)
        assert {each[1] for each in await states(shop.world)} == {"delivered"}
        statuses = {
            each["metadata"]["tenantry_invoice"]: each["status"]
            for each in shop.stand_in.invoices.values()
        }
        assert statuses == {"INV-pushed": "void"}
        assert len(shop.stand_in.collected) == 1

    in_shop(database, body)


@pytest.mark.parametrize("customer", [None, "cus_other"])
def test_an_invoice_of_a_tenant_that_was_unlinked_since_is_taken_back(
    database: Database, customer: str | None
) -> None:
    """Where nobody wrote down whose it became, as before there was a place for it. Stripe's search
    may not know it at once, however often Stripe was away before.
    """

    async def body(shop: Shop) -> None:
        anna, worker = shop.world.anna.tenant_id, shop.worker()
        await shop.finalise(invoice("INV-pushed"))
        await run_rounds(worker)
        [made] = shop.stand_in.invoices.values()
        await forget_customers(shop)
        assert await shop.desk.unlink_stripe(anna)
        if customer is not None:
            await shop.desk.link_stripe(anna, customer)
        await shop.say("invoice.voided", {"number": "INV-pushed"})
        await worker.route()
        await shop.world.as_superuser("UPDATE tenantry.delivery SET attempts = 30")
        await run_rounds(worker)
        assert (made["status"], len(await pending(shop))) == ("open", 1)
        shop.pass_by(hours=4)
        await run_rounds(worker)
        assert (made["status"], await pending(shop)) == ("void", [])

    in_shop(database, body)


def test_what_stripe_never_heard_of_stays_here_and_is_not_looked_for(database: Database) -> None:
    async def body(shop: Shop) -> None:
        anna, worker = shop.world.anna.tenant_id, shop.worker()
        await shop.finalise(invoice("INV-pushed"))
        await run_rounds(worker)
        assert await shop.desk.unlink_stripe(anna)
        await shop.finalise(invoice("INV-since"))
        for number in ("INV-since", "INV-pushed"):
            note = {"number": f"CN-{number}", "references": {"invoice": number}}
            await shop.say("credit_note.issued", note)
        await shop.say("invoice.voided", {"number": "INV-since"})
        await run_rounds(worker)
        [(_, dead, _, error), _] = sorted(await states(shop.world), key=lambda each: each[1])
        assert (dead, error) == ("dead", "issue credit note CN-INV-pushed at Stripe by hand")
        await shop.desk.link_stripe(anna, "cus_anna")
        await shop.say("invoice.voided", {"number": "INV-since"})
        await run_rounds(worker)
        assert [each[1] for each in await states(shop.world)].count("delivered") == 2

    in_shop(database, body)


def test_what_was_never_pushed_for_a_tenant_that_was_unlinked_ends(database: Database) -> None:
    async def body(shop: Shop) -> None:
        worker = shop.worker()
        await shop.finalise(invoice())
        await worker.route()
        await shop.desk.unlink_stripe(shop.world.anna.tenant_id)
        await run_rounds(worker)
        await shop.say("invoice.voided", {"number": "INV-2027-0001"})
        await run_rounds(worker)
        assert len(await pending(shop)) == 1
        shop.clock.at += SEARCH_LAGS
        await run_rounds(worker)
        found = sorted((state, error) for _, state, _, error in await states(shop.world))
        assert found[0] == ("dead", "the tenant is no customer at Stripe any more")
        assert found[1][0] == "delivered"
        assert shop.stand_in.invoices == {}

    in_shop(database, body)


def test_a_paid_invoice_and_a_credit_note_are_left_to_a_person(database: Database) -> None:
    async def body(shop: Shop) -> None:
        worker = shop.worker()
        await shop.finalise(invoice())
        await run_rounds(worker)
        [made] = shop.stand_in.invoices.values()
        made["status"] = "paid"
        await shop.say("invoice.voided", {"number": "INV-2027-0001"})
        await shop.say("credit_note.issued", {"number": "CN-1"})
        await run_rounds(worker)
        dead = sorted(str(error) for _, state, _, error in await states(shop.world) if error)
        assert dead == [
            f"Stripe's {made['id']} is paid: refund it there",
            "issue credit note CN-1 at Stripe by hand",
        ]

    in_shop(database, body)


def test_another_customers_invoice_of_that_number_is_not_charged_again(database: Database) -> None:
    async def body(shop: Shop) -> None:
        worker = shop.worker()
        await shop.finalise(invoice())
        await run_rounds(worker)
        await shop.desk.link_stripe(shop.world.anna.tenant_id, "cus_other")
        await shop.world.as_superuser(
            "UPDATE tenantry.delivery SET state = 'pending', ended_at = NULL"
        )
        shop.pass_by(hours=1)
        await run_rounds(worker)
        state, error = await shop.state()
        assert (state, error) == (
            "dead",
            "Stripe has INV-2027-0001 for another customer, cus_anna",
        )
        assert len(shop.stand_in.collected) == 1

    in_shop(database, body)


def test_a_draft_that_says_something_else_is_not_finalised(database: Database) -> None:
    async def body(shop: Shop) -> None:
        shop.stand_in.break_post(POSTS - 1, "500")
        await shop.finalise(invoice())
        await run_rounds(shop.worker())
        first = next(iter(shop.stand_in.items.values()))
        first["amount"] += 1
        shop.pass_by(hours=48)
        await run_rounds(shop.worker())
        state, error = await shop.state()
        assert state == "dead"
        assert "says 14239, not 14238" in str(error)
        assert shop.stand_in.collected == []

    in_shop(database, body)


def test_a_wrong_api_key_waits_for_the_right_one_and_is_not_told(database: Database) -> None:
    async def body(shop: Shop) -> None:
        await shop.finalise(invoice())
        await run_rounds(shop.worker())
        assert await shop.state() == ("pending", "Stripe: the API key was refused (401)")

    in_shop(database, body, api_key="sk_test_wrong")


def test_an_unknown_customer_is_dead_with_stripes_own_words(database: Database) -> None:
    async def body(shop: Shop) -> None:
        shop.stand_in.customers.clear()
        await shop.finalise(invoice())
        await run_rounds(shop.worker())
        state, error = await shop.state()
        assert state == "dead"
        assert "No such customer" in str(error)

    in_shop(database, body)


def test_who_is_linked_is_one_tenants_own(database: Database) -> None:
    async def body(shop: Shop) -> None:
        world = shop.world
        for wrong in ("acct_1", "", "cus_anna"):
            with pytest.raises(BadRequest):
                await shop.desk.link_stripe(world.bert.tenant_id, wrong)
        [link] = await shop.desk.stripe_links()
        assert (link.tenant_id, link.customer_id) == (world.anna.tenant_id, "cus_anna")
        assert await shop.desk.unlink_stripe(world.anna.tenant_id)
        assert not await shop.desk.unlink_stripe(world.anna.tenant_id)
        await shop.finalise(invoice())
        await run_rounds(shop.worker())
        assert await states(world) == []
        # Linked later, it is pushed when someone says so.
        await shop.desk.link_stripe(world.anna.tenant_id, "cus_anna")
        [listed] = await shop.desk.listed(None, 10)
        assert listed.state == "no sink"
        assert await shop.desk.send(listed.notice_id, "stripe", shop.clock.now())
        assert not await shop.desk.send(listed.notice_id, "stripe", shop.clock.now())
        await run_rounds(shop.worker())
        assert len(shop.stand_in.collected) == 1

    in_shop(database, body)
