"""An invoice says why two lines of one model and class stand beside each other, in every form."""

from __future__ import annotations

import csv
import io
import json
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import asyncpg
import pypdfium2
import pytest
from tests.support.archiving import archive_in, month_ago, rolled_up, with_partitions
from tests.support.billing import ISSUER, House, months_ago, period_of
from tests.support.ledger import MARKUP, MODEL, World, in_world, intent, synthetic_prices
from tests.support.postgres import Database

from tenantry.adapters.paper.typesetter import Typesetter
from tenantry.adapters.stripe.items import to_stripe
from tenantry.application.archiving import archive_month
from tenantry.application.invoice_lists import get_invoice
from tenantry.application.invoicing import regenerate, store_for_review
from tenantry.domain.errors import Conflict
from tenantry.domain.focus import focus_rows
from tenantry.domain.invoice import canonical, content_sha256
from tenantry.domain.rating import rate
from tenantry.domain.tenant import Principal
from tenantry.domain.usage import Usage
from tenantry.entrypoints.cli.invoice_export import exported
from tenantry.entrypoints.cli.invoices import print_invoice

LAST = months_ago(1)
CHANGED = LAST.replace(day=16, hour=0)  # the second edition's prices are twice the first's
USED = Usage(out=1_000_000)
# One row of it is then of several; a reader adds them up as before.
ROLLED_UP_BEFORE = (
    "UPDATE tenantry.charge_hour SET plan = NULL, plan_version = NULL, service_tier = NULL,"
    " price_key = NULL"
)
TOLD = ("service_tiers", "price_keys", "plans", "priced_from")


async def used_by_both(world: World) -> House:
    """Anna by two tiers, by a profile, and at two editions' prices; Bert by batch alone."""
    house, first = House.of(world), world.prices
    for who in (world.anna, world.bert):
        await house.contract(who)
        await house.since(who, months_ago(1, day=1))
    for tier in ("default", "batch"):
        await house.used(world.anna, USED, LAST, service_tier=tier)
    await house.used(world.bert, USED, LAST, service_tier="batch")
    by_profile = await world.admitted(world.anna, first=intent(price_key=f"us.{MODEL}"))
    dearer = synthetic_prices(Decimal("1.1")).of(MODEL)
    rated = rate(USED, dearer, tier="default", markup=MARKUP)
    await world.settle(by_profile, world.outcome(USED, rated=rated))
    await house.move(by_profile.request_id, LAST)
    world.prices = await world.control.import_prices(synthetic_prices(Decimal(2), CHANGED))
    await house.used(world.anna, USED, CHANGED + timedelta(hours=3))
    world.prices = first
    return house


async def shown(house: House, who: Principal, number: str) -> dict[str, Any]:
    now = await house.billing.book.now()
    return dict(await get_invoice(house.billing.invoices, who.tenant, number, now, ISSUER))


async def is_made_again(house: House, who: Principal, number: str) -> bool:
    stored = await house.billing.book.document(who.tenant_id, number)
    made = [await regenerate(invoices, who.tenant_id, stored)
            for invoices in (house.billing.book, house.billing.invoices)]  # fmt: skip
    return all(each.same for each in made)


def text_of(pdf: bytes) -> str:
    document = pypdfium2.PdfDocument(pdf)
    try:
        text = "\n".join(page.get_textpage().get_text_range() for page in document)
        return " ".join(text.split())
    finally:
        document.close()


def as_before(document: dict[str, Any]) -> dict[str, Any]:
    """As an invoice was written before its lines said what their prices were asked for, of which
    one without a fee has no other member that is new."""
    lines = [
        {name: value for name, value in line.items() if name not in TOLD}
        | {"description": f"{MODEL}: output tokens"}
        for line in document["lines"]
    ]
    new = ("issue_zone", "edition")
    return {name: value for name, value in document.items() if name not in new} | {"lines": lines}


WORDS = (
    "batch",
    "default tier, single region, prices from 2020-01-01",
    "default tier, cross-region (us)",
    f"default tier, single region, prices from {CHANGED.date()}",
)


