"""What PostgreSQL reads for a tenant's usage: plans and counts, no times."""

import asyncio
import json
import random
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import asyncpg
import pytest
from tests.support.archiving import instant_of, month_ago, rolled_up, with_partitions
from tests.support.ledger import World, open_world
from tests.support.postgres import Database
from tests.support.postings import a_posting, post

from tenantry.adapters.postgres.statements import statements

OLDER, OLD = month_ago(3), month_ago(2)


async def _filled(world: World) -> None:
    draw = random.Random(17)
    await with_partitions(world, OLDER)
    connection = await asyncpg.connect(world.database.dsn("superuser"))
    tenants = [world.anna.tenant_id, world.bert.tenant_id]
    for month in (OLDER, OLD):
        postings = [
            a_posting(draw, tenant, instant_of(month, draw.uniform(0, 600)))
            for tenant in tenants
            for _ in range(20)
        ]
        await post(connection, postings)
    await rolled_up(world)
    await connection.execute("ANALYZE")
    await connection.close()


async def _scans(world: World, name: str, start: datetime, end: datetime) -> list[dict[str, Any]]:
    """Every node that reads a table, and has in fact been run."""
    given: list[Any] = [world.anna.tenant_id, start, end, ["model", "day"], "UTC"]
    if name == "usage_in_detail":
        given += [None, None, None, None, None, None]
    given += [None, None, None, None, 1_001]
    return await _scans_of(world, statements("sql/usage.sql")[name], given)


async def _scans_of(world: World, statement: str, given: list[Any]) -> list[dict[str, Any]]:
    async with world.work.reading(world.anna.tenant_id) as unit:
        await unit.fetch("SET LOCAL enable_seqscan = off")  # what a table of any size would have
        told = await unit.fetchval(
            f"EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) {statement}", *given
        )
    nodes = _nodes(json.loads(told)[0]["Plan"])
    return [node for node in nodes if "Relation Name" in node and node["Actual Loops"] > 0]


def _nodes(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for each in node.get("Plans", []):
        yield from _nodes(each)


@pytest.mark.parametrize(
    ("name", "table"), [("usage", "charge_hour"), ("usage_in_detail", "charge_hour_detail")]
)
def test_a_closed_month_is_read_from_its_roll_up_by_key(
    database: Database, name: str, table: str
) -> None:
    async def body() -> None:
        async with open_world(database) as world:
            await _filled(world)
            scans = await _scans(world, name, instant_of(OLD, 0), instant_of(OLD, 28 * 24))
            [scan] = [each for each in scans if each["Relation Name"] == table]
            assert scan["Index Name"] == f"{table}_pkey"
            for column in ("tenant_id", "hour"):
                assert column in scan["Index Cond"]
            assert not [each for each in scans if each["Relation Name"].startswith("charge_entry")]

    asyncio.run(body())


def test_of_the_ledger_only_the_months_of_the_span_are_read(database: Database) -> None:
    async def body() -> None:
        async with open_world(database) as world:
            await _filled(world)
            # An hour that is cut is read from the ledger, with its month's partition alone.
            start, end = instant_of(OLD, 3.25), instant_of(OLD, 3.75)
            scans = await _scans(world, "usage", start, end)
            read = {each["Relation Name"] for each in scans}
            assert {each for each in read if each.startswith("charge_entry")} == {
                f"charge_entry_{OLD:%Y_%m}"
            }
            [scan] = [each for each in scans if each["Relation Name"].startswith("charge_entry")]
            assert "tenant_id" in str(scan) and "admitted_at" in str(scan)
            # The present hour: neither old partitions nor anything of the roll-ups.
            now = datetime.now(UTC)
            scans = await _scans(world, "usage", now.replace(minute=0, second=0), now)
            read = {each["Relation Name"] for each in scans}
            assert f"charge_entry_{OLD:%Y_%m}" not in read
            assert f"charge_entry_{OLDER:%Y_%m}" not in read

    asyncio.run(body())


def test_what_prices_were_asked_for_is_read_as_narrowly(database: Database) -> None:
    """Of a closed month from its roll-up; of an hour that is cut from that month of both books."""

    async def body() -> None:
        async with open_world(database) as world:
            await _filled(world)
            usage = statements("sql/billing.sql")["usage"]
            now = datetime.now(UTC)

            async def read(start: datetime, end: datetime) -> set[str]:
                given = [world.anna.tenant_id, start, end, now, now]
                scans = await _scans_of(world, usage, given)
                return {each["Relation Name"] for each in scans}

            closed = await read(instant_of(OLD, 0), instant_of(OLD, 28 * 24))
            assert "charge_hour" in closed
            assert not [name for name in closed if name.startswith(("charge_entry", "cost_entry"))]
            cut = await read(instant_of(OLD, 3.25), instant_of(OLD, 3.75))
            assert {name for name in cut if name.startswith(("charge_entry", "cost_entry"))} <= {
                f"charge_entry_{OLD:%Y_%m}", f"cost_entry_{OLD:%Y_%m}",
            }  # fmt: skip

    asyncio.run(body())
