"""A database that was restored to before documents were given: no number is given twice."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from tests.support.billing import ISSUER, House, home_of, months_ago, period_of
from tests.support.ledger import HOLD, World, in_world, open_world
from tests.support.postgres import Database
from tests.support.restores import copied

from tenantry.adapters.clock import SystemClock
from tenantry.adapters.objects.number_file import DIGESTS, NAME
from tenantry.adapters.postgres.connections import Databases
from tenantry.adapters.postgres.keeper import PostgresLedgerKeeper
from tenantry.application.invoicing import issue_credit_note
from tenantry.bootstrap.billing import billing_of
from tenantry.domain.errors import BadRequest, Conflict, Corrupt, Unavailable
from tenantry.domain.tenant import Principal

YEAR = datetime.now(UTC).year
INV, CN = f"INV-{YEAR}", f"CN-{YEAR}"
OWED = (months_ago(2), months_ago(1))


def numbers_in(home: Path, name: str = NAME) -> dict[str, Any]:
    path = home / "control" / name
    return json.loads(path.read_text()) if path.exists() else {}


def digests_in(home: Path) -> dict[str, str]:
    """By number, as the file beside the numbers has them."""
    return numbers_in(home, DIGESTS)


def files_of(home: Path) -> tuple[dict[str, int], dict[str, str]]:
    return numbers_in(home), digests_in(home)


def keep(home: Path, told: object, name: str = NAME) -> None:
    path = home / "control" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(told))


async def two_owe(world: World) -> House:
    """Two tenants that owe a fee for two months."""
    house = House.of(world)
    await world.plan(monthly_fee="10")
    await house.plans_long_ago()
    for who in (world.anna, world.bert):
        await house.contract(who)
        await house.since(who, months_ago(2, day=1))
    return house


async def credited(house: House, who: Principal, number: str) -> str:
    book, clock = house.billing.book, SystemClock()
    note = await issue_credit_note(
        book, clock, ISSUER, who.tenant_id, number, net=None, reason="outage"
    )
    return str(note.number)


@asynccontextmanager
async def over(world: World, database: Database, home: Path) -> AsyncIterator[House]:
    """The same house over another database and home."""
    databases = await Databases.open(database.dsn)
    try:
        moved = replace(world, database=database, databases=databases)
        yield House(moved, billing_of(databases, ISSUER, home))
    finally:
        await databases.close()


@asynccontextmanager
async def restored(database: Database) -> AsyncIterator[tuple[World, House, House]]:
    """One invoice, a copy of the database, then an invoice of the other tenant and a credit note:
    the world, the house that goes on, and the one that was put back over the same home."""
    people: dict[str, Principal] = {}
    async with open_world(database) as world:
        house = await two_owe(world)
        first = await house.finalise(world.anna, period_of(world.anna, OWED[0]))
        people = {"anna": world.anna, "bert": world.bert}
        assert first.number == f"{INV}-000001"
    async with copied(database, f"{database.name}_back") as back:
        now = await Databases.open(database.dsn)
        try:
            world = replace(world, databases=now, **people)
            ahead = House.of(world)
            second = await ahead.finalise(world.bert, period_of(world.bert, OWED[0]))
            note = await credited(ahead, world.bert, str(second.number))
            assert (second.number, note) == (f"{INV}-000002", f"{CN}-000001")
            async with over(world, back, home_of(database)) as behind:
                yield world, ahead, behind
        finally:
            await now.close()


def test_a_restored_database_gives_no_number_again(database: Database) -> None:
    async def body() -> None:
        async with restored(database) as (world, _, behind):
            assert numbers_in(home_of(database)) == {INV: 2, CN: 1}
            told = f"{CN}-000001, {INV}-000002 were given that this database does not know"
            for who in (world.anna, world.bert):
                with pytest.raises(Conflict, match=told):
                    await behind.finalise(who, period_of(who, OWED[0]))
            with pytest.raises(Conflict, match=told):
                await credited(behind, world.anna, f"{INV}-000001")
            with pytest.raises(Conflict, match="invoices numbers --continue-after"):
                await behind.run()
            assert await behind.billing.book.runs(None, "trouble", 10) == []
            assert told in str(await behind.billing.numbers.problem())
            assert await behind.numbers() == [f"{INV}-000001"]
            await behind.billing.numbers.bring_up()  # a start of before changes nothing
            assert numbers_in(home_of(database)) == {INV: 2, CN: 1}

    asyncio.run(body())


def test_what_an_operator_says_stays_a_gap_and_numbers_go_on_after_it(database: Database) -> None:
    async def body() -> None:
        async with restored(database) as (world, _, behind):
            numbers = behind.billing.numbers
            rows, gaps = await numbers.listed()
            assert [(row.series, row.database, row.file, row.is_behind) for row in rows] == [
                (CN, None, f"{CN}-000001", True),
                (INV, f"{INV}-000001", f"{INV}-000002", True),
            ]
            assert gaps == []
            with pytest.raises(Conflict, match=f"{INV}-000002 were given"):
                await numbers.continue_after(f"{INV}-000001", "eve", "restored")
            gap = await numbers.continue_after(f"{INV}-000002", "eve", "restored")
            assert (gap.first, gap.last, gap.told_by) == (2, 2, "eve")
            with pytest.raises(Conflict, match=f"up to {CN}-000001 were given"):
                await behind.finalise(world.anna, period_of(world.anna, OWED[1]))
            await numbers.continue_after(f"{CN}-000003", "eve", "two more were sent by hand")
            made = await behind.finalise(world.anna, period_of(world.anna, OWED[1]))
            assert made.number == f"{INV}-000003"
            assert await credited(behind, world.anna, str(made.number)) == f"{CN}-000004"
            assert numbers_in(home_of(database)) == {INV: 3, CN: 4}
            _, gaps = await numbers.listed()
            assert [(each.series, each.first, each.last) for each in gaps] == [
                (CN, 1, 3),
                (INV, 2, 2),
            ]
            assert await violations(behind) == []

    asyncio.run(body())


async def violations(house: House) -> list[str]:
    databases = house.world.databases
    keeper = PostgresLedgerKeeper(databases.control, databases.operator)
    return list(await keeper.violations(HOLD))


def test_a_gap_that_nobody_told_and_a_document_within_one_are_violations(
    database: Database,
) -> None:
    async def body() -> None:
        async with restored(database) as (world, _, behind):
            numbers = behind.billing.numbers
            await numbers.continue_after(f"{INV}-000003", "eve", "restored")
            await numbers.continue_after(f"{CN}-000001", "eve", "restored")
            await behind.finalise(world.anna, period_of(world.anna, OWED[1]))
            assert await violations(behind) == []
            for harm in (
                f"UPDATE tenantry.invoice_gap SET last = 2 WHERE series = '{INV}'",
                f"UPDATE tenantry.invoice_gap SET first = 3, last = 4 WHERE series = '{INV}'",
            ):
                await behind.as_the_past(harm)
                [found] = await violations(behind)
                assert "numbers_have_no_gap" in str(found) and INV in str(found)

    asyncio.run(body())


def test_a_told_gap_is_for_good_and_within_reason(database: Database) -> None:
    async def body(world: World) -> None:
        numbers, control = House.of(world).billing.numbers, world.databases.control
        refused = (f"INV-{YEAR + 2}-000001", f"{INV}-200000")
        for number in refused:
            with pytest.raises(Conflict):
                await numbers.continue_after(number, "eve", "a slip")
        for number, reason in ((f"{INV}-1", "x"), ("ABC-2026-000001", "x"), (f"{INV}-000001", "")):
            with pytest.raises(BadRequest):
                await numbers.continue_after(number, "eve", reason)
        assert (await numbers.listed()) == ([], [])
        await numbers.continue_after(f"{INV}-000002", "eve", "sent by hand")
        with pytest.raises(Conflict, match="no gap up to 2"):
            await numbers.continue_after(f"{INV}-000002", "eve", "again")
        for change in ("UPDATE", "DELETE"):
            script = "SET reason = ''" if change == "UPDATE" else ""
            words = f"{change} {'FROM ' if change == 'DELETE' else ''}tenantry.invoice_gap {script}"
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await control.execute(words)
            with pytest.raises(asyncpg.PostgresError, match="append"):
                await world.as_superuser(words)
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await world.databases.app.fetch("SELECT continue_after($1, 9, 'x', 'x')", INV)

    in_world(database, body)


def test_a_home_that_lags_refuses_nothing_and_is_brought_up(database: Database) -> None:
    async def body(world: World) -> None:
        house = await two_owe(world)
        for who in (world.anna, world.bert):
            await house.finalise(who, period_of(who, OWED[0]))
        second = home_of(database) / "second"
        async with over(world, database, second) as other:
            assert numbers_in(second) == {}  # a new home without a file
            await other.billing.numbers.bring_up()
            assert numbers_in(second) == {INV: 2}
            await house.finalise(world.anna, period_of(world.anna, OWED[1]))
            made = await other.finalise(world.bert, period_of(world.bert, OWED[1]))
        assert made.number == f"{INV}-000004"
        assert numbers_in(second) == {INV: 4}
        assert numbers_in(home_of(database)) == {INV: 3}
        assert await house.billing.numbers.problem() is None

    in_world(database, body)


@pytest.mark.parametrize("lagged", [{}, {INV: 1}])
def test_a_number_that_another_home_gave_again_is_told_by_the_home_that_knew_the_first(
    database: Database, lagged: dict[str, int]
) -> None:
    """Which alone knows that two customers hold it."""

    async def body() -> None:
        async with restored(database) as (world, _, behind):
            knew = home_of(database)
            given = files_of(knew)
            second = knew / "second"
            keep(second, lagged)
            async with over(world, behind.world.database, second) as other:
                assert await other.billing.numbers.problem() is None  # it knows of nothing
                again = await other.finalise(world.anna, period_of(world.anna, OWED[1]))
                assert again.number == f"{INV}-000002"
                told = f"{CN}-000001 were given that this database does not know"
                assert told in str(await behind.billing.numbers.problem())
                assert await credited(other, world.anna, str(again.number)) == f"{CN}-000001"
                mine, other_one = digests_in(second)[again.number], digests_in(knew)[again.number]
                assert mine == again.sha256 != other_one

                numbers = behind.billing.numbers
                told = f"{CN}-000001, {INV}-000002: this database has another document"
                assert told in str(await numbers.problem())
                for _ in range(2):
                    with pytest.raises(Conflict, match=told):
                        await behind.finalise(world.bert, period_of(world.bert, OWED[0]))
                    await numbers.bring_up()
                with pytest.raises(Conflict, match=told):
                    await behind.run()
                rows, _ = await numbers.listed()
                assert [(row.series, row.is_behind, row.is_another) for row in rows] == [
                    (CN, False, True),
                    (INV, False, True),
                ]
                assert files_of(knew) == given

                for number in (f"{INV}-000003", f"{CN}-000002"):
                    await numbers.continue_after(number, "eve", "two customers hold the last one")
                assert await numbers.problem() is None
                assert await other.billing.numbers.problem() is None
                made = await behind.finalise(world.bert, period_of(world.bert, OWED[0]))
                assert made.number == f"{INV}-000004"
                assert files_of(knew) == ({CN: 2, INV: 4}, {made.number: made.sha256})
                assert await violations(behind) == []

    asyncio.run(body())


def test_numbers_without_digests_go_on_and_get_them(database: Database) -> None:
    """The file of numbers is as an older version writes and reads it."""

    async def body(world: World) -> None:
        house, home = await two_owe(world), home_of(database)
        first = await house.finalise(world.anna, period_of(world.anna, OWED[0]))
        assert files_of(home) == ({INV: 1}, {first.number: first.sha256})
        (home / "control" / DIGESTS).unlink()
        assert await house.billing.numbers.problem() is None
        assert digests_in(home) == {}  # it was only asked
        await house.billing.numbers.bring_up()
        assert files_of(home) == ({INV: 1}, {first.number: first.sha256})
        (home / "control" / DIGESTS).unlink()
        second = await house.finalise(world.bert, period_of(world.bert, OWED[0]))
        assert files_of(home) == ({INV: 2}, {second.number: second.sha256})
        keep(home, {second.number: "0" * 64}, DIGESTS)
        with pytest.raises(Conflict, match=f"{INV}-000002: this database has another document"):
            await house.finalise(world.bert, period_of(world.bert, OWED[1]))

    in_world(database, body)


def test_digests_without_numbers_refuse_nothing_and_are_written_anew(database: Database) -> None:
    """So are those of other numbers, as a crash between both files or an older version leaves."""

    async def body(world: World) -> None:
        house, home = await two_owe(world), home_of(database)
        first = await house.finalise(world.anna, period_of(world.anna, OWED[0]))
        (home / "control" / NAME).unlink()
        keep(home, {first.number: "0" * 64, f"{INV}-000009": "1" * 64}, DIGESTS)
        assert await house.billing.numbers.problem() is None
        await house.billing.numbers.bring_up()
        assert files_of(home) == ({INV: 1}, {first.number: first.sha256})
        keep(home, {f"{INV}-000009": "1" * 64}, DIGESTS)
        second = await house.finalise(world.bert, period_of(world.bert, OWED[0]))
        assert files_of(home) == ({INV: 2}, {second.number: second.sha256})

    in_world(database, body)


def test_killed_between_the_commit_and_the_file_the_file_is_behind(database: Database) -> None:
    async def body(world: World) -> None:
        house, home = await two_owe(world), home_of(database)
        await house.finalise(world.anna, period_of(world.anna, OWED[0]))
        command = [sys.executable, "-m", "tests.support.invoice_process"]
        dsn = world.database.dsn("control")
        ended = await asyncio.to_thread(
            subprocess.run, [*command, dsn, "after-commit", str(home)], timeout=60
        )
        assert ended.returncode == -signal.SIGKILL
        given = len(await house.numbers())
        assert given > 1
        assert numbers_in(home)[INV] < given
        assert await house.billing.numbers.problem() is None
        tally = await house.run()
        assert tally.trouble == 0
        assert await house.numbers() == [f"{INV}-{n:06}" for n in range(1, 5)]
        assert numbers_in(home) == {INV: 4}

    in_world(database, body)


def test_without_a_file_that_can_be_read_and_written_no_number_is_given(
    database: Database,
) -> None:
    async def body(world: World) -> None:
        house, home = await two_owe(world), home_of(database)
        path = home / "control" / NAME
        path.parent.mkdir(parents=True)
        beside = path.with_name(DIGESTS)
        sha256 = "0" * 64
        for file, damaged in (
            *((path, each) for each in ("{", "[]", f'{{"{INV}": "3"}}', '{"x": 3}')),
            *((beside, each) for each in ("{", "[]", f'{{"{INV}-000003": "x"}}')),
            *((beside, f'{{"{each}": "{sha256}"}}') for each in (INV, f"{INV}-3")),
        ):
            path.unlink(missing_ok=True)
            file.write_text(damaged)
            with pytest.raises(Corrupt, match="is damaged"):
                await house.finalise(world.anna, period_of(world.anna, OWED[0]))
            with pytest.raises(Corrupt):
                await house.run()
            assert "is damaged" in str(await house.billing.numbers.problem())
        beside.unlink()
        for file in (path, beside):
            file.mkdir()
            with pytest.raises(Unavailable, match="cannot be read"):
                await house.finalise(world.anna, period_of(world.anna, OWED[0]))
            file.rmdir()
        assert await house.numbers() == []

    in_world(database, body)


def test_documents_that_are_made_at_once_lose_no_number(database: Database) -> None:
    async def body(world: World) -> None:
        house = await two_owe(world)
        others: list[Any] = [House.of(world) for _ in range(3)]
        await asyncio.gather(house.run(), *(each.run() for each in others))
        await house.run()
        assert numbers_in(home_of(database)) == {INV: len(await house.numbers())} == {INV: 4}

    in_world(database, body)
