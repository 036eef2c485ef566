"""What has not ended, over all tenants, as the metrics count it."""

from __future__ import annotations

from uuid import UUID

from tests.support.ledger import World, in_world
from tests.support.postgres import Database

from tenantry.adapters.postgres.open_attempts import PostgresOpenAttempts
from tenantry.ports.admission import AttemptOutcome


async def _older(world: World, request_id: UUID, by: str) -> None:
    await world.as_superuser(
        f"UPDATE tenantry.open_request SET admitted_at = admitted_at - interval '{by}'"
        f" WHERE request_id = '{request_id}'"
    )


def test_open_unknown_and_batched_attempts_are_counted_with_the_age_of_the_oldest(
    database: Database,
) -> None:
    async def body(world: World) -> None:
        attempts = PostgresOpenAttempts(world.databases.control)
        assert await attempts.counts() == {}
        mine, _, batched = (
            await world.admitted(),
            await world.admitted(world.bert),
            await world.admitted(world.bert),
        )
        assert (await attempts.counts())["open"][0] == 3
        for each in (mine, batched):
            await world.settle(each, AttemptOutcome(0, 1, "unknown"))
        await _older(world, mine.request_id, "2 hours")
        await world.as_superuser(
            "INSERT INTO tenantry.batch_job (tenant_id, request_id, state, definition)"
            f" VALUES ('{batched.tenant_id}', '{batched.request_id}', 'planned', '{{}}')"
        )
        found = await attempts.counts()
        assert {state: count for state, (count, _) in found.items()} == {
            "open": 1,
            "unknown": 1,
            "batch": 1,
        }
        assert 7_200 <= found["unknown"][1] < 10_000
        assert found["batch"][1] < 7_000
        assert found["open"][1] < 7_000
        await _older(world, mine.request_id, "-2 hours")  # for it may have been another month

    in_world(database, body)
