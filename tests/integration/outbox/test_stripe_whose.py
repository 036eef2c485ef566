"""A number at Stripe may be another's: nothing of theirs is taken for ours, charged or voided."""

from datetime import timedelta
from typing import Any

import pytest
from tests.support.outbox import run_rounds, states
from tests.support.postgres import Database
from tests.support.stripe_books import (
    INVOICE_ID,
    NUMBER,
    SHA256,
    VOID,
    at_stripe,
    in_booked_shop,
    in_books,
    out_of_books,
)
from tests.support.stripe_shop import POSTS, Shop, forget_customers, in_shop, invoice, pending

OTHER_ID = f"inv_{1:026}"


def marks(tenant_id: str, invoice_id: str = INVOICE_ID, sha256: str = SHA256) -> dict[str, str]:
    return {
        "tenantry_tenant": tenant_id,
        "tenantry_invoice_id": invoice_id,
        "tenantry_sha256": sha256,
    }


async def errors(shop: Shop) -> list[tuple[str, str | None]]:
    return [(state, error) for _, state, _, error in await states(shop.world)]


OTHERS: dict[str, dict[str, Any]] = {
    "customer": {"customer": "cus_other"},
    "total": {"amount": 500_000},
    "currency": {"currency": "eur"},
    "of before": {"created_s": -3 * 86_400},
    "tenant": {"marks": marks("tnt_of_another_deployment")},
    "document": {"invoice_id": OTHER_ID},
    "bytes": {"sha256": "0" * 64},
}


@pytest.mark.parametrize("which", OTHERS)
def test_anothers_invoice_of_that_number_is_neither_ours_nor_voided(
    database: Database, which: str
) -> None:
    async def body(shop: Shop) -> None:
        told = dict(OTHERS[which])
        if told.keys() & {"invoice_id", "sha256"}:
            told = {"marks": marks(shop.world.anna.tenant_id, **told)}
        if (created_s := told.pop("created_s", None)) is not None:
            told["created"] = shop.stand_in.now_s + created_s
        other = at_stripe(shop, **told)
        worker = shop.worker()
        await shop.finalise(invoice(NUMBER))
        await run_rounds(worker)
        [(state, error)] = await errors(shop)
        assert (state, str(error)[:26]) == ("dead", f"Stripe has {NUMBER} f")
        await shop.say("invoice.voided", VOID)
        await run_rounds(worker)
        found = await errors(shop)
        assert [each for each, _ in found] == ["dead", "dead"]
        assert any("nothing is voided there" in str(error) for _, error in found)
        assert list(shop.stand_in.invoices.values()) == [other]
        assert other["status"] == "open"
        assert {method for method, _ in shop.stand_in.requests} == {"GET"}

    in_booked_shop(database, body)


def test_anothers_that_was_voided_there_is_in_nobodys_way(database: Database) -> None:
    """A restored database gave the number again: a person voids the first, and says retry."""

    async def body(shop: Shop) -> None:
        worker = shop.worker()
        other = at_stripe(shop, marks=marks(shop.world.anna.tenant_id, OTHER_ID))
        await shop.finalise(invoice(NUMBER))
        await run_rounds(worker)
        [owed] = await shop.desk.owed("stripe", 10)
        assert owed.state == "dead"
        other["status"] = "void"
        assert await shop.desk.retry(owed.notice_id, "stripe", shop.clock.now()) == 1
        await run_rounds(worker)
        assert await shop.state() == ("delivered", None)
        assert shop.stand_in.collected == [("cus_anna", "usd", 14_238)]

    in_booked_shop(database, body)


