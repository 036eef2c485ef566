"""What benchmarks load into a database is what the product itself would have written."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from benchmarks import admission, ledger_load, reconcile
from benchmarks.gateway_stage import LIMITS, PLAN, _tenants
from benchmarks.ledger_invoices import invoicing
from benchmarks.retrieval_data import Clustered, documents
from benchmarks.retrieval_world import add_tenant, open_world
from tests.support.ledger import MARKUP, World, in_world
from tests.support.postgres import Database

from tenantry.adapters.postgres.rollups import PostgresRollups
from tenantry.application.rolling_up import roll_up

EVENTS = 100


def test_a_small_ledger_is_loaded_rolled_up_and_invoiced(database: Database) -> None:
    async def body(world: World) -> None:
        span = ledger_load.closed_months(datetime.now(UTC))
        tenants = await ledger_load.make_tenants(world, span, 2)
        await ledger_load.make_partitions(world, span)
        await ledger_load.load(world, tenants, span, EVENTS)
        [posted] = await world.fetch(
            "SELECT (SELECT count(*) FROM charge_entry) AS charges,"
            " (SELECT count(*) FROM cost_entry) AS costs,"
            " (SELECT sum(amount) FROM charge_entry) AS charge,"
            " (SELECT sum(amount) FROM cost_entry) AS cost"
        )
        assert (posted["charges"], posted["costs"]) == (EVENTS, EVENTS)
        assert posted["charge"] == posted["cost"] * MARKUP.default > 0
        await world.as_superuser("UPDATE tenantry.rollup SET through = $1", span.start)
        rollups = PostgresRollups(world.databases.control)
        while await roll_up(rollups):
            pass
        used = Decimal(0)
        for who in tenants:
            rows = await world.ledger.usage(who, span.start, span.end, ["model"])
            used += sum(row.charge for row in rows)
        assert used == posted["charge"]
        figures, _ = await invoicing(world, span, tenants)
        assert figures["invoices"]["trouble"] == 0

    in_world(database, body)


def test_a_log_reconciles_but_for_what_is_planted(database: Database, tmp_path: Path) -> None:
    lines = 600
    asyncio.run(reconcile.fill(database, lines))
    reconcile.write_log(tmp_path, lines)
    dsns = {role: database.dsn(role) for role in ("app", "control", "operator")}  # type: ignore[arg-type]
    found = reconcile.one_pass(dsns, tmp_path)
    assert found["breaks"] == {"missing_in_log": 3, "doubled": 2}


def test_a_moment_of_load_is_admitted_and_settled(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admission, "TENANTS", 2)

    async def body(world: World) -> None:
        tenants = await admission.make_tenants(world)
        run = await admission.load(world, tenants, 4, 0)
        [posted] = await world.fetch("SELECT count(*) AS n FROM charge_entry")
        assert posted["n"] == run.settled >= 4

    in_world(database, body, **admission.LIMITS)


def test_the_tenants_of_the_gateways_stage_have_a_plan_and_a_key_each(database: Database) -> None:
    async def body(world: World) -> None:
        made = await _tenants(world.control, "http://127.0.0.1:1", 2, LIMITS)
        for tenant_id, bearer in made:
            who = await world.directory.by_bearer(bearer, fresh=True)
            assert (who.tenant_id, who.tenant.plan.name) == (tenant_id, PLAN)

    in_world(database, body)


def test_vectors_of_two_tenants_are_published_and_found(database: Database, tmp_path: Path) -> None:
    async def run() -> None:
        async with open_world(database.dsn, tmp_path, open_bytes_max=2**26) as world:
            dsn = database.dsn("superuser")
            anna = await add_tenant(dsn, world, "anna")
            bert = await add_tenant(dsn, world, "bert")
            made = Clustered(1, 64, clusters=4)
            assert await world.load(anna, documents(made.rows(40))) == 40
            assert await world.recall(anna, made.queries(3)) == 1.0
            assert await world.search(bert, made.queries(1)[0].tolist()) == []

    asyncio.run(run())