def test_each_line_says_what_its_price_was_asked_for(
    database: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    async def body(world: World) -> None:
        house = await used_by_both(world)
        anna, bert = world.anna, world.bert
        draft = await shown(house, anna, f"draft-{LAST:%Y-%m}-01")
        done = await house.finalise(anna, period_of(anna, LAST))
        other = await house.finalise(bert, period_of(bert, LAST))
        document = await shown(house, anna, str(done.number))
        assert draft["sha256"] == content_sha256(done.document)
        told = [(line["amount"], *(line[name] for name in TOLD)) for line in document["lines"]]
        early, plan = "2020-01-01T00:00:00Z", ["standard/1"]
        assert told == [
            ("22.50", ["batch"], [MODEL], plan, early),
            ("45.00", ["default"], [MODEL], plan, early),
            ("49.50", ["default"], [f"us.{MODEL}"], plan, early),
            ("90.00", ["default"], [MODEL], plan, f"{CHANGED:%Y-%m-%dT00:00:00Z}"),
        ]
        assert document["total"] == "207.00"
        of_bert = [(line["description"], line["price_keys"]) for line in other.document["lines"]]
        assert of_bert == [(f"{MODEL}: output tokens, batch", [MODEL])]

        words = [f"{MODEL}: output tokens, {each}" for each in WORDS]
        assert [line["description"] for line in document["lines"]] == words
        paper = text_of(Typesetter().render(document))
        for each in WORDS:
            assert f"Output tokens, {each} 1,000,000" in paper
        assert [item.description for item in to_stripe(document).items] == words
        rows = focus_rows(document)
        assert [row["ChargeDescription"] for row in rows] == words
        assert [row["x_ServiceTier"] for row in rows] == ["batch", *["default"] * 3]
        assert [row["x_PriceKey"] for row in rows] == [MODEL, MODEL, f"us.{MODEL}", MODEL]
        assert rows[-1]["x_PricedFrom"] == f"{CHANGED:%Y-%m-%dT00:00:00Z}"
        cells = list(csv.DictReader(io.StringIO(exported("csv", document, None).decode())))
        assert [row["service_tiers"] for row in cells] == ["batch", *["default"] * 3, "", ""]
        assert cells[2]["price_keys"] == f"us.{MODEL}" and cells[0]["plans"] == "standard/1"
        print_invoice(document)
        said = " ".join(capsys.readouterr().out.split())
        assert "batch" in said and "cross-region (us)" in said
        assert await is_made_again(house, anna, str(done.number))

    in_world(database, body)


def test_it_is_made_again_from_roll_ups_and_from_hours_rolled_up_before(database: Database) -> None:
    async def body(world: World) -> None:
        house = await used_by_both(world)
        done = [(who, str((await house.finalise(who, period_of(who, LAST))).number))
                for who in (world.anna, world.bert)]  # fmt: skip
        await rolled_up(world)
        kept = await world.fetch(
            "SELECT DISTINCT service_tier, price_key, plan FROM charge_hour WHERE tenant_id = $1",
            world.anna.tenant_id,
        )
        assert {tuple(row) for row in kept} == {
            (tier, key, "standard")
            for tier, key in (("default", MODEL), ("batch", MODEL), ("default", f"us.{MODEL}"))
        }
        assert await world.violations() == []
        for who, number in done:
            assert await is_made_again(house, who, number)
        await world.as_superuser(ROLLED_UP_BEFORE)
        for who, number in done:
            assert await is_made_again(house, who, number)

    in_world(database, body)


def test_it_is_made_again_of_a_month_that_was_rolled_up_before_and_archived(
    database: Database, tmp_path: Path
) -> None:
    async def body(world: World) -> None:
        await with_partitions(world, month_ago(1))
        house = await used_by_both(world)
        await rolled_up(world)
        await world.as_superuser(ROLLED_UP_BEFORE)
        done = [await house.finalise(who, period_of(who, LAST)) for who in (world.anna, world.bert)]
        assert [line["service_tiers"] for line in done[1].document["lines"]] == [["batch"]]
        await archive_month(archive_in(world, tmp_path), month_ago(1))
        assert await world.fetch("SELECT FROM cost_entry") == []
        for who, made in zip((world.anna, world.bert), done, strict=True):
            assert await is_made_again(house, who, str(made.number))
        # Made anew, it says what is still known.
        await house.billing.book.void(world.bert.tenant_id, str(done[1].number), "wrong address")
        again = await house.finalise(world.bert, period_of(world.bert, LAST))
        [line] = again.document["lines"]
        assert [line[name] for name in TOLD] == [[], [], [], "2020-01-01T00:00:00Z"]
        assert line["description"] == f"{MODEL}: output tokens"
        assert await is_made_again(house, world.bert, str(again.number))

    in_world(database, body)


def test_an_invoice_of_before_stays_what_it_was(database: Database) -> None:
    async def body(world: World) -> None:
        house = await used_by_both(world)
        anna = world.anna
        done = await house.finalise(anna, period_of(anna, LAST))
        before = as_before(dict(done.document))
        await house.as_the_past(
            "ALTER TABLE tenantry.invoice DISABLE TRIGGER USER;"
            f"UPDATE tenantry.invoice SET document = decode('{canonical(before).hex()}', 'hex'),"
            f" sha256 = sha256(decode('{canonical(before).hex()}', 'hex'))"
            f" WHERE number = '{done.number}';"
            "UPDATE tenantry.invoice_usage SET priced_as = NULL"
        )
        stored = await house.billing.book.document(anna.tenant_id, str(done.number))
        assert json.loads(stored.document) == before
        assert await is_made_again(house, anna, str(done.number))
        document = await shown(house, anna, str(done.number))
        paper = text_of(Typesetter().render(document))
        assert "Output tokens 1,000,000 22.50" in paper and "batch" not in paper
        billed = [Decimal(row["BilledCost"] or "") for row in focus_rows(document)]
        assert sum(billed) == Decimal("207.00")
        assert {row["x_PriceKey"] for row in focus_rows(document)} == {None}
        assert "standard/1" not in exported("csv", document, None).decode()

    in_world(database, body)


def test_a_draft_that_was_approved_before_is_issued_as_it_was_approved(database: Database) -> None:
    async def body(world: World) -> None:
        house = await used_by_both(world)
        book, period = house.billing.book, period_of(world.anna, LAST)
        for who, changes in ((world.anna, {}), (world.bert, {"total": "1.00"})):
            made = await store_for_review(book, ISSUER, who.tenant_id, period)
            assert made is not None
            before = {**as_before(made), **changes}
            await book.store_draft(who.tenant_id, period, before, content_sha256(before))
        done = await house.finalise(world.anna, period)
        assert as_before(dict(done.document)) == done.document
        assert await is_made_again(house, world.anna, str(done.number))
        with pytest.raises(Conflict, match="has changed since it was approved"):
            await house.finalise(world.bert, period)

    in_world(database, body)


def test_what_settles_late_says_what_its_price_was_asked_for(database: Database) -> None:
    async def body(world: World) -> None:
        house, anna = House.of(world), world.anna
        for who in (anna, world.bert):
            await house.contract(who)
            await house.since(who, months_ago(2, day=1))
            await house.used(who, USED, months_ago(2))
            await house.finalise(who, period_of(who, months_ago(2)))
        now = await house.billing.book.now()
        await house.used(anna, USED, months_ago(2), posted_at=now, service_tier="batch")
        done = await house.finalise(anna, period_of(anna, LAST))
        [line] = done.document["lines"]
        day = period_of(anna, months_ago(2)).start.date()
        assert line["description"].endswith(f"of the period from {day}, batch")
        assert (line["service_tiers"], line["price_keys"]) == (["batch"], [MODEL])
        paper = text_of(Typesetter().render(done.document))
        assert f"Output tokens, settled late, {day} to" in paper and ", batch 1,000,000" in paper
        assert await is_made_again(house, anna, str(done.number))

    in_world(database, body)


def test_of_the_providers_book_a_tenant_reads_what_its_own_calls_were_priced_by(
    database: Database,
) -> None:
    async def body(world: World) -> None:
        await used_by_both(world)
        read = "SELECT tenant_id, service_tier, price_key FROM cost_entry"
        for who, many in ((world.anna, 4), (world.bert, 1)):
            async with world.work.reading(who.tenant_id) as unit:
                seen = await unit.fetch(read)
            assert [row["tenant_id"] for row in seen] == [who.tenant_id] * many
        assert await world.databases.app.fetch(read) == []
        for column in ("amount", "unit_prices", "amounts", "account", "region", "raw", "debit"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                async with world.work.reading(world.anna.tenant_id) as unit:
                    await unit.fetch(f"SELECT {column} FROM cost_entry")

    in_world(database, body)
