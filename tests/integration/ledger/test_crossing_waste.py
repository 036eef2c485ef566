"""What is given up, and what is posted late, is each tenant's own, whatever the other one's is."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from tests.support.batch_jobs import job_of
from tests.support.ledger import POOL, World, in_world
from tests.support.postgres import Database

from tenantry.adapters.postgres.batches import PostgresBatchNotes
from tenantry.adapters.postgres.log_readings import PostgresLogReadings
from tenantry.domain.usage import Usage
from tenantry.ports.admission import AttemptOutcome, Reservation
from tenantry.ports.log_reading import Reading

USED = Usage(uncached_in=1_000, out=500)
UNKNOWN = AttemptOutcome(0, 1, "unknown")
DAY = timedelta(days=1)


async def of_one_id(world: World) -> tuple[Reservation, Reservation]:
    """Unknown requests of both tenants, of the same id."""
    mine = await world.admitted(world.anna)
    theirs = await world.admitted(world.bert, request_id=mine.request_id)
    for each in (mine, theirs):
        await world.settle(each, UNKNOWN)
    return mine, theirs


async def written_off(world: World) -> list[str]:
    rows = await world.fetch("SELECT tenant_id FROM cost_entry WHERE ending = 'written_off'")
    return [row[0] for row in rows]


def test_another_tenants_batch_job_holds_up_no_write_off(database: Database) -> None:
    async def body(world: World) -> None:
        mine, theirs = await of_one_id(world)
        job = replace(job_of(world.bert.tenant_id), request_id=theirs.request_id)
        await PostgresBatchNotes(world.work).plan(job)
        later = datetime.now(UTC) + DAY
        read = Reading(POOL.account, POOL.region, frozenset({"a"}), later, later - 2 * DAY, later)
        await PostgresLogReadings(world.databases.control).note(read)
        assert await world.keeper.write_off(later) == 1
        assert await written_off(world) == [mine.tenant_id]

    in_world(database, body)


def test_one_tenants_request_is_given_up(database: Database) -> None:
    async def body(world: World) -> None:
        mine, _ = await of_one_id(world)
        assert await world.keeper.give_up_request(mine.tenant_id, mine.request_id) == 1
        assert await written_off(world) == [mine.tenant_id]

    in_world(database, body)


def test_what_is_posted_late_is_what_its_own_tenants_attempt_is(database: Database) -> None:
    """Read while it was unknown, posted after it was written off."""

    async def body(world: World) -> None:
        mine, theirs = await of_one_id(world)
        keys = [(each.tenant_id, each.request_id, 0, 1) for each in (mine, theirs)]
        found = {each.tenant_id: each for each in await world.keeper.find_open(keys)}
        assert all(each.charged for each in found.values())
        assert await world.keeper.give_up_request(mine.tenant_id, mine.request_id) == 1
        for each in found.values():
            assert await world.keeper.true_up(each, world.outcome(USED))
        cost, charge = await world.sums(world.anna)
        assert (cost > 0, charge) == (True, 0), "our waste"
        cost, charge = await world.sums(world.bert)
        assert charge == 3 * cost > 0

    in_world(database, body)
