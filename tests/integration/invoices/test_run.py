"""The monthly run: every tenant once, whatever is in one's way, and whenever it is killed."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import asyncpg
import pytest
from tests.support.billing import ISSUER, House, home_of, months_ago, period_of
from tests.support.ledger import World, in_world, intent
from tests.support.postgres import Database

from tenantry.adapters.clock import SystemClock
from tenantry.adapters.postgres import connections
from tenantry.adapters.postgres.invoice_book import PostgresInvoiceBook
from tenantry.application.agreements import amend
from tenantry.application.invoice_lists import oldest_open
from tenantry.application.invoice_run import billing_rounds, run_due
from tenantry.application.invoicing import void_invoice
from tenantry.domain.errors import Conflict, Unavailable
from tenantry.domain.tenant import Principal
from tenantry.domain.usage import Usage
from tenantry.ports.admission import AttemptOutcome

YEAR = datetime.now(UTC).year
LAST = months_ago(1)
USED = Usage(uncached_in=1_000_000)  # charge 9


async def crowd(world: World, count: int, months: int = 1) -> list[Principal]:
    """Tenants with a contract, and a fee since some months."""
    house = House.of(world)
    await world.plan(monthly_fee="10")
    await house.plans_long_ago()
    people = []
    for n in range(count):
        tenant = await world.control.create_tenant(f"c{n:03}", plan="standard")
        people.append(Principal(tenant, world.anna.api_key_id))
        await house.contract(people[-1])
        await house.since(people[-1], months_ago(months, day=1))
    return people


@asynccontextmanager
async def held(world: World, who: Principal) -> AsyncIterator[None]:
    """Another transaction has the tenant's account."""
    connection = await asyncpg.connect(world.database.dsn("superuser"))
    try:
        async with connection.transaction():
            lock = "SELECT FROM tenantry.billing_account WHERE tenant_id = $1 FOR UPDATE"
            await connection.execute(lock, who.tenant_id)
            yield
    finally:
        await connection.close()


async def counts(world: World) -> dict[str, int]:
    rows = await world.fetch("SELECT tenant_id, count(*) AS n FROM invoice GROUP BY tenant_id")
    return {row["tenant_id"]: row["n"] for row in rows}


def test_a_run_catches_up_and_a_second_one_does_nothing(database: Database) -> None:
    async def body(world: World) -> None:
        people = await crowd(world, 5, months=3)
        house = House.of(world)
        tally = await house.run()
        assert (tally.final, tally.trouble) == (15, 0)
        assert await counts(world) == {who.tenant_id: 3 for who in people}
        numbers = [f"INV-{YEAR}-{n:06}" for n in range(1, 16)]
        assert await house.numbers() == numbers
        again = await house.run()
        assert (again.final, again.nothing, again.trouble) == (0, 0, 0)
        runs = await house.billing.book.runs(people[0].tenant_id, None, 10)
        assert [run["outcome"] for run in runs] == ["final"] * 3

    in_world(database, body)


def test_where_a_midnight_has_moved_each_hour_is_invoiced_once(database: Database) -> None:
    """A period was begun under other rules of its time zone, by which it ends an hour later."""

    async def body(world: World) -> None:
        house, anna = House.of(world), world.anna
        await house.plans_long_ago()
        for who in (anna, world.bert):
            await house.contract(who)
            await house.since(who, months_ago(2, day=1))
        whole = period_of(anna, months_ago(2))
        hour = timedelta(hours=1)
        await house.as_the_past(
            f"UPDATE tenantry.billing_account SET period_end = '{whole.end + hour}'"
            f" WHERE tenant_id = '{anna.tenant_id}'"
        )
        await house.used(anna, Usage(out=1_000_000), whole.end + hour / 2)
        await house.used(world.bert, Usage(out=1_000_000), whole.end + hour / 2)
        tally = await house.run()
        assert (tally.final, tally.nothing, tally.trouble) == (2, 2, 0)
        following = await house.billing.book.next_period(anna.tenant_id)
        assert following == period_of(anna, months_ago(0))
        [of_anna] = await house.billing.book.documents(anna.tenant_id)
        [of_bert] = await house.billing.book.documents(world.bert.tenant_id)
        assert (of_anna["period_start"], of_bert["period_start"]) == (whole.start, whole.end)
        assert of_anna["total"] == of_bert["total"]

    in_world(database, body)


