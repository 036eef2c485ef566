"""Contracts that end: what is given back, what still comes, and when they may end."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

import asyncpg
import pytest
from tests.support.billing import House, months_ago, period_of
from tests.support.ledger import World, in_world
from tests.support.postgres import Database

from tenantry.adapters.postgres.shreds import PostgresShreds
from tenantry.application.agreements import amend
from tenantry.application.invoice_lists import oldest_open
from tenantry.application.invoicing import regenerate, void_invoice
from tenantry.domain.errors import Conflict
from tenantry.domain.tenant import Principal
from tenantry.domain.usage import Usage

LAST = months_ago(1)
KOLKATA = ZoneInfo("Asia/Kolkata")


def test_a_contract_that_ends_gives_back_its_fee_and_is_closed_from_then_on(
    database: Database,
) -> None:
    async def body(world: World) -> None:
        await world.plan(monthly_fee="30")
        house, anna = House.of(world), world.anna
        await house.plans_long_ago()
        await house.since(anna, months_ago(3, day=1))
        ended = months_ago(3, day=11).date()
        await house.contract(anna, ends_on=ended)
        await world.plan(monthly_fee="60")  # later, for others
        tally = await house.run()
        assert (tally.final, tally.nothing, tally.trouble) == (1, 2, 0)
        [number] = await house.numbers()
        stored = await house.billing.book.document(anna.tenant_id, number)
        made = await regenerate(house.billing.book, anna.tenant_id, stored)
        assert made.same
        days = period_of(anna, months_ago(3))
        count = (days.end - days.start).days
        kept = Decimal(round(Fraction(30_000, count))).scaleb(-2)
        assert f'"total":"{kept}"'.encode() in stored.document
        # What is used after its end is not given away: its last terms hold, without their fee.
        await house.as_the_past(
            f"UPDATE tenantry.billing_account SET period_start = '{period_of(anna, LAST).start}',"
            f" period_end = '{period_of(anna, LAST).end}' WHERE tenant_id = '{anna.tenant_id}'"
        )
        await house.used(world.anna, Usage(out=1_000_000), LAST)
        done = await house.finalise(anna, period_of(anna, LAST))
        assert done.number is not None
        lines = [(line["kind"], line["amount"]) for line in done.document["lines"]]
        assert (lines, done.document["total"]) == ([("usage", "45.00")], "45.00")
        last = await house.billing.book.document(anna.tenant_id, done.number)
        assert (await regenerate(house.billing.book, anna.tenant_id, last)).same
        # An address may still be put right: the end that was agreed is no news.
        await amend(house.billing.contracts, anna.tenant, {"tax_id": "US 12"})

    in_world(database, body)


def test_periods_voided_for_a_contract_that_had_ended_are_closed_once(database: Database) -> None:
    """Nothing is owed of them then, and the periods that follow come up."""

    async def body(world: World) -> None:
        await world.plan(monthly_fee="30")
        house, (anna, bert) = House.of(world), (world.anna, world.bert)
        await house.plans_long_ago()
        for who in (anna, bert):
            await house.since(who, months_ago(3, day=1))
            await house.contract(who)
            for months in (3, 2, 1):
                await house.finalise(who, period_of(who, months_ago(months)))
        book = house.billing.book
        for row in (await book.documents(anna.tenant_id))[:2]:
            await void_invoice(book, anna.tenant_id, row["number"], "it had ended")
        await house.contract(anna, ends_on=months_ago(2, day=1).date())
        for months in (2, 1):
            voided = await oldest_open(book, anna.tenant_id)
            assert voided == period_of(anna, months_ago(months))
            assert (await house.finalise(anna, voided)).number is None
        assert await book.freed_periods(anna.tenant_id) == []
        for who in (anna, bert):
            assert await oldest_open(book, who.tenant_id) == period_of(who, datetime.now(UTC))
        # It went on after all: what is final and void once more is free once more.
        await house.contract(anna)
        again = await house.finalise(anna, period_of(anna, LAST))
        await void_invoice(book, anna.tenant_id, str(again.number), "it had not")
        assert await book.freed_periods(anna.tenant_id) == [period_of(anna, LAST)]

    in_world(database, body)


def test_what_settles_late_after_a_contracts_end_is_invoiced_alone(database: Database) -> None:
    """Once, and without fee or minimum of a period that has no contract."""

    async def body(world: World) -> None:
        await world.plan(monthly_fee="30", minimum="50")
        house, anna = House.of(world), world.anna
        await house.plans_long_ago()
        for who in (anna, world.bert):
            await house.since(who, months_ago(3, day=1))
            await house.contract(who, ends_on=months_ago(2, day=1).date())
        first = await house.finalise(anna, period_of(anna, months_ago(3)))
        assert first.document["total"] == "50.00"
        late = Usage(uncached_in=2_000_000, out=1_000_000)  # 63 by list, of which 20 are paid
        await house.used(anna, late, months_ago(3), posted_at=datetime.now(UTC))
        tally = await house.run()
        assert (tally.final, tally.trouble) == (2, 0)
        newest, _ = await house.billing.book.documents(anna.tenant_id)
        stored = await house.billing.book.document(anna.tenant_id, newest["number"])
        shown = json.loads(stored.document)
        assert [(line["kind"], line["amount"]) for line in shown["lines"]] == [
            ("adjustment", "45.00"),
            ("adjustment", "18.00"),
            ("adjustment", "-20.00"),
        ]
        assert (shown["true_up"], shown["total"]) == ("0.00", "43.00")
        assert (await regenerate(house.billing.book, anna.tenant_id, stored)).same
        assert (await house.run()).final == 0

    in_world(database, body)


def test_what_settles_late_of_a_period_after_the_end_is_invoiced_too(database: Database) -> None:
    """Under an overage without any included token, for nobody pays for them any more."""

    async def body(world: World) -> None:
        overage = {"mode": "volume", "included": 5_000_000, "steps": [{"per_million": "6"}]}
        await world.plan(monthly_fee="30", overage=overage)
        house, anna = House.of(world), world.anna
        await house.plans_long_ago()
        await house.since(anna, months_ago(3, day=1))
        await house.contract(anna, ends_on=months_ago(2, day=1).date())
        first = await house.finalise(anna, period_of(anna, months_ago(3)))
        assert first.document["total"] == "30.00"
        await house.finalise(anna, period_of(anna, months_ago(2)))
        await house.used(anna, Usage(out=1_000_000), months_ago(2), posted_at=datetime.now(UTC))
        done = await house.finalise(anna, period_of(anna, LAST))
        lines = [(line["kind"], line["amount"]) for line in done.document["lines"]]
        assert lines == [("adjustment", "6.00")]

    in_world(database, body)


def test_a_contract_has_a_day_at_least(database: Database) -> None:
    async def body(world: World) -> None:
        house, anna = House.of(world), world.anna
        await house.since(anna, months_ago(1, day=10))
        begun = months_ago(1, day=10).date()
        for wrong in (begun, begun - timedelta(days=1), date.min):
            with pytest.raises(Conflict, match=f"ends_on must be after {begun}"):
                await amend(house.billing.contracts, anna.tenant, {"ends_on": wrong.isoformat()})
        assert await house.billing.contracts.contracts(anna.tenant_id) == []
        day = begun + timedelta(days=1)
        await amend(house.billing.contracts, anna.tenant, {"ends_on": day.isoformat()})
        await house.used(anna, Usage(out=1_000_000), months_ago(1, day=10))
        await house.contract(anna, ends_on=day)
        assert (await house.finalise(anna, period_of(anna, LAST))).document["total"] == "45.00"

    in_world(database, body)


def test_a_contract_ends_on_no_civil_day_that_is_invoiced(database: Database) -> None:
    """In Kolkata a month ends before it does in UTC."""

    async def body(world: World) -> None:
        house, anna = House.of(world), world.anna
        await house.contract(anna)
        await house.since(anna, months_ago(1, day=1))
        await house.used(anna, Usage(out=1_000), LAST)
        done = await house.finalise(anna, period_of(anna, LAST))
        last = date.fromisoformat(done.document["period"]["label"].partition(" to ")[2])
        with pytest.raises(Conflict, match=f"invoiced up to {last + timedelta(days=1)}"):
            await house.contract(anna, ends_on=last)
        await house.contract(anna, ends_on=last + timedelta(days=1))
        await house.since(world.bert, months_ago(1, day=1))
        await house.contract(world.bert, ends_on=last)

    in_world(database, body, zone="Asia/Kolkata")


def test_a_contract_that_ends_before_it_begins_says_so(database: Database) -> None:
    async def body(world: World) -> None:
        house, anna = House.of(world), world.anna
        for who in (anna, world.bert):
            await house.contract(who)
        await house.as_the_past(  # before ends were checked
            "UPDATE tenantry.contract SET ends_on = '2020-01-01'"
            f" WHERE tenant_id = '{anna.tenant_id}'"
        )
        for who in (anna, world.bert):
            await house.since(who, months_ago(1, day=1))
            await house.used(who, Usage(out=1_000), LAST)
        with pytest.raises(Conflict, match="ends on 2020-01-01, before its first terms start"):
            await house.finalise(anna, period_of(anna, LAST))
        assert (await house.finalise(world.bert, period_of(world.bert, LAST))).number

    in_world(database, body)


def test_a_contract_ends_with_the_day_of_the_shred(database: Database) -> None:
    """What was used until then is billed, and the days that were paid ahead are given back."""
    asked = months_ago(2, day=10).replace(hour=20)  # the 11th in Kolkata
    today = datetime.now(KOLKATA)  # where a month ends before it does in UTC
    over = (today.year - asked.year) * 12 + today.month - asked.month

    async def body(world: World) -> None:
        await world.plan(monthly_fee="30", minimum="50")
        house, anna, bert = House.of(world), world.anna, world.bert
        carl = Principal(
            await world.control.create_tenant("carl", plan="standard"), bert.api_key_id
        )
        await house.plans_long_ago()
        for who in (anna, bert, carl):
            await house.since(who, months_ago(2, day=1))
        for who in (anna, bert):
            await house.contract(who, tax_rate=Decimal("0.1"))
        await house.used(anna, Usage(out=1_000_000), months_ago(2, day=9))  # 45
        await house.as_the_past(
            "".join(
                f"INSERT INTO tenantry.shred (tenant_id, asked_by, asked_at)"
                f" VALUES ('{who.tenant_id}', 'a test', '{asked}');"
                for who in (anna, carl)
            )
        )
        shreds = PostgresShreds(world.databases.control)
        for who in (anna, carl, anna):
            await shreds.begin(who.tenant_id, "a test")
        contracts = await house.billing.contracts.contracts(anna.tenant_id)
        assert [each["ends_on"] for each in contracts] == [f"{asked:%Y-%m}-12", None]
        assert contracts[0]["customer"] == contracts[1]["customer"]
        await house.run()
        book, days = house.billing.book, period_of(anna, asked).hours // 24
        [only] = await book.documents(anna.tenant_id)
        shown = json.loads((await book.document(anna.tenant_id, only["number"])).document)
        given_back = Decimal(round(Fraction(-3_000 * (days - 11), days))).scaleb(-2)
        assert [(line["kind"], line["amount"]) for line in shown["lines"]] == [
            ("fee", "30.00"),
            ("fee", str(given_back)),
            ("usage", "45.00"),
        ]
        outcomes = {
            who.tenant.name: [run["outcome"] for run in await book.runs(who.tenant_id, None, 10)]
            for who in (anna, bert, carl)
        }
        assert outcomes == {
            "anna": [*["nothing"] * (over - 1), "final"], "bert": ["final"] * over,
            "carl": ["trouble"],
        }  # fmt: skip

    in_world(database, body, zone=KOLKATA.key)


def test_a_contract_changed_at_the_instant_of_the_shred(database: Database) -> None:
    """Both are written, one after the other, and the contract ends."""

    async def body(world: World) -> None:
        house, anna = House.of(world), world.anna
        shreds = PostgresShreds(world.databases.control)
        await house.contract(anna)
        gate = await asyncpg.connect(database.dsn("superuser"))
        try:
            await gate.execute("BEGIN; LOCK TABLE tenantry.plan_change IN ACCESS EXCLUSIVE MODE")
            # It has counted the versions, and waits where it reads the terms.
            ends_on = (datetime.now(UTC) + timedelta(days=400)).date()
            change = asyncio.create_task(house.contract(anna, ends_on=ends_on))
            await waiting(database, 1)
            shred = asyncio.create_task(shreds.begin(anna.tenant_id, "a test"))
            await waiting(database, 2, unless=shred)
            await gate.execute("COMMIT")
        finally:
            await gate.close()
        await asyncio.gather(change, shred)
        contracts = await house.billing.contracts.contracts(anna.tenant_id)
        assert [each["version"] for each in contracts] == [3, 2, 1]
        assert contracts[0]["ends_on"] < contracts[1]["ends_on"] == ends_on.isoformat()

    in_world(database, body)


async def waiting(database: Database, count: int, unless: asyncio.Task[Any] | None = None) -> None:
    """Until so many transactions wait for a lock, or a task is done without."""
    connection = await asyncpg.connect(database.dsn("superuser"))
    try:
        async with asyncio.timeout(4):
            while unless is None or not unless.done():
                found = await connection.fetchval(
                    "SELECT count(*) FROM pg_stat_activity"
                    " WHERE wait_event_type = 'Lock' AND datname = current_database()"
                )
                if found >= count:
                    return
                await asyncio.sleep(0.01)
    finally:
        await connection.close()