def test_ours_is_pushed_and_voided_beside_anothers(database: Database) -> None:
    """As of two deployments with one account; the books' own marks are at Stripe."""

    async def body(shop: Shop) -> None:
        worker = shop.worker()
        await shop.finalise(invoice(NUMBER))
        await run_rounds(worker)
        [own] = shop.stand_in.invoices.values()
        assert own["metadata"] == {
            "tenantry_invoice": NUMBER,
            **marks(shop.world.anna.tenant_id),
        }
        others = [
            at_stripe(shop, marks=marks("tnt_of_another_deployment", OTHER_ID)),
            at_stripe(shop, customer="cus_other"),
        ]
        # Done again, as after a crash.
        await shop.world.as_superuser(
            "UPDATE tenantry.delivery SET state = 'pending', ended_at = NULL"
        )
        shop.pass_by(hours=1)
        await run_rounds(worker)
        shop.pass_by(hours=1)
        await shop.say("invoice.voided", VOID)
        await run_rounds(worker)
        assert {state for state, _ in await errors(shop)} == {"delivered"}
        assert [each["status"] for each in (own, *others)] == ["void", "open", "open"]
        assert len(shop.stand_in.collected) == 1

    in_booked_shop(database, body)


@pytest.mark.parametrize(
    ("due", "currency", "amount"), [("142.38", "USD", 14_238), ("142.389", "KWD", 142_380)]
)
@pytest.mark.parametrize("status", ["open", "draft"])
def test_ours_of_before_the_marks_is_told_by_what_it_says(
    database: Database, due: str, currency: str, amount: int, status: str
) -> None:
    async def body(shop: Shop) -> None:
        worker = shop.worker()
        await in_books(shop, due, currency)
        half = amount // 2 if status == "draft" else amount
        made = at_stripe(shop, currency=currency.lower(), amount=half, status=status)
        await shop.say("invoice.voided", VOID)
        await run_rounds(worker)
        assert await errors(shop) == [("delivered", None)]
        if status == "draft":
            assert shop.stand_in.invoices == {}
        else:
            assert made["status"] == "void"
        await out_of_books(shop)

    in_shop(database, body)


def test_a_push_that_was_begun_before_the_marks_is_collected_once(database: Database) -> None:
    async def body(shop: Shop) -> None:
        worker = shop.worker()
        shop.stand_in.break_post(POSTS - 1, "500")
        await shop.finalise(invoice(NUMBER))
        await run_rounds(worker)
        [made] = shop.stand_in.invoices.values()
        made["metadata"] = {"tenantry_invoice": NUMBER}
        shop.pass_by(hours=25)
        await run_rounds(worker)
        assert await shop.state() == ("delivered", None)
        assert shop.stand_in.collected == [("cus_anna", "usd", 14_238)]

    in_booked_shop(database, body)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"status": "void"}, "is void"),
        ({"currency": "eur"}, "is in eur, not usd"),
        ({"customer": "cus_other"}, "for another customer, cus_other"),
    ],
)
def test_ours_that_became_something_else_there_is_left_to_a_person(
    database: Database, changed: dict[str, str], words: str
) -> None:
    async def body(shop: Shop) -> None:
        worker = shop.worker()
        made = at_stripe(shop, marks=marks(shop.world.anna.tenant_id), **changed)
        await shop.finalise(invoice(NUMBER))
        await run_rounds(worker)
        [(state, error)] = await errors(shop)
        assert (state, words in str(error)) == ("dead", True)
        assert (list(shop.stand_in.invoices.values()), shop.stand_in.collected) == ([made], [])

    in_booked_shop(database, body)


def test_what_nobody_knows_the_customer_of_is_waited_for_and_left_to_a_person(
    database: Database,
) -> None:
    """Pushed and unlinked before there were marks, and before whose it became was kept."""

    async def body(shop: Shop) -> None:
        worker = shop.worker()
        await shop.finalise(invoice(NUMBER))
        await run_rounds(worker)
        [made] = shop.stand_in.invoices.values()
        made["metadata"] = {"tenantry_invoice": NUMBER}
        await forget_customers(shop)
        assert await shop.desk.unlink_stripe(shop.world.anna.tenant_id)
        await shop.say("invoice.voided", VOID)
        for hours in (1, 24):
            shop.pass_by(hours=hours)
            await run_rounds(worker)
        assert made["status"] == "open"
        told = f"Stripe has {NUMBER} for cus_anna ({made['id']}), and whose it became is not known"
        assert ("dead", f"{told}: nothing is voided there") in await errors(shop)

    in_booked_shop(database, body)


