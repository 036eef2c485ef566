"""When an invoice at Stripe is due: as its document says, whatever a setting or an old draft."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from tests.support.outbox import run_rounds, states
from tests.support.postgres import Database
from tests.support.stripe_shop import POSTS, Shop, in_shop, invoice

from tenantry.adapters.stripe.sink import StripeSink
from tenantry.adapters.stripe.terms import AT_ONCE_DAYS, NEAR, BadDueDate, Terms

DAY_S = 86_400


def due_in(shop: Shop, number: str = "INV-1", **time: float) -> dict[str, Any]:
    return invoice(number, due_at=(shop.clock.at + timedelta(**time)).isoformat())


def due_dates(shop: Shop) -> dict[str, int | None]:
    made = shop.stand_in.invoices.values()
    return {each["metadata"]["tenantry_invoice"]: each["due_date"] for each in made}


def test_each_tenants_invoice_is_due_when_its_document_says(database: Database) -> None:
    async def body(shop: Shop) -> None:
        await shop.desk.link_stripe(shop.world.bert.tenant_id, "cus_other")
        begun = shop.stand_in.now_s
        await shop.finalise(due_in(shop, "INV-anna", days=20, hours=5))
        await shop.finalise(due_in(shop, "INV-bert", days=60), shop.world.bert.tenant_id)
        await shop.finalise(invoice("INV-none"))
        await shop.finalise(due_in(shop, "INV-now"), shop.world.bert.tenant_id)
        await run_rounds(shop.worker())
        assert due_dates(shop) == {
            "INV-anna": begun + 20 * DAY_S + 5 * 3_600,
            "INV-bert": begun + 60 * DAY_S,
            "INV-none": begun + 14 * DAY_S,  # the setting's
            "INV-now": begun + AT_ONCE_DAYS * DAY_S,  # of 0 days: due as it is issued
        }
        assert len(shop.stand_in.collected) == 4
        assert {each[1] for each in await states(shop.world)} == {"delivered"}
        updates = {f"/v1/invoices/{made}" for made in shop.stand_in.invoices}
        assert not updates & {path for method, path in shop.stand_in.requests if method == "POST"}

    in_shop(database, body)


@pytest.mark.parametrize("lost", range(POSTS))
def test_a_draft_of_before_gets_the_due_date_and_is_collected_once(
    database: Database, lost: int
) -> None:
    """Half made with the days of the setting, by what knew no other due date."""

    async def body(shop: Shop) -> None:
        shop.stand_in.break_post(lost, "cut")
        due = due_in(shop, days=40)
        await shop.finalise(due)
        await shop.world.as_superuser("UPDATE tenantry.notice SET body = body - 'due_at'")
        await run_rounds(shop.worker())
        assert list(due_dates(shop).values()) == [shop.stand_in.now_s + 14 * DAY_S]
        await shop.world.as_superuser(
            "UPDATE tenantry.notice SET body = body || jsonb_build_object('due_at', $1::text)",
            due["due_at"],
        )
        for hours in (1, 1, 48):
            shop.pass_by(hours=hours)
            await run_rounds(shop.worker())
        assert await shop.state() == ("delivered", None)
        assert len(shop.stand_in.collected) == 1
        if lost < POSTS - 1:  # else it was final, and stays
            wanted = datetime.fromisoformat(due["due_at"]).timestamp()
            assert list(due_dates(shop).values()) == [wanted]

    in_shop(database, body)


def test_what_could_not_be_made_before_goes_on_when_its_key_is_forgotten(
    database: Database,
) -> None:
    async def body(shop: Shop) -> None:
        due = due_in(shop, days=40)
        shop.stand_in.break_post(0, "500")
        await shop.finalise({name: value for name, value in due.items() if name != "due_at"})
        await run_rounds(shop.worker())
        await shop.world.as_superuser(
            "UPDATE tenantry.notice SET body = body || jsonb_build_object('due_at', $1::text)",
            due["due_at"],
        )
        shop.pass_by(hours=1)
        await run_rounds(shop.worker())
        assert (await shop.state())[0] == "pending"
        shop.pass_by(hours=30)
        await run_rounds(shop.worker())
        assert await shop.state() == ("delivered", None)
        assert list(due_dates(shop).values()) == [datetime.fromisoformat(due["due_at"]).timestamp()]
        assert len(shop.stand_in.collected) == 1

    in_shop(database, body)


@pytest.mark.parametrize("lost", [0, 2, POSTS - 1])
@pytest.mark.parametrize("how", ["cut", "500"])
def test_a_push_that_outlasts_its_due_date_is_collected_once(
    database: Database, lost: int, how: str
) -> None:
    async def body(shop: Shop) -> None:
        shop.stand_in.break_post(lost, how)
        await shop.finalise(due_in(shop, hours=12))
        await run_rounds(shop.worker())
        shop.pass_by(hours=13)
        await run_rounds(shop.worker())
        shop.pass_by(hours=30)
        await run_rounds(shop.worker())
        assert await shop.state() == ("delivered", None)
        assert len(shop.stand_in.collected) == len(shop.stand_in.invoices) == 1

    in_shop(database, body)


def test_what_stripe_charges_by_itself_has_no_due_date(database: Database) -> None:
    async def body(shop: Shop) -> None:
        automatic = StripeSink(shop.sink._account, collection="charge_automatically", days_due=14)
        shop.sink.close()
        shop.sink = automatic
        await shop.finalise(due_in(shop, days=20))
        await run_rounds(shop.worker())
        assert due_dates(shop) == {"INV-1": None}
        assert len(shop.stand_in.collected) == 1

    in_shop(database, body)


@pytest.mark.parametrize("wrong", ["soon", 5, "2027-04-15", "2027-04-15T00:00:00", ""])
def test_a_due_date_that_is_none_is_left_to_a_person(database: Database, wrong: object) -> None:
    async def body(shop: Shop) -> None:
        await shop.finalise(invoice(due_at=wrong))
        await run_rounds(shop.worker())
        assert await shop.state() == ("dead", "not pushed: its due date is no instant")
        assert shop.stand_in.invoices == {}

    in_shop(database, body)


def test_what_is_due_within_the_hour_is_due_at_once() -> None:
    now = datetime.fromisoformat("2027-04-15T00:00:00Z")
    terms = Terms("send_invoice", 30)

    def new(after: timedelta) -> dict[str, Any]:
        found = terms.of_new({"due_at": (now + after).isoformat()}, now)
        assert found.pop("collection_method") == "send_invoice"
        return found

    assert new(NEAR) == new(timedelta(days=-400)) == {"days_until_due": AT_ONCE_DAYS}
    later = now + NEAR + timedelta(seconds=1)
    assert new(later - now) == {"due_date": int(later.timestamp())}
    with pytest.raises(BadDueDate):
        terms.of_draft({"due_at": "none"}, None, now)