def test_one_tenants_trouble_is_recorded_and_stops_no_other(database: Database) -> None:
    async def body(world: World) -> None:
        people = await crowd(world, 4)
        house = House.of(world)
        await house.since(world.anna, months_ago(1, day=1))  # and has no contract
        open_one = await world.admitted(world.bert)
        await house.contract(world.bert)
        await house.since(world.bert, months_ago(1, day=1))
        await house.move(open_one.request_id, LAST)
        tally = await house.run()
        assert (tally.final, tally.trouble) == (4, 2)
        troubles = await house.billing.book.runs(None, "trouble", 10)
        assert {row["name"]: row["detail"].split(":")[0] for row in troubles} == {
            "anna": "anna has no contract with a billing address yet",
            "bert": "1 requests of the period are open",
        }
        assert (await house.run(again_s=3_600)).trouble == 0  # not yet again
        await house.contract(world.anna)
        await world.settle(open_one, world.outcome(Usage(out=1)))
        await house.move(open_one.request_id, LAST)
        tally = await house.run()
        assert (tally.final, tally.trouble) == (2, 0)
        assert len(await house.numbers()) == len(people) + 2

    in_world(database, body)


def test_one_tenant_that_another_process_holds_stops_no_other(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "LOCK_TIMEOUT_MS", 200)

    async def body(world: World) -> None:
        first, second = await crowd(world, 2)
        house = House.of(world)
        async with held(world, first):
            tally = await house.run()
            assert (tally.final, tally.trouble) == (1, 1)
            with pytest.raises(Conflict, match="Another process is invoicing this tenant"):
                await amend(house.billing.contracts, first.tenant, {"email": "a@b.example"})
            await amend(house.billing.contracts, second.tenant, {"email": "a@b.example"})
        assert (await house.run()).final == 1

    in_world(database, body)


def test_each_request_that_blocks_is_named_once(database: Database) -> None:
    """A batch has an attempt for each of its records."""

    async def body(world: World) -> None:
        house, anna = House.of(world), world.anna
        for who in (anna, world.bert):
            await house.contract(who)
            await house.since(who, months_ago(1, day=1))
        batch, single = await world.admitted(anna), await world.admitted(anna)
        for call in range(1, 30):
            await world.admission.begin(anna.tenant_id, batch.request_id, intent(call))
        await world.settle(batch, AttemptOutcome(0, 1, "unknown"), final=False)
        await house.move(batch.request_id, LAST)
        await house.move(single.request_id, LAST + timedelta(hours=1))
        await house.run()
        [trouble] = await house.billing.book.runs(None, "trouble", 10)
        assert trouble["detail"] == (
            f"2 requests of the period are open: {batch.request_id}, 30 attempts: dispatched,"
            f" unknown; {single.request_id}/0:1 dispatched."
        )
        used = [world.outcome(Usage(out=1), call=call) for call in range(30)]
        await world.settle(batch, *used)
        await world.settle(single, used[0])
        for request in (batch, single):
            await house.move(request.request_id, LAST)
        assert (await house.run()).final == 1

    in_world(database, body)


def test_a_voided_period_is_told_until_it_is_final_again(database: Database) -> None:
    """A person voided it: the run makes nothing of it final by itself."""

    async def body(world: World) -> None:
        anna, bert = await crowd(world, 2, months=3)
        house = House.of(world)
        book = house.billing.book
        assert (await house.run()).final == 6
        assert (await house.run()).trouble == 0
        voided = [row["number"] for row in await book.documents(anna.tenant_id)][1:]
        for number in voided:
            await void_invoice(book, anna.tenant_id, number, "wrong address")
        for mode in ("review", "automatic"):
            tally = await house.run(mode=mode)
            assert (tally.final, tally.review, tally.trouble) == (0, 0, 2)
        assert (await house.run(again_s=3_600)).trouble == 0  # not yet again
        troubles = await book.runs(anna.tenant_id, "trouble", 10)
        assert [row["detail"] for row in troubles] == [
            f"{number} is void, and the period is not invoiced again." for number in voided
        ]
        assert await book.runs(bert.tenant_id, "trouble", 10) == []
        for _ in voided:
            done = await house.finalise(anna, await oldest_open(book, anna.tenant_id))
            assert done.number is not None
        assert (await house.run()).trouble == 0
        assert {row["outcome"] for row in await book.runs(None, None, 10)} == {"final"}
        await void_invoice(book, anna.tenant_id, done.number, "wrong address")
        assert (await house.run(again_s=3_600)).trouble == 1  # at once

    in_world(database, body)


