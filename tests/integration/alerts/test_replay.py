"""`tenantry alerts replay` without a file: what a ledger's own hours would have told."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from tests.support.ledger import World, in_world
from tests.support.postgres import Database
from tests.support.watched import alerts_in, flat, hours_in, past, this_hour, told

from tenantry.application.final_hours import last_final
from tenantry.application.replaying import replayed
from tenantry.domain.anomaly import Floor, PlannedEvent, Settings, hour_of, instant_of

RUNAWAY_AGO = 300  # hours
NOW = timedelta(minutes=30)  # what is within the hour is not final


def runaway(ago: int) -> dict[str, Any]:
    usual = flat()(ago)
    return {**usual, "tokens": usual["tokens"] * (15 if ago == RUNAWAY_AGO else 1)}


def test_the_past_of_each_tenant_is_judged_and_nobody_is_told(database: Database) -> None:
    async def body(world: World) -> None:
        await past(world, world.anna, runaway)
        await past(world, world.bert, flat())
        book, hours = alerts_in(world), hours_in(world)
        start = this_hour() - timedelta(hours=RUNAWAY_AGO)
        anna = (await world.control.get_tenant(world.anna.tenant_id)).name

        async def replay(
            floor: int = 1_000, planned: dict[str, list[PlannedEvent]] | None = None
        ) -> list[tuple[str, datetime, str]]:
            settings = Settings(Floor(tokens=floor))
            found = await replayed(
                world.control, book, hours, this_hour() + NOW, settings, planned or {}
            )
            return [(name, instant_of(each.hour), each.kind.value) for name, each in found]

        spike = (anna, start, "spike")
        assert spike in await replay() and {name for name, *_ in await replay()} == {anna}
        assert await replay(floor=10**9) == []
        event = PlannedEvent(hour_of(start) - 200, hour_of(start) + 200)
        for named in (anna, str(world.anna.tenant_id)):
            assert await replay(planned={named: [event]}) == []
        assert spike in await replay(planned={str(world.bert.tenant_id): [event]})
        span = timedelta(hours=200)
        await book.mute(world.bert.tenant_id, start - span, start + span, "launch")
        assert spike in await replay(), "of the other"
        await book.mute(world.anna.tenant_id, start - span, start + span, "launch")
        assert await replay() == []
        for who in (world.anna, world.bert):
            assert await told(world, who) == []

    in_world(database, body)


def test_a_deployment_without_a_past_has_nothing_to_tell(database: Database) -> None:
    async def body(world: World) -> None:
        now = datetime.now(UTC)
        book, hours = alerts_in(world), hours_in(world)
        assert await replayed(world.control, book, hours, now, Settings(), {}) == []
        assert await hours.hours(world.anna.tenant_id, last_final(now), last_final(now)) == []

    in_world(database, body)
