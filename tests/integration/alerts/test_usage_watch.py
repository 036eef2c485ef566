"""The detector over a real ledger's hours: each hour judged once, each finding told once."""

import asyncio
import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from tests.support.billing import House
from tests.support.ledger import World, in_world, intent
from tests.support.postgres import Database
from tests.support.watched import (
    alerts_in,
    flat,
    hours_in,
    past,
    this_hour,
    told,
    watch,
    when_final,
)

from tenantry.application.alert_rounds import alert_rounds
from tenantry.application.final_hours import last_final
from tenantry.application.pacing import outlooks
from tenantry.domain.anomaly import Floor
from tenantry.domain.contract import ExchangeRate
from tenantry.domain.tenant import Principal
from tenantry.domain.usage import Usage
from tenantry.ports.admission import AttemptOutcome
from tenantry.ports.control import Budget

USED = Usage(uncached_in=600, cache_read=300, cache_write_5m=100, out=500)
RUNAWAY = Usage(uncached_in=1_200_000)  # charge 10.8, as 12 ordinary hours


async def spend(world: World, who: Principal, usage: Usage = USED) -> None:
    await world.settle(await world.admitted(who), world.outcome(usage))


async def hours_of(world: World, who: Principal, hours_on: int = 0) -> list[Any]:
    start = this_hour() - timedelta(hours=2)
    through = this_hour() + timedelta(hours=hours_on + 1)
    return list(await hours_in(world).hours(who.tenant_id, start, through))


def test_hours_are_those_of_the_ledger(database: Database) -> None:
    async def body(world: World) -> None:
        throttled = AttemptOutcome(
            call=0, attempt=1, end="released", charged=False, error="ThrottlingException"
        )
        for who, times in ((world.anna, 3), (world.bert, 1)):
            for _ in range(times):
                await spend(world, who)
        again = await world.admitted(world.anna)
        await world.settle(again, throttled, final=False)
        await world.admission.begin(again.tenant_id, again.request_id, intent(attempt=2))
        await world.settle(again, world.outcome(USED, attempt=2))
        (anna,) = await hours_of(world, world.anna)
        assert (anna.requests, anna.tokens, anna.throttled) == (4, 6_000, 1)
        assert (anna.input_tokens, anna.cache_read_tokens) == (4_000, 1_200)
        assert (anna.cost, anna.charge) == await world.sums(world.anna)
        (bert,) = await hours_of(world, world.bert)
        assert (bert.requests, bert.tokens, bert.throttled) == (1, 1_500, 0)
        assert (bert.cost, bert.charge) == await world.sums(world.bert)

    in_world(database, body)


def test_a_new_tenant_is_summed_from_its_first_use_on(database: Database) -> None:
    """And not over the weeks before, which are as many statements of nothing."""

    async def body(world: World) -> None:
        await spend(world, world.anna)
        sent: list[str] = []
        pool = world.databases.control
        connection = await pool.acquire()
        connection.add_query_logger(lambda record: sent.append(record.query))
        await pool.release(connection)
        start, through = this_hour() - timedelta(weeks=8), this_hour() + timedelta(hours=1)
        counts = []
        for who in (world.anna, world.bert):
            found = await hours_in(world).hours(who.tenant_id, start, through)
            counts.append(sum(hour.requests for hour in found))
        assert counts == [1, 0]
        assert len([query for query in sent if query.startswith("-- Sums")]) == 1

    in_world(database, body)


def test_what_settles_late_changes_its_hour(database: Database) -> None:
    async def body(world: World) -> None:
        slow = await world.admitted(world.anna)
        await spend(world, world.anna)
        (first,) = await hours_of(world, world.anna)
        await world.settle(slow, world.outcome(USED))
        (soon,) = await hours_of(world, world.anna, hours_on=1)
        (later,) = await hours_of(world, world.anna, hours_on=3)
        assert [row.requests for row in (first, soon, later)] == [1, 1, 2]
        assert later.charge == (await world.sums(world.anna))[1]

    in_world(database, body)


