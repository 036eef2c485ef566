"""A month that is due and held up is told: with whom it waits for, and why."""

import logging
from pathlib import Path

import pytest
from tests.support.archiving import archive_in, month_ago, rolled_up, with_partitions
from tests.support.billing import House, months_ago, period_of
from tests.support.ledger import World, in_world
from tests.support.postgres import Database

from tenantry.application import archiving
from tenantry.application.archiving import archive_closed, archive_month, archive_round, held_up
from tenantry.domain.errors import Conflict
from tenantry.domain.usage import Usage

LAST = month_ago(2)
USED = Usage(uncached_in=1_000_000)


async def of_two_months_ago(world: World) -> House:
    """Two tenants with usage and no contract, whose periods are over."""
    house = House.of(world)
    await with_partitions(world, LAST)
    for who in (world.anna, world.bert):
        await house.since(who, months_ago(2, day=1))
        await house.used(who, USED, months_ago(2))
    await rolled_up(world)
    return house


def test_what_holds_a_month_up_is_told_with_every_tenant_and_why(
    database: Database, tmp_path: Path
) -> None:
    async def body(world: World) -> None:
        house, archive = await of_two_months_ago(world), archive_in(world, tmp_path)
        assert await held_up(archive.months, 2) is None  # it is not due
        both = sorted((world.anna.tenant_id, world.bert.tenant_id))
        closed = await archive_closed(archive, 1)
        assert (closed.done, closed.held) == ([], await held_up(archive.months, 1))
        assert closed.held is not None
        assert closed.held.month == LAST
        since = f"its period from {LAST:%Y-%m-%d} is not final"
        assert closed.held.obstacles.named == [f"{each}: {since}" for each in both]

        await house.contract(world.anna)
        await house.run()  # which cannot make bert's
        found = await archive.months.obstacles(LAST)
        assert found is not None
        [named] = found.named
        assert named.startswith(f"{world.bert.tenant_id}: {since}: ")
        assert "address" in named
        assert found.more == 0
        assert world.anna.tenant_id not in str(found)
        with pytest.raises(Conflict, match=f"{world.bert.tenant_id}: {since}"):
            await archive_month(archive, LAST)

        await house.contract(world.bert)
        await house.run()
        closed = await archive_closed(archive, 1)
        assert ([each.month for each in closed.done], closed.held) == ([LAST], None)
        assert await held_up(archive.months, 1) is None

    in_world(database, body)


def test_drafts_that_wait_and_open_requests_are_told_too(
    database: Database, tmp_path: Path
) -> None:
    async def body(world: World) -> None:
        house, archive = await of_two_months_ago(world), archive_in(world, tmp_path)
        for who in (world.anna, world.bert):
            await house.contract(who)
        await house.run(mode="review")
        opened = await world.admitted(world.bert)
        await house.move(opened.request_id, months_ago(2))
        closed = await archive_closed(archive, 1)
        assert closed.held is not None
        request, *periods = closed.held.obstacles.named
        assert request == f"request {opened.request_id} of {world.bert.tenant_id} is open"
        assert [each.partition(": ")[0] for each in periods] == sorted(
            (world.anna.tenant_id, world.bert.tenant_id)
        )
        assert all(each.endswith("its draft waits for approval") for each in periods)
        line = closed.held.words(1)
        assert f"({request}; and 2 more)" in line
        await world.settle(opened, world.outcome(USED))

    in_world(database, body)


def test_no_more_than_the_first_ten_are_named(database: Database, tmp_path: Path) -> None:
    async def body(world: World) -> None:
        house, archive = await of_two_months_ago(world), archive_in(world, tmp_path)
        opened = [await world.admitted(who) for who in (world.anna, world.bert) for _ in range(6)]
        for each in opened:
            await house.move(each.request_id, months_ago(2))
        found = await archive.months.obstacles(LAST)
        assert found is not None
        assert len(found.named) == 10 + 2
        assert found.more == 2
        for each in opened:
            await world.settle(each, world.outcome(USED))

    in_world(database, body)


def test_the_worker_says_it_once_and_again_when_it_changes(
    database: Database, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def body(world: World) -> None:
        house, archive = await of_two_months_ago(world), archive_in(world, tmp_path)
        work, never = archive_round(archive, 1).work, archive_round(archive, 0).work

        def said() -> list[str]:
            lines = [each.getMessage() for each in caplog.records if "archived" in each.message]
            caplog.clear()
            return lines

        await never()
        assert said() == []
        await work()
        [line] = said()
        assert line.startswith(f"alert: {LAST:%Y-%m} cannot be archived: 2 tenants have a period")
        assert world.anna.tenant_id in line
        assert world.bert.tenant_id in line
        await work()
        assert said() == []
        await house.contract(world.anna)
        await house.finalise(world.anna, period_of(world.anna, months_ago(2)))
        await work()
        [line] = said()
        assert world.anna.tenant_id not in line
        await house.contract(world.bert)
        await house.finalise(world.bert, period_of(world.bert, months_ago(2)))
        await work()
        assert said() == []
        assert [each.month for each in await archive.months.archived()] == [LAST]

    caplog.set_level(logging.WARNING, archiving.__name__)
    in_world(database, body)
