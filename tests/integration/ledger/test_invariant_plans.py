"""What PostgreSQL goes through to check the invariants: plans, no times."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import asyncpg
import pytest
from tests.support.billing import both_invoiced
from tests.support.ledger import World, in_world
from tests.support.postgres import Database

from tenantry.adapters.postgres.statements import statements

ASKED = {
    "keeper.sql violations": (timedelta(hours=72), 60, timedelta(days=3)),
    "billing_invariants.sql billing_violations": ("prepaid_credit",),
    "rollup_invariants.sql rollup_violations": None,
}


def _asked_again(node: dict[str, Any], within: bool = False) -> Iterator[str]:
    """Whole results that are gone through once more for each row of another."""
    within = within or node.get("Parent Relationship") == "SubPlan"
    if within and node["Node Type"] == "CTE Scan":
        yield node["CTE Name"]
    for each in node.get("Plans", []):
        yield from _asked_again(each, within)


@pytest.mark.parametrize("asked", ASKED)
def test_no_invariant_goes_through_a_whole_result_for_each_row(
    database: Database, asked: str
) -> None:
    """With twice as many invoices it took four times as long: minutes with 18,000."""

    async def body(world: World) -> None:
        await both_invoiced(world)
        file, name = asked.split()
        statement = statements(f"sql/{file}")[name]
        operator = await asyncpg.connect(world.database.dsn("operator"))
        try:
            values = ASKED[asked] or [None] * len(
                (await operator.prepare(statement)).get_parameters()
            )
            told = await operator.fetchval(f"EXPLAIN (FORMAT JSON) {statement}", *values)
        finally:
            await operator.close()
        assert list(_asked_again(json.loads(told)[0]["Plan"])) == []

    in_world(database, body)