@pytest.mark.parametrize("customer", [None, "cus_other"])
@pytest.mark.parametrize("searches", [True, False])
def test_what_was_pushed_is_taken_back_when_its_notice_is_long_gone(
    database: Database, customer: str | None, searches: bool
) -> None:
    async def body(shop: Shop) -> None:
        anna, worker = shop.world.anna.tenant_id, shop.worker()
        shop.stand_in.has_search = searches
        await shop.finalise(invoice(NUMBER))
        await run_rounds(worker)
        [made] = shop.stand_in.invoices.values()
        assert await shop.desk.unlink_stripe(anna)
        if customer is not None:
            await shop.desk.link_stripe(anna, customer)
        shop.pass_by(days=500)
        assert await worker.purge(timedelta(days=400)) == 1
        await shop.say("invoice.voided", VOID, shop.world.bert.tenant_id)
        await shop.say("credit_note.issued", {"number": "CN-1", "references": {"invoice": NUMBER}})
        shop.stand_in.search_finds = False  # whose it became is written down
        await run_rounds(worker)
        assert made["status"] == "open", "bert has none of that number"
        await shop.say("invoice.voided", VOID)
        await run_rounds(worker)
        assert made["status"] == "void"
        assert await errors(shop) != []
        found = sorted(await errors(shop), key=str)
        assert found == [
            ("dead", "issue credit note CN-1 at Stripe by hand"),
            ("delivered", None),
        ]

    in_booked_shop(database, body)


def test_what_began_and_was_dismissed_is_taken_back_as_well(database: Database) -> None:
    """Stripe made it, its answer was lost, and an operator dismissed what was still tried."""

    async def body(shop: Shop) -> None:
        worker = shop.worker()
        shop.stand_in.break_post(POSTS - 1, "cut")
        await shop.finalise(invoice(NUMBER))
        await run_rounds(worker)
        [made] = shop.stand_in.invoices.values()
        [owed] = await shop.desk.owed("stripe", 10)
        assert await shop.desk.dismiss(owed.notice_id, "stripe") == 1
        assert await shop.desk.unlink_stripe(shop.world.anna.tenant_id)
        shop.pass_by(days=500)
        assert await worker.purge(timedelta(days=400)) == 1
        await shop.say("invoice.voided", VOID)
        await run_rounds(worker)
        assert (made["status"], await errors(shop)) == ("void", [("delivered", None)])

    in_booked_shop(database, body)


@pytest.mark.parametrize("lost", range(POSTS))
def test_without_a_search_it_is_collected_once_whoever_is_linked(
    database: Database, lost: int
) -> None:
    """India's accounts have none: each customer that it was to be of is looked at."""

    async def body(shop: Shop) -> None:
        shop.stand_in.has_search = False
        anna, worker = shop.world.anna.tenant_id, shop.worker()
        shop.stand_in.break_post(lost, "cut")
        await shop.finalise(invoice(NUMBER))
        await run_rounds(worker)
        await shop.desk.link_stripe(anna, "cus_other")
        shop.pass_by(hours=48)
        await run_rounds(worker)
        [(state, error)] = await errors(shop)
        assert (state, str(error)) == (
            "dead",
            f"Stripe has {NUMBER} for another customer, cus_anna",
        )
        await shop.desk.link_stripe(anna, "cus_anna")
        [owed] = await shop.desk.owed("stripe", 10)
        assert await shop.desk.retry(owed.notice_id, "stripe", shop.clock.now()) == 1
        await run_rounds(worker)
        assert await shop.state() == ("delivered", None)
        assert shop.stand_in.collected == [("cus_anna", "usd", 14_238)]

    in_booked_shop(database, body)


def test_without_a_search_a_void_that_nobody_can_place_is_left_to_a_person(
    database: Database,
) -> None:
    async def body(shop: Shop) -> None:
        worker = shop.worker()
        await shop.finalise(invoice(NUMBER))
        await run_rounds(worker)
        [made] = shop.stand_in.invoices.values()
        shop.stand_in.has_search = False
        await forget_customers(shop)
        await shop.desk.link_stripe(shop.world.anna.tenant_id, "cus_other")
        await shop.say("invoice.voided", VOID)
        await run_rounds(worker)
        assert (made["status"], await pending(shop)) == ("open", [])
        assert any("look for it there" in str(error) for _, error in await errors(shop))

    in_booked_shop(database, body)
