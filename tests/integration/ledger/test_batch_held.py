"""Records of a batch job are ended by who settles batches, however long nobody did."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from tests.support.batch_jobs import RECORDS, Bedrock, answered, run, running
from tests.support.ledger import World, in_world
from tests.support.log_workers import Process
from tests.support.postgres import Database

from tenantry.adapters.batch_buckets.buckets import UriBuckets
from tenantry.adapters.postgres.batches import PostgresBatchBook
from tenantry.adapters.postgres.keeper import PostgresLedgerKeeper
from tenantry.application.batch_settling import BatchPorts, settle_batches
from tenantry.domain.errors import Unavailable
from tenantry.ports.ledger import AttemptKey, OpenAttempt

TOLD = {"status": "Completed", "processedRecordCount": RECORDS}
WHOLE = [answered(call) for call in range(RECORDS)]
CHARGE = RECORDS * Decimal("0.01575")
COST = RECORDS * Decimal("0.00525")
LONG_AGO = "UPDATE tenantry.batch_job SET changed_at = changed_at - interval '74 hours'"


async def endings(world: World) -> dict[str, int]:
    rows = await world.fetch("SELECT ending, count(*) FROM attempt GROUP BY ending")
    return dict(map(tuple, rows))  # type: ignore[arg-type]


@pytest.mark.parametrize("first", ["write-off", "settle"])
def test_a_job_that_ended_while_nobody_looked_is_paid_once(
    database: Database, tmp_path: Path, first: str
) -> None:
    async def body(world: World) -> None:
        anna, bert = await running(world, world.anna), await running(world, world.bert)
        await world.as_superuser(LONG_AGO)
        lines = {anna.tenant_id: WHOLE, bert.tenant_id: WHOLE}
        process = Process(world, {})
        if first == "write-off":
            await process.round("write-off")
        assert await run(world, tmp_path, TOLD, lines) == 2
        await process.round("write-off")
        assert await endings(world) == {"settled": 2 * RECORDS}
        for who in (world.anna, world.bert):
            cost, charge = await world.sums(who)
            assert (charge, 3 * cost) == (CHARGE, CHARGE)
        waste = await world.fetch("SELECT FROM cost_entry WHERE debit = 'waste'")
        assert waste == []

    in_world(database, body)


class GivenUpMeanwhile(PostgresLedgerKeeper):
    """Between the reading of an attempt and its posting, an operator gives it up."""

    async def find_open(self, keys: Sequence[AttemptKey]) -> list[OpenAttempt]:
        found = await super().find_open(keys)
        await self.give_up(datetime.now(UTC) + timedelta(hours=1))
        return found


def test_what_is_given_up_while_it_is_read_is_our_waste(database: Database, tmp_path: Path) -> None:
    async def body(world: World) -> None:
        anna = await running(world, world.anna)
        usual = world.keeper
        world.keeper = GivenUpMeanwhile(world.databases.control, world.databases.operator)
        assert await run(world, tmp_path, TOLD, {anna.tenant_id: WHOLE}) == 1
        world.keeper = usual
        cost, charge = await world.sums()
        assert (3 * cost, charge) == (CHARGE, 0)
        assert await world.budget() == (0, 0)
        assert await world.sums(world.bert) == (0, 0)

    in_world(database, body)


def test_output_that_hides_records_ends_them_once_their_hold_is_over(
    database: Database, tmp_path: Path
) -> None:
    async def body(world: World) -> None:
        anna, bert = await running(world, world.anna), await running(world, world.bert)
        lines = {anna.tenant_id: WHOLE[:1], bert.tenant_id: WHOLE}
        assert await run(world, tmp_path, TOLD, lines) == 1, "bert's"
        await Process(world, {}).round("write-off")
        assert await endings(world) == {"settled": RECORDS + 1}
        await world.as_superuser(LONG_AGO)
        assert await run(world, tmp_path, TOLD, lines) == 1
        assert await endings(world) == {"settled": RECORDS + 1, "written_off": RECORDS - 1}
        assert await world.sums(world.bert) == (COST, CHARGE)
        told = await world.fetch("SELECT FROM notice WHERE kind = 'platform.written_off'")
        assert len(told) == 1

    in_world(database, body)


class Away(UriBuckets):
    async def get(self, *_: Any) -> bytes:
        raise Unavailable("The bucket cannot be reached.")


def test_a_bucket_out_of_reach_holds_back_its_jobs_until_an_operator_gives_them_up(
    database: Database, tmp_path: Path
) -> None:
    async def body(world: World) -> None:
        await running(world, world.anna)
        await world.as_superuser(LONG_AGO)
        book: Any = PostgresBatchBook(world.databases.control)
        model: Any = Bedrock(TOLD)
        ports = BatchPorts(book, world.keeper, Away({}, tmp_path), world.directory, model)
        assert await settle_batches(ports) == 0
        await Process(world, {}).round("write-off")
        assert await endings(world) == {}
        assert await world.keeper.give_up(datetime.now(UTC) + timedelta(hours=1)) == RECORDS
        assert await settle_batches(ports) == 1
        assert await endings(world) == {"written_off": RECORDS}

    in_world(database, body)


def test_records_are_past_their_hold_when_their_job_should_have_been_given_up(
    database: Database,
) -> None:
    """A job may run for longer than an attempt is held otherwise."""

    async def body(world: World) -> None:
        bert = [await running(world, who) for who in (world.anna, world.bert)][1]
        assert await world.keeper.violations(timedelta(0)) == []
        await world.as_superuser(
            "UPDATE tenantry.batch_job SET changed_at = changed_at - interval '26 hours'"
            f" WHERE tenant_id = '{bert.tenant_id}'"
        )
        found = await world.keeper.violations(timedelta(0))
        assert {each.invariant for each in found} == {"no_unknown_past_its_hold"}
        assert {each.detail.split(" ")[0] for each in found} == {bert.tenant_id}
        assert len(found) == RECORDS
        assert await world.keeper.violations(timedelta(hours=27)) == []

    in_world(database, body)