def test_off_and_without_an_issuer_nothing_happens(database: Database) -> None:
    async def body(world: World) -> None:
        await crowd(world, 1)
        house = House.of(world)
        assert (await house.run(mode="off")).final == 0
        tally = await run_due(house.billing.book, SystemClock(), None, mode="automatic")
        assert (tally.final, tally.trouble) == (0, 0)
        assert (await house.run(after_s=86_400 * 60)).final == 0  # due long after its end
        rounds = billing_rounds(
            house.billing.book,
            house.billing.contracts,
            SystemClock(),
            ISSUER,
            mode="automatic",
            after_s=0,
        )
        assert [each.name for each in rounds] == ["plan-changes", "invoices"]
        bare = billing_rounds(
            house.billing.book,
            house.billing.contracts,
            SystemClock(),
            None,
            mode="review",
            after_s=0,
        )
        assert [each.name for each in bare] == ["plan-changes"]
        for each in rounds:
            await each.work()
        assert len(await house.numbers()) == 1

    in_world(database, body)


class _Cut(PostgresInvoiceBook):
    """Loses its connection at one of its statements, as a process that is killed does."""

    at = -1
    sent = 0

    async def _run(self, connection: Any, name: str, *values: object) -> list[Any]:
        self.sent += 1
        if self.sent == self.at:
            connection.terminate()
            raise Unavailable("the connection is gone")
        return await super()._run(connection, name, *values)


class _Away(PostgresInvoiceBook):
    """Loses the database as soon as an invoice is looked at."""

    async def draft(self, *asked: Any) -> Any:
        raise Unavailable("the connection is gone")


def test_a_database_that_goes_away_ends_the_round_as_an_outage(database: Database) -> None:
    async def body(world: World) -> None:
        await crowd(world, 3)
        book = _Away(world.databases.control, House.of(world).billing.numbers)
        with pytest.raises(Unavailable, match="the connection is gone"):
            await run_due(book, SystemClock(), ISSUER, mode="automatic", again_s=0)
        assert await House.of(world).numbers() == []

    in_world(database, body)


def test_cut_off_at_any_statement_a_run_does_all_once(database: Database) -> None:
    async def body(world: World) -> None:
        people = await crowd(world, 3)
        house = House.of(world)
        settings = {"search_path": "tenantry, pg_temp", "timezone": "UTC"}
        pool = await asyncpg.create_pool(
            world.database.dsn("control"), min_size=1, max_size=3, server_settings=settings
        )
        for at in range(1, 60):
            book = _Cut(pool, house.billing.numbers)
            book.at = at
            try:
                await run_due(book, SystemClock(), ISSUER, mode="automatic", again_s=0)
            except Unavailable:
                pass
            else:
                if book.sent < at:
                    break
            assert all(n == 1 for n in (await counts(world)).values())
            assert await world.violations() == []
        await house.run()
        pool.terminate()
        assert await counts(world) == {who.tenant_id: 1 for who in people}
        assert await house.numbers() == [f"INV-{YEAR}-{n:06}" for n in range(1, 4)]
        notices = await world.fetch("SELECT kind FROM notice")
        assert [row["kind"] for row in notices] == ["invoice.finalised"] * 3

    in_world(database, body)


@pytest.mark.parametrize("step", [9, 30])
def test_killed_with_sigkill_a_run_does_all_once(database: Database, step: int) -> None:
    async def body(world: World) -> None:
        people = await crowd(world, 6)
        house = House.of(world)
        command = [sys.executable, "-m", "tests.support.invoice_process"]
        dsn, home = world.database.dsn("control"), str(home_of(world.database))
        ended = await asyncio.to_thread(
            subprocess.run, [*command, dsn, str(step), home], timeout=60
        )
        assert ended.returncode == -signal.SIGKILL
        assert await world.violations() == []
        assert len(await house.numbers()) < 6
        tally = await house.run()
        assert tally.trouble == 0
        assert await counts(world) == {who.tenant_id: 1 for who in people}
        assert await house.numbers() == [f"INV-{YEAR}-{n:06}" for n in range(1, 7)]

    in_world(database, body)


def test_several_workers_at_once_do_each_period_once(database: Database) -> None:
    async def body(world: World) -> None:
        people = await crowd(world, 8, months=2)
        house = House.of(world)
        await asyncio.gather(*(house.run() for _ in range(3)))
        await house.run()
        assert await counts(world) == {who.tenant_id: 2 for who in people}
        assert len(await house.numbers()) == 16
        assert await house.billing.book.runs(None, "trouble", 10) == []
        assert {Decimal(row[0]) for row in await world.fetch("SELECT total FROM invoice")} == {10}
        assert period_of(people[0], LAST).end <= await house.billing.book.now()

    in_world(database, body)
