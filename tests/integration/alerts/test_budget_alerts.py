"""Budgets at 50, 80 and 100 %: each once per tenant, period, budget and threshold."""

import asyncio
import json
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from tests.support.billing import House
from tests.support.budget_alerts import (
    CHARGE,
    alerts_in,
    budget,
    day_is_over,
    notices,
    round_of,
    spend,
    told,
)
from tests.support.ledger import World, in_world, open_world
from tests.support.postgres import Database

from tenantry.adapters.clock import SystemClock
from tenantry.adapters.postgres.alerts import PostgresAlerts
from tenantry.application import budget_alerts
from tenantry.application.budget_alerts import alert_budgets
from tenantry.domain.contract import ExchangeRate
from tenantry.domain.errors import NotFound


def test_each_share_is_told_once_on_its_way(database: Database) -> None:
    async def body(world: World) -> None:
        await budget(world, "0.315")  # ten requests
        seen = []
        for _ in range(12):
            await spend(world)
            seen.append(await round_of(world))
            assert await round_of(world) == 0
        assert seen == [0, 0, 0, 0, 1, 0, 0, 1, 0, 1, 0, 0]
        assert await told(world) == [("tenant", 50), ("tenant", 80), ("tenant", 100)]
        assert await told(world, world.bert) == []
        rows = await notices(world)
        assert [row["kind"] for row in rows] == ["budget.threshold"] * 3
        assert {row["tenant_id"] for row in rows} == {world.anna.tenant_id}
        last = json.loads(rows[-1]["body"])
        assert last["tenant"] == world.anna.tenant_id
        name = last["tenant_name"]
        assert name == world.anna.tenant.name
        assert last["headline"] == f"{name}: 100 % of a month's budget"
        assert last["summary"] == f"{last['headline']}, 0.315 of 0.315 USD settled"
        assert (last["observed"], last["expected"], last["unit"]) == ("0.315", "0.315", "USD")
        assert (last["threshold_percent"], last["severity"], last["period"], last["hard"]) == (
            100, "critical", "month", False,
        )  # fmt: skip

    in_world(database, body)


def test_a_jump_tells_all_that_it_passes(database: Database) -> None:
    async def body(world: World) -> None:
        await budget(world, "0.01")
        await spend(world)
        assert await round_of(world) == 3
        assert await told(world) == [("tenant", 50), ("tenant", 80), ("tenant", 100)]

    in_world(database, body)


def test_many_workers_and_a_restart_tell_no_more(database: Database) -> None:
    async def body(world: World) -> None:
        await budget(world, "0.04")
        await spend(world)  # 78 %
        several = [round_of(world, all_of_them=True) for _ in range(4)]
        assert sum(await asyncio.gather(*several)) == 1
        await spend(world)
        several = [round_of(world) for _ in range(4)]
        assert sum(await asyncio.gather(*several)) == 2
        assert len(await notices(world)) == 3

    in_world(database, body)


def test_a_worker_that_dies_before_its_commit_has_told_nothing(database: Database) -> None:
    async def body(world: World) -> None:
        await budget(world, "0.04")
        await spend(world)
        dying = alerts_in(world)
        await world.as_superuser("REVOKE INSERT ON tenantry.notice FROM tenantry_control")
        with pytest.raises(Exception, match="permission denied"):
            await alert_budgets(dying, all_of_them=True)
        assert await told(world) == []
        await world.as_superuser("GRANT INSERT ON tenantry.notice TO tenantry_control")
        assert await round_of(world) == 1
        assert len(await notices(world)) == 1

    in_world(database, body)


def test_a_raised_limit_has_its_shares_told_anew_and_a_lowered_one_what_is_due(
    database: Database,
) -> None:
    async def body(world: World) -> None:
        await budget(world, "0.06")
        await budget(world, "0.06", world.bert)
        await spend(world)
        await spend(world, who=world.bert)
        assert await round_of(world) == 2
        await budget(world, "6")
        assert await round_of(world) == 0
        await spend(world, 2)
        await budget(world, "0.1")  # 94.5 %: more than where 50 was told
        assert await round_of(world) == 2
        assert await told(world) == [("tenant", 50), ("tenant", 50), ("tenant", 80)]
        await budget(world, "0.0945")
        assert await round_of(world) == 1  # 100; 50 and 80 have been told of more than that
        await spend(world)
        await budget(world, "0.1")
        assert await round_of(world) == 1  # 100 of a limit that is higher than where it was told
        last, before = await alerts_in(world).alerts(tenant_id=world.anna.tenant_id, limit=2)
        assert (before.expected, last.expected) == (Decimal("0.0945"), Decimal("0.1"))
        assert await told(world, world.bert) == [("tenant", 50)]

    in_world(database, body)


