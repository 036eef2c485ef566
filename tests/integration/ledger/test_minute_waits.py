"""How long a minute's limit has one wait (decision 0006): eleven slots of six seconds."""

import asyncio
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest
from tests.support.ledger import World, in_world
from tests.support.postgres import Database


@pytest.mark.parametrize(
    ("slots", "need", "into_slot_s", "wait_ms"),
    [
        ({10: 5}, 1, 0, 66_000),  # used up in the slot that runs
        ({10: 5}, 5, 0.25, 65_750),
        ({10: 5}, 5, 5.5, 60_500),
        ({0: 5}, 5, 5.5, 500),  # the oldest slot ends first
        ({0: 2, 4: 3}, 2, 1, 5_000),
        ({0: 2, 4: 3}, 3, 1, 29_000),
        ({10: 5}, 7, 1, 65_000),  # two more are of this batch, and not in the window yet
        ({10: 5}, 1, -86_400 * 40, 66_000),  # the clock was set back
        ({0: 5}, 1, 60, 1),
    ],
)
def test_the_wait_of_a_minutes_limit_is_the_end_of_the_slot_that_frees_enough(
    database: Database, slots: dict[int, int], need: int, into_slot_s: float, wait_ms: int
) -> None:
    """`slots`: what was used in each, the oldest first; the eleventh is the one that runs."""
    latest = 290_000_000
    ring = [0] * 11
    for place, used in slots.items():
        ring[(latest - 10 + place) % 11] = used
    at = datetime.fromtimestamp(latest * 6, UTC) + timedelta(seconds=into_slot_s)

    async def waits() -> int:
        connection = await asyncpg.connect(database.dsn("superuser"))
        try:
            found: int = await connection.fetchval(
                "SELECT tenantry.slots_wait_ms($1, $2, $3, $4)", ring, latest, need, at
            )
        finally:
            await connection.close()
        return found

    assert asyncio.run(waits()) == wait_ms


def test_who_used_a_limit_up_is_told_the_whole_wait(database: Database) -> None:
    """Of both tenants' limits, each for itself; what was used falls free after 60 s at least."""

    async def body(world: World) -> None:
        await world.plan(requests_per_minute=2)
        for _ in range(2):
            await world.admitted()
        assert (await world.refused()).retry_after_ms is not None
        await world.admitted(world.bert)
        # As though the clock had been three slots further then: the longest wait is told.
        await world.as_superuser(
            "UPDATE tenantry.counter SET latest_slot = latest_slot + 3,"
            " request_slots = request_slots[9:11] || request_slots[1:8]"
            " WHERE tenant_id = $1",
            world.anna.tenant_id,
        )
        refused = await world.refused()
        assert refused.code == "requests_per_minute"
        assert refused.retry_after_ms == 66_000
        await world.admitted(world.bert)
        other = await world.refused(world.bert)
        assert other.retry_after_ms is not None
        assert 0 < other.retry_after_ms <= 66_000

    in_world(database, body)