def test_a_runaway_is_told_once_and_of_its_tenant_alone(database: Database) -> None:
    async def body(world: World) -> None:
        for who in (world.anna, world.bert):
            await past(world, who, flat())
        assert await watch(world, -1) == 0  # judged before
        await spend(world, world.anna, RUNAWAY)
        await spend(world, world.bert, Usage(uncached_in=100_000))
        several = [watch(world) for _ in range(4)]
        assert sum(await asyncio.gather(*several)) == await watch(world) + 2
        assert await told(world, world.anna) == ["usage.request_size", "usage.spike"]
        assert await told(world, world.bert) == []
        row = next(a for a in await alerts_in(world).alerts() if a.kind == "usage.spike")
        assert (row.starts_at, row.ends_at) == (this_hour(), this_hour() + timedelta(hours=1))
        assert row.observed == 1_200_000
        assert 95_000 < row.expected < 125_000
        assert row.excess_tokens == row.observed - row.expected
        assert row.excess_charge is not None
        assert 9 < row.excess_charge < Decimal("10.8")
        assert (row.severity, row.state, row.currency) == ("critical", "open", "USD")
        notices = await world.fetch("SELECT tenant_id, kind, body FROM notice ORDER BY kind")
        kinds = [(n["tenant_id"], n["kind"]) for n in notices]
        assert kinds == [(world.anna.tenant_id, k) for k in await told(world, world.anna)]
        assert json.loads(notices[1]["body"])["alert_id"] == row.id
        assert "cost" not in notices[1]["body"]

    in_world(database, body)


def test_what_goes_on_is_the_same_episode(database: Database) -> None:
    async def body(world: World) -> None:
        await past(world, world.anna, flat())
        await spend(world, world.anna, RUNAWAY)
        assert await watch(world) == 2
        assert [await watch(world, hours) for hours in (1, 2)] == [0, 0]

    in_world(database, body)


def test_announced_use_is_not_told(database: Database) -> None:
    async def body(world: World) -> None:
        book = alerts_in(world)
        for who in (world.anna, world.bert):
            await past(world, who, flat())
            await spend(world, who, RUNAWAY)
        half_past = this_hour() + timedelta(minutes=30)
        mute = await book.mute(
            world.anna.tenant_id, half_past, half_past + timedelta(hours=1), "load test"
        )
        assert await watch(world) == 2
        assert await told(world, world.anna) == []
        assert [found.id for found in await book.mutes(world.anna.tenant_id)] == [mute.id]
        assert await book.mutes(world.bert.tenant_id) == []

    in_world(database, body)


def test_a_mute_of_all_time_that_was_stored_does_not_end_the_judging(database: Database) -> None:
    async def body(world: World) -> None:
        book = alerts_in(world)
        for who in (world.anna, world.bert):
            await past(world, who, flat())
            await spend(world, who, RUNAWAY)
        first, last = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
        mute = await book.mute(world.anna.tenant_id, first, last, "for good")
        assert await watch(world) == 2
        assert await told(world, world.anna) == []
        (kept,) = await book.mutes(world.anna.tenant_id)
        assert kept == mute
        assert (kept.starts_at, kept.ends_at) == (first, last)

    in_world(database, body)


@pytest.mark.parametrize("judged", [True, False])
def test_a_deployment_that_starts_with_a_past_is_told_of_its_last_day(
    database: Database, judged: bool
) -> None:
    async def body(world: World) -> None:
        def of(ago: int) -> dict[str, Any]:
            tokens = 5_000_000 if ago in (4, 100) else 100_000
            return {"requests": 100, "tokens": tokens, "input_tokens": tokens}

        await past(world, world.anna, of, judged=judged)
        await spend(world, world.anna)
        await watch(world)
        found = await alerts_in(world).alerts(tenant_id=world.anna.tenant_id)
        spikes = [row.ends_at for row in found if row.kind == "usage.spike"]
        assert spikes == [this_hour() - timedelta(hours=3)]

    in_world(database, body)


def test_a_late_settlement_is_told_when_it_shows(database: Database) -> None:
    async def body(world: World) -> None:
        await past(world, world.anna, flat())
        slow = await world.admitted(world.anna)
        await spend(world, world.anna)
        assert await watch(world) == 0
        await world.settle(slow, world.outcome(RUNAWAY))
        assert [await watch(world, hours) for hours in (1, 2)] == [0, 0]
        await watch(world, 3)
        assert "usage.spike" in await told(world, world.anna)

    in_world(database, body)