def test_a_limit_that_is_raised_and_lowered_by_turns_does_not_ring(database: Database) -> None:
    async def body(world: World) -> None:
        await spend(world, 2)  # .063
        seen = []
        for limit in ("0.06", "0.07", "0.06", "0.07", "0.06", "0.07"):
            await budget(world, limit)
            seen.append(await round_of(world))
        assert seen == [3, 2, 0, 0, 0, 0]

    in_world(database, body)


def test_what_was_told_before_keys_had_limits_is_not_told_again(database: Database) -> None:
    async def body(world: World) -> None:
        await budget(world, "0.06")
        await spend(world)
        assert await round_of(world) == 1
        await world.as_superuser(
            "UPDATE tenantry.alert SET once_key = substring(once_key FROM '^.* 50')"
        )
        assert await round_of(world) == 0
        await budget(world, "0.062")
        assert await round_of(world) == 1

    in_world(database, body)


def test_every_subject_period_and_basis_has_its_own(database: Database) -> None:
    async def body(world: World) -> None:
        key = world.anna.api_key_id
        await budget(world, "0.06", scope="api_key", scope_id=key, period="day")
        await budget(world, "0.06", scope="user", scope_id="hash", period="total")
        await budget(world, "0.02", scope="run", scope_id="loop", basis="cost", period="total")
        await budget(world, "0.06", scope="run", scope_id="other")
        await spend(world, user_hash="hash", run_id="loop")
        assert await round_of(world) == 3
        subjects = [(f"api_key:{key}", 50), ("run:loop", 50), ("user:hash", 50)]
        assert sorted(await told(world)) == subjects
        rows = await notices(world)
        # A guard in provider cost is the operator's: no receiver of the tenant's gets it.
        cost = [row for row in rows if '"cost"' in row["body"]]
        assert [row["tenant_id"] for row in cost] == [""]
        assert json.loads(cost[0]["body"])["tenant"] == world.anna.tenant_id
        assert json.loads(cost[0]["body"])["starts_at"] is None

    in_world(database, body)


def test_the_plans_budget_and_its_soft_alert(database: Database) -> None:
    async def body(world: World) -> None:
        await spend(world)
        await spend(world, who=world.bert)
        assert await round_of(world) == 2 + 2  # 50 % and the soft alert, of each tenant
        kinds = [row["kind"] for row in await notices(world)]
        assert sorted(kinds) == ["budget.soft_alert"] * 2 + ["budget.threshold"] * 2
        # A plan with another limit is another share of the same budget and period.
        await world.plan(monthly_budget="0.0316", budget_hard=False)
        assert await round_of(world, all_of_them=True) == 2
        assert await told(world) == [("plan", 50), ("plan", 0), ("plan", 80)]
        # And a higher one has its own, its soft alert too.
        await world.plan(monthly_budget="0.062", soft_alert_at="0.031", budget_hard=False)
        assert await round_of(world, all_of_them=True) == 4
        await world.plan(monthly_budget="0.062", soft_alert_at="0.0312", budget_hard=False)
        assert await round_of(world, all_of_them=True) == 2

    limits = {"monthly_budget": "0.06", "soft_alert_at": "0.03", "budget_hard": False}
    in_world(database, body, **limits)


def test_the_next_period_begins_anew(database: Database) -> None:
    async def body() -> None:
        async with open_world(database) as world:  # whose ledger is not moved, so it has no replay
            await budget(world, "0.04", period="day")
            await spend(world)
            assert await round_of(world) == 1
            await day_is_over(world)
            await spend(world)
            assert await round_of(world) == 1  # of the day that has ended: it settled late
            starts = {row.starts_at for row in await alerts_in(world).alerts()}
            assert len(starts) == 2

    asyncio.run(body())


