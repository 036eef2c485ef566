"""Prices that change twice on a day, and a fee that goes from plan to plan, on final invoices."""

from __future__ import annotations

import csv
import io
from datetime import timedelta
from decimal import Decimal
from typing import Any

from tests.support.billing import ISSUER, House, months_ago, period_of
from tests.support.ledger import MODEL, World, in_world, plan_table, synthetic_prices
from tests.support.postgres import Database

from tenantry.application.invoicing import draft_from, regenerate
from tenantry.domain.focus import focus_rows
from tenantry.domain.invoice import content_sha256
from tenantry.domain.invoice_edition import Edition
from tenantry.domain.tenant import Principal
from tenantry.domain.usage import Usage
from tenantry.entrypoints.cli.invoice_export import exported

LAST = months_ago(1)
TURN = LAST.replace(day=11, hour=0, minute=0)  # from plan to plan
NOON = LAST.replace(day=16, hour=12, minute=0)  # of two changes of prices, 93 seconds apart
USED = Usage(out=1_000_000)  # 45.00 by the first edition


async def changed_for_both(world: World) -> House:
    """The third edition takes back a part of what the second asks more; both plans ask one fee."""
    fee = {"monthly_fee": "30"}
    await world.plan(**fee)
    await world.control.apply_plans({"other": {**plan_table(), **fee}})
    house, people = House.of(world), (world.anna, world.bert)
    for who in people:
        await house.contract(who)
        await house.since(who, months_ago(1, day=1))
        await house.used(who, USED, LAST)
    for factor, at in (("3", NOON), ("2", NOON + timedelta(seconds=93))):
        prices = synthetic_prices(Decimal(factor), at)
        world.prices = await world.control.import_prices(prices)
        for who in people:
            await house.used(who, USED, at + timedelta(seconds=1))
    for who in people:
        await house.billing.contracts.change_plan(who.tenant_id, "other", None)
    await house.plans_long_ago()
    await house.as_the_past(
        f"UPDATE tenantry.plan_change SET effective_at = '{TURN}', entered_at = '{TURN}'"
        " WHERE plan = 'other'"
    )
    return house


async def is_made_again(house: House, who: Principal, done: Any) -> bool:
    stored = await house.billing.book.document(who.tenant_id, str(done.number))
    return (await regenerate(house.billing.invoices, who.tenant_id, stored)).same


def test_an_invoice_tells_changes_and_one_that_was_approved_before_stays_as_it_was(
    database: Database,
) -> None:
    async def body(world: World) -> None:
        house, book = await changed_for_both(world), House.of(world).billing.book
        anna, bert, period = world.anna, world.bert, period_of(world.anna, LAST)
        now = await house.finalise(anna, period)
        lines = [(line["description"], line["amount"]) for line in now.document["lines"]]
        whole = (period.end - period.start).days
        part, day = f"{whole - 10} of {whole} days from {TURN.date()}", NOON.date()
        given = lines[1][1]
        assert lines == [
            ("Plan standard", "30.00"),
            (f"Plan standard, {part}, credited", given),
            (f"Plan other, {part}", given.removeprefix("-")),
            (f"{MODEL}: output tokens, prices from 2020-01-01", "45.00"),
            (f"{MODEL}: output tokens, prices from {day} 12:00:00", "135.00"),
            (f"{MODEL}: output tokens, prices from {day} 12:01:33", "90.00"),
        ]
        assert (given[0], now.document["subtotal"]) == ("-", "300.00")
        skus = [row["SkuId"] for row in focus_rows(now.document)][:3]
        assert skus == ["plan/standard", "plan/standard", "plan/other"]
        cells = csv.DictReader(io.StringIO(exported("csv", now.document, None).decode()))
        assert [row["description"] for row in cells][:6] == [words for words, _ in lines]
        reading = await book.read(
            bert.tenant_id, period, await book.close_ledger(bert.tenant_id, period)
        )
        draft = draft_from(reading, ISSUER, Edition.TAXED_BY_PERIOD)
        await book.store_draft(bert.tenant_id, period, draft, content_sha256(draft))
        before = await house.finalise(bert, period)
        assert "edition" not in before.document
        assert [line["amount"] for line in before.document["lines"]] == [
            "30.00", "45.00", "90.00", "135.00",
        ]  # fmt: skip
        assert before.document["total"] == now.document["total"]
        for who, done in ((anna, now), (bert, before)):
            assert await is_made_again(house, who, done)
        assert await world.violations() == []

    in_world(database, body)
