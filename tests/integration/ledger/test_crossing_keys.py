"""That a tenant key was used is noted for the tenant of the unit of work, and never changed."""

from __future__ import annotations

from typing import Any

import asyncpg
from tests.support.ledger import World, in_world
from tests.support.postgres import Database

from tenantry.domain.tenant import Principal


async def own(world: World, who: Principal, call: str, *values: object) -> Any:
    """What a tenant's own unit of work is answered."""
    async with world.work.writing(who.tenant_id) as unit:
        return await unit.fetchval(f"SELECT {call}", *values)


async def noted(world: World) -> set[tuple[Any, ...]]:
    connection = await asyncpg.connect(world.database.dsn("superuser"))
    try:
        query = "SELECT tenant_id, version, fingerprint FROM tenantry.tenant_key"
        return {tuple(row) for row in await connection.fetch(query)}
    finally:
        await connection.close()


def test_a_key_is_noted_for_its_own_tenant_and_once(database: Database) -> None:
    async def body(world: World) -> None:
        mine, other, third = (bytes([each]) * 32 for each in (1, 2, 3))
        note = "note_own_key(1, $1)"
        assert await own(world, world.anna, note, mine) == mine
        assert await own(world, world.bert, note, other) == other
        assert await own(world, world.anna, note, third) == mine
        assert await own(world, world.bert, note, third) == other
        await world.as_superuser(
            "UPDATE tenantry.tenant_key SET fingerprint = NULL WHERE tenant_id = $1",
            world.bert.tenant_id,
        )
        assert await own(world, world.bert, note, third) == third, "it was used before it is noted"
        assert await noted(world) == {
            (world.anna.tenant_id, 1, mine),
            (world.bert.tenant_id, 1, third),
        }
        for nobody in (None, "tnt_unknown"):
            call = "SELECT note_own_key(1, $1) FROM set_config('tenantry.tenant', $2, true)"
            assert await world.databases.app.fetchval(call, mine, nobody) is None
        await world.as_superuser("UPDATE tenantry.tenant SET status = 'shredded'")
        assert await own(world, world.anna, "note_own_key(2, $1)", mine) is None
        assert len(await noted(world)) == 2

    in_world(database, body)


async def wrapped_by(world: World) -> dict[str, list[str] | None]:
    connection = await asyncpg.connect(world.database.dsn("superuser"))
    try:
        rows = await connection.fetch("SELECT tenant_id, kms_arns FROM tenantry.tenant_key")
        return {row["tenant_id"]: row["kms_arns"] for row in rows}
    finally:
        await connection.close()


def test_what_wraps_a_key_is_added_for_its_own_tenant_and_never_taken_away(
    database: Database,
) -> None:
    async def body(world: World) -> None:
        anna, bert = world.anna.tenant_id, world.bert.tenant_id
        same, another = bytes([1]) * 32, bytes([2]) * 32
        note = "note_own_key(1, $1, $2)"
        for who in (world.anna, world.bert):
            assert await own(world, who, "note_own_key(1, $1)", same) == same, "as it was before"
        assert await wrapped_by(world) == {anna: None, bert: None}
        assert await own(world, world.anna, note, same, ["b"]) == same
        assert await wrapped_by(world) == {anna: ["b"], bert: None}
        for more in (["a"], ["b"], [], None):
            assert await own(world, world.anna, note, same, more) == same
        assert await own(world, world.anna, note, another, ["c"]) == same
        assert await wrapped_by(world) == {anna: ["a", "b"], bert: None}
        assert await own(world, world.bert, note, same, []) == same
        assert await wrapped_by(world) == {anna: ["a", "b"], bert: []}
        await world.as_superuser("UPDATE tenantry.tenant SET status = 'shredded'")
        assert await own(world, world.bert, note, same, ["d"]) == same
        assert await wrapped_by(world) == {anna: ["a", "b"], bert: ["d"]}

    in_world(database, body)