def test_shares_of_another_currency_are_told_anew(database: Database) -> None:
    """However high the limit was in the currency of before."""

    async def body(world: World) -> None:
        house = House.of(world)
        for quote, rate in (("JPY", "150.37"), ("EUR", "0.92")):
            at = ExchangeRate(date(2020, 1, 1), "USD", quote, Decimal(rate), "cb")
            await house.billing.contracts.add_rate(at)
        await house.contract(world.anna, currency="JPY")
        await budget(world, "9")
        await budget(world, "0.06", world.bert)
        await budget(world, "0.012", period="total", basis="cost")  # in USD, whatever the contract
        await spend(world)  # 4.74 JPY
        await spend(world, who=world.bert)
        assert await round_of(world) == 1 + 1 + 2
        for currency, due in (("USD", 3), ("EUR", 2)):  # 100 % of the same figure, then 92 %
            await house.contract(world.anna, currency=currency)
            await budget(world, "0.0315")
            assert [await round_of(world) for _ in range(2)] == [due, 0]
        rows = await alerts_in(world).alerts(tenant_id=world.anna.tenant_id)
        units = [row.unit for row in reversed(rows) if row.detail["basis"] == "charge"]
        assert units == ["JPY", *["USD"] * 3, *["EUR"] * 2]
        assert await told(world, world.bert) == [("tenant", 50)]

    in_world(database, body)


def test_a_period_that_has_ended_is_told_in_the_currency_that_it_ended_with(
    database: Database,
) -> None:
    async def body() -> None:
        async with open_world(database) as world:  # whose ledger is not moved, so it has no replay
            house = House.of(world)
            for quote, rate in (("JPY", "150"), ("EUR", "0.92")):
                at = ExchangeRate(date(2020, 1, 1), "USD", quote, Decimal(rate), "cb")
                await house.billing.contracts.add_rate(at)
            await house.contract(world.anna, currency="JPY")
            for who in (world.anna, world.bert):
                await budget(world, "9" if who is world.anna else "0.06", who, period="day")
                await spend(world, who=who)
            await day_is_over(world)
            await house.contract(world.anna, currency="EUR")
            assert [await round_of(world, all_of_them=True) for _ in range(2)] == [2, 0]
            rows = {row.tenant_id: row for row in await alerts_in(world).alerts()}
            told = [rows[who.tenant_id] for who in (world.anna, world.bert)]
            assert [(row.observed, row.unit, row.currency) for row in told] == [
                (Decimal("4.725"), "JPY", "JPY"), (CHARGE, "USD", "USD"),
            ]  # fmt: skip

    asyncio.run(body())


def test_no_limit_and_a_limit_of_nothing_have_no_shares(database: Database) -> None:
    async def body(world: World) -> None:
        await budget(world, "0", scope="run", scope_id="blocked")
        await spend(world)
        assert await round_of(world, all_of_them=True) == 0

    in_world(database, body)


def test_who_did_not_move_is_not_looked_at(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def body(world: World) -> None:
        monkeypatch.setattr(budget_alerts, "TENANTS_PAGE", 1)
        monkeypatch.setattr(budget_alerts, "ALERTS_PAGE", 1)
        for who in (world.anna, world.bert):
            await budget(world, "0.01", who)
            await spend(world, who=who)
        await world.as_superuser(
            "UPDATE tenantry.counter SET latest_slot = latest_slot - 1000 WHERE tenant_id = $1",
            world.anna.tenant_id,
        )
        assert await round_of(world) == 3
        assert await told(world) == []
        assert await round_of(world, all_of_them=True) == 3
        assert len(await told(world)) == 3

    in_world(database, body)


def test_alerts_are_listed_as_they_were_raised(database: Database) -> None:
    """Also where many are raised within a millisecond of the clock that names them."""

    class Stopped(SystemClock):
        def now(self) -> datetime:
            return datetime(2026, 11, 1, tzinfo=UTC)

    async def body(world: World) -> None:
        for name in "abcdefgh":
            await budget(world, "0.01", scope="run", scope_id=name)
            await spend(world, run_id=name)
        stopped = PostgresAlerts(world.databases.control, Stopped())
        assert await alert_budgets(stopped, all_of_them=True) == 24
        expected = [(f"run:{name}", share) for name in "abcdefgh" for share in (50, 80, 100)]
        assert await told(world) == expected
        first = await stopped.alerts(limit=10)
        rest = await stopped.alerts(before=first[-1].id, limit=100)
        assert len({alert.id for alert in (*first, *rest)}) == 24
        assert await stopped.alerts(state="acknowledged") == []
        seen = await stopped.acknowledge(first[0].id)
        assert await stopped.acknowledge(first[0].id) == seen
        assert await stopped.alerts(state="acknowledged") == [seen]
        with pytest.raises(NotFound):
            await stopped.acknowledge("alr_nothing")

    in_world(database, body)