def test_silence_is_told_of_who_always_asks_and_may(database: Database) -> None:
    async def body(world: World) -> None:
        for who in (world.anna, world.bert):
            await past(world, who, flat())
        await world.control.set_suspended(world.bert.tenant_id, True)
        assert [await watch(world, hours) for hours in (0, 1, 2, 3, 4)] == [0, 0, 1, 0, 0]
        assert await told(world, world.anna) == ["usage.silence"]
        assert await told(world, world.bert) == []

    in_world(database, body)


def test_a_month_that_will_pass_its_budget_is_told_once(database: Database) -> None:
    async def body(world: World) -> None:
        await past(world, world.anna, flat())  # about 0.9 an hour
        await spend(world, world.anna)
        for hours in (0, 1, 2):
            await watch(world, hours)
        assert [k for k in await told(world, world.anna) if k == "budget.pace"] == ["budget.pace"]
        (row,) = [a for a in await alerts_in(world).alerts() if a.kind == "budget.pace"]
        assert row.subject == "plan"
        assert Decimal(row.detail["low"]) <= Decimal(row.detail["forecast"])
        assert Decimal(row.detail["forecast"]) > Decimal("0.5") > row.observed
        assert row.detail["passes_on"]
        assert await told(world, world.bert) == []

    in_world(database, body, monthly_budget="0.5", budget_hard=False, anchor_day=_next_anchor())


def _next_anchor() -> int:
    """A billing period that has two days or more to go, whatever today is."""
    return (this_hour() + timedelta(days=3)).day


def test_an_hour_is_final_twenty_minutes_after_its_end() -> None:
    hour = this_hour()
    assert last_final(when_final(hour)) == hour + timedelta(hours=1)
    assert last_final(when_final(hour) - timedelta(seconds=1)) == hour


def test_the_hour_is_that_of_the_database(database: Database) -> None:
    """A worker whose clock runs ahead judges nothing that is not over."""

    async def body(world: World) -> None:
        await past(world, world.anna, flat())
        rounds = alert_rounds(alerts_in(world), alerts_in(world), hours_in(world), Floor())
        (watching,) = [each for each in rounds if each.name == "usage-watch"]
        await watching.work()
        rows = await world.fetch("SELECT judged_through FROM usage_watch")
        now = await alerts_in(world).now()
        assert {row["judged_through"] for row in rows} <= {last_final(now), this_hour()}
        assert await told(world, world.anna) == []

    in_world(database, body)


def test_a_budget_goes_on_as_its_tenant_does(database: Database) -> None:
    async def body(world: World) -> None:
        key = world.anna.api_key_id
        for scope, scope_id, period in (
            ("tenant", world.anna.tenant_id, "month"),
            ("api_key", key, "month"),
            ("tenant", world.anna.tenant_id, "total"),
        ):
            await world.control.set_budget(
                Budget(world.anna.tenant_id, scope, scope_id, period, "charge", Decimal(5), False)
            )
        await past(world, world.anna, flat())
        await spend(world, world.anna)
        found = {
            (o.use.subject, o.use.period): o
            for o in await outlooks(alerts_in(world), hours_in(world), world.anna.tenant_id)
        }
        spent = (await world.sums(world.anna))[1]
        assert {o.use.settled for o in found.values()} == {spent}
        whole = found["tenant", "month"].forecast
        assert whole is not None
        assert whole.expected >= spent
        for same in (("plan", "month"), (f"api_key:{key}", "month")):
            other = found[same].forecast
            assert other is not None
            assert other.expected == whole.expected
        assert found["tenant", "total"].forecast is None
        house = House.of(world)
        await house.billing.contracts.add_rate(
            ExchangeRate(date(2020, 1, 1), "USD", "JPY", Decimal(150), "central bank")
        )
        await house.contract(world.anna, currency="JPY")
        in_yen = await outlooks(alerts_in(world), hours_in(world), world.anna.tenant_id)
        for o in in_yen:
            was = found[o.use.subject, o.use.period].forecast
            assert (o.forecast is None) == (was is None)
            if was is not None and o.forecast is not None:
                assert abs(o.forecast.expected - was.expected * 150) <= Decimal("0.01")
        others = await outlooks(alerts_in(world), hours_in(world), world.bert.tenant_id)
        assert [(o.use.subject, o.use.settled, o.forecast) for o in others] == [("plan", 0, None)]

    in_world(database, body)
