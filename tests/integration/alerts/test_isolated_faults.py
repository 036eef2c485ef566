"""A fault with one tenant's hours silences nobody else, and judging them keeps nothing waiting."""

import asyncio
import threading
from collections.abc import Sequence

import pytest
from tests.support.ledger import World, in_world
from tests.support.postgres import Database
from tests.support.watched import alerts_in, flat, hours_in, past, this_hour, told, when_final

from tenantry.application.final_hours import last_final
from tenantry.application.usage_watch import watch_usage
from tenantry.domain.alert import NewAlert
from tenantry.domain.errors import Unavailable
from tenantry.domain.usage import Usage
from tenantry.ports.alerts import Watched

RUNAWAY = Usage(uncached_in=1_200_000)


class Failing:
    """The ledger's hours, but for one tenant's."""

    def __init__(self, world: World, fault: Exception) -> None:
        self._hours = hours_in(world)
        self._tenant_id = world.anna.tenant_id
        self._fault = fault

    async def hours(self, tenant_id, start, through):  # type: ignore[no-untyped-def]
        if tenant_id == self._tenant_id:
            raise self._fault
        return await self._hours.hours(tenant_id, start, through)


def test_the_others_are_judged_and_the_one_is_tried_again(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    async def body(world: World) -> None:
        for who in (world.anna, world.bert):
            await past(world, who, flat())
            await world.settle(await world.admitted(who), world.outcome(RUNAWAY))
        now = when_final(this_hour())
        failing = Failing(world, ValueError("a fault of ours"))
        assert await watch_usage(alerts_in(world), failing, now) == 2
        assert "usage.spike" in await told(world, world.bert)
        assert world.anna.tenant_id in caplog.text
        assert await watch_usage(alerts_in(world), hours_in(world), now) == 2
        assert "usage.spike" in await told(world, world.anna)

    in_world(database, body)


def test_an_outage_ends_the_round(database: Database) -> None:
    async def body(world: World) -> None:
        await world.settle(await world.admitted(world.anna), world.outcome(RUNAWAY))
        with pytest.raises(Unavailable):
            failing = Failing(world, Unavailable())
            await watch_usage(alerts_in(world), failing, when_final(this_hour()))

    in_world(database, body)


def test_other_rounds_go_on_while_a_tenant_is_judged(database: Database) -> None:
    async def body(world: World) -> None:
        went_on = threading.Event()
        waited: list[bool] = []

        def judge(_: Watched) -> Sequence[NewAlert]:
            loop.call_soon_threadsafe(went_on.set)
            waited.append(went_on.wait(5))
            return []

        loop = asyncio.get_running_loop()
        through = last_final(when_final(this_hour()))
        for who in (world.anna, world.bert):
            assert await alerts_in(world).judged(who.tenant_id, through, judge) == 0
        assert waited == [True, True]

    in_world(database, body)
