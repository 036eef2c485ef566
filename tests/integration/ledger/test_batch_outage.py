"""An outage in the midst of a batch that is sent item by item: everybody is told."""

import asyncio
from typing import Any

import asyncpg
from tests.support.ledger import World, in_world
from tests.support.postgres import Database

from tenantry.domain.errors import Unavailable


class _Breaking:
    """A prepared call that refuses batches as nonsense, and whose connection then breaks."""

    async def fetch(self, boot_id: int, *items: list[Any], timeout: float) -> list[Any]:
        if sum(len(some) for some in items) > 1:
            raise asyncpg.DataError("one of these cannot be understood")
        raise ConnectionResetError("the server is gone")


def test_nobody_waits_for_ever_when_the_connection_breaks_between_two_items(
    database: Database,
) -> None:
    async def body(world: World) -> None:
        world.batcher._call = _Breaking()
        asked = [world.admission.admit(world.reservation()) for _ in range(4)]
        async with asyncio.timeout(10):
            told = await asyncio.gather(*asked, return_exceptions=True)
        assert [type(answer) for answer in told] == [Unavailable] * 4
        await _admitted_anew(world)
        assert (await world.in_flight(), await world.in_flight(world.bert)) == (1, 0)

    in_world(database, body)


async def _admitted_anew(world: World) -> None:
    async with asyncio.timeout(10):
        while True:
            try:
                await world.admitted()
            except Unavailable:
                await asyncio.sleep(0.05)
            else:
                return
