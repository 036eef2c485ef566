"""Prices, periods, steps, contracts and upgrades through the database and a final invoice."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from tests.support.billing import House, months_ago, period_of
from tests.support.ledger import World, in_world, synthetic_prices
from tests.support.postgres import Database

from tenantry.adapters.postgres.corrections import PostgresCorrections
from tenantry.application.corrections import Corrected, correct_prices
from tenantry.application.invoicing import regenerate
from tenantry.domain.errors import BadRequest, Conflict, NotFound
from tenantry.domain.period import billing_period
from tenantry.domain.plan_values import PlanError
from tenantry.domain.usage import Usage

LAST, BEFORE = months_ago(1), months_ago(2)
STEPS = [
    {"up_to": 1_000_000, "per_million": "10"},
    {"up_to": 10_000_000, "per_million": "8"},
    {"per_million": "5"},
]


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("graduated", ["0", "10", "10.000008", "82.000005", "92"]),
        ("volume", ["0", "10", "8.000008", "50.000005", "60"]),
    ],
)
def test_steps_on_final_invoices(database: Database, mode: str, expected: list[str]) -> None:
    """Of five months, each with its own quantity; a month of nothing has no invoice."""
    used = [0, 1_000_000, 1_000_001, 10_000_001, 12_000_000]

    async def body(world: World) -> None:
        await world.plan(overage={"mode": mode, "steps": STEPS})
        house, anna = House.of(world), world.anna
        await house.plans_long_ago()
        await house.contract(anna)
        await house.since(anna, months_ago(5, day=1))
        for month, (tokens, exact) in enumerate(zip(used, expected, strict=True)):
            at = months_ago(5 - month)
            if tokens:
                usage = Usage(uncached_in=tokens // 2, out=tokens - tokens // 2)
                await house.used(anna, usage, at)
            done = await house.finalise(anna, period_of(anna, at))
            if not tokens:
                assert done.number is None
                continue
            lines = done.document["lines"]
            assert sum(Decimal(line["charge"]) for line in lines) == Decimal(exact)
            assert sum(line["quantity"] for line in lines) == tokens
            assert Fraction(done.document["total"]) == Fraction(round(Fraction(exact) * 100), 100)

    in_world(database, body)


def test_to_the_cent_with_its_postings(database: Database) -> None:
    async def body(world: World) -> None:
        await world.plan(
            monthly_fee="99",
            minimum="150",
            overage={"mode": "graduated", "included": 5_000_000,
                     "steps": [{"per_million": "6"}]},
        )  # fmt: skip
        house, anna = House.of(world), world.anna
        await house.plans_long_ago()
        await house.contract(anna, tax_rate=Decimal("0.0825"))
        await house.billing.contracts.grant_credit(anna.tenant_id, Decimal(20), "ahead")
        await house.since(anna, months_ago(2, day=1))
        await house.finalise(anna, period_of(anna, BEFORE))
        await house.billing.contracts.grant_credit(anna.tenant_id, Decimal(20), "ahead")
        await house.used(anna, Usage(uncached_in=8_000_000, out=3_000_000), LAST)
        shown = (await house.finalise(anna, period_of(anna, LAST))).document
        lines = [(line["kind"], line["amount"]) for line in shown["lines"]]
        assert lines == [
            ("fee", "99.00"),
            ("included", "0.00"),
            ("overage", "36.00"),
            ("minimum", "15.00"),
        ]
        sums = [shown["subtotal"], shown["true_up"], shown["tax"]["amount"], shown["total"]]
        assert [*sums, shown["credit"], shown["due"]] == [
            "135.00", "15.00", "12.38", "162.38", "20.00", "142.38",
        ]  # fmt: skip
        rows = await world.fetch(
            "SELECT e.kind, e.amount FROM billing_entry e JOIN invoice i"
            " ON i.tenant_id = e.tenant_id AND i.posting_id = e.posting_id"
            " WHERE i.number = $1 ORDER BY e.line",
            shown["number"],
        )
        charges = Decimal(8_000_000 * 9 + 3_000_000 * 45) / 1_000_000
        assert [tuple(row) for row in rows] == [
            ("fee", 99),
            ("allowance", -charges),
            ("overage", 36),
            ("minimum", 15),
            ("invoiced", 150),
            ("tax", Decimal("12.38")),
            ("credit_used", 20),
        ]

    in_world(database, body)


def test_an_upgrade_within_a_period_on_a_final_invoice(database: Database) -> None:
    """November 2026 has 30 days: 20 are left on the 11th."""
    change = datetime(2026, 11, 11, 15, tzinfo=UTC)
    period = billing_period(change, "UTC", 1)
    if period.end > datetime.now(UTC):  # the past alone can be final: a June has 30 days as well
        change = datetime(2026, 6, 11, 15, tzinfo=UTC)
        period = billing_period(change, "UTC", 1)

    async def body(world: World) -> None:
        await world.control.apply_plans(
            {"base": {"monthly_fee": "99"}, "big": {"monthly_fee": "299"}}
        )
        house, anna = House.of(world), world.anna
        await house.contract(anna)
        await house.billing.contracts.change_plan(anna.tenant_id, "base", None)
        await house.as_the_past(
            f"DELETE FROM tenantry.plan_change WHERE tenant_id = '{anna.tenant_id}'"
            " AND plan = 'standard'"
        )
        await house.since(anna, period.start)
        await house.billing.contracts.change_plan(anna.tenant_id, "big", None)
        await house.as_the_past(
            f"UPDATE tenantry.plan_change SET effective_at = '{change}', entered_at = '{change}'"
            " WHERE plan = 'big'"
        )
        shown = (await house.finalise(anna, period)).document
        assert [line["amount"] for line in shown["lines"]] == ["99.00", "-66.00", "199.33"]
        assert Decimal(shown["subtotal"]) - 99 == Decimal("133.33")
        assert [(v["plan"], v["from"]) for v in shown["plan_versions"]] == [
            ("base", period.start.date().isoformat()),
            ("big", change.date().isoformat()),
        ]

    in_world(database, body)


def test_a_price_holds_from_its_instant_and_late_events_keep_the_old_one(
    database: Database,
) -> None:
    """Admitted 100 ms before the change, and one that settles two days after it: the old price."""

    async def body(world: World) -> None:
        house, anna = House.of(world), world.anna
        await house.contract(anna)
        await house.since(anna, months_ago(1, day=1))
        before, late = await world.admitted(anna), await world.admitted(anna)
        edition = await world.control.import_prices(synthetic_prices(Decimal(2)))
        assert edition.version == 2
        refused = await world.refused(anna)  # by the old edition nothing begins any more
        assert refused.code == "stale_price"
        old = world.prices
        await world.settle(before, world.outcome(Usage(uncached_in=1_000_000)))
        world.prices = edition
        after = await world.admitted(anna)
        await world.settle(after, world.outcome(Usage(uncached_in=1_000_000)))
        world.prices = old
        await world.settle(late, world.outcome(Usage(uncached_in=1_000_000)))
        change = LAST
        await house.move(before.request_id, change - timedelta(milliseconds=100))
        await house.move(late.request_id, change - timedelta(milliseconds=100),
                         change + timedelta(days=2))  # fmt: skip
        await house.move(after.request_id, change)
        shown = (await house.finalise(anna, period_of(anna, LAST))).document
        lines = [(line["quantity"], line["unit_price"], line["amount"]) for line in shown["lines"]]
        assert lines == [(2_000_000, "9", "18.00"), (1_000_000, "18", "18.00")]
        assert shown["price_versions"] == [1, 2]

    in_world(database, body)


def test_each_event_of_an_edge_is_in_exactly_one_period(database: Database) -> None:
    """America/New_York: a month ends at its own midnight, with its own number of hours."""
    zone = ZoneInfo("America/New_York")

    async def body(world: World) -> None:
        house, anna = House.of(world), world.anna
        await house.contract(anna)
        first = datetime(2025, 11, 1, tzinfo=zone)
        await house.since(anna, first.astimezone(UTC))
        edge = datetime(2025, 12, 1, 5, tzinfo=UTC)
        spring = datetime(2026, 4, 1, 4, tzinfo=UTC)
        events = {
            edge - timedelta(milliseconds=1): 100,
            edge: 20,
            spring - timedelta(milliseconds=1): 3_000,
            spring: 40_000,
        }
        for at, tokens in events.items():
            await house.used(anna, Usage(out=tokens), at)
        found: dict[str, tuple[int, int]] = {}
        period = billing_period(first.astimezone(UTC), "America/New_York", 1)
        while period.start <= spring:
            done = await house.finalise(anna, period)
            if done.number is not None:
                [line] = done.document["lines"]
                found[done.document["period"]["label"]] = (line["quantity"], period.hours)
            period = billing_period(period.end, "America/New_York", 1)
        assert found == {
            "2025-11-01 to 2025-11-30": (100, 721),
            "2025-12-01 to 2025-12-31": (20, 744),
            "2026-03-01 to 2026-03-31": (3_000, 743),
            "2026-04-01 to 2026-04-30": (40_000, 720),
        }

    in_world(database, body, zone="America/New_York")


def test_a_plan_changes_at_its_instant_and_admission_uses_it_from_then_on(
    database: Database,
) -> None:
    async def body(world: World) -> None:
        await world.control.apply_plans({"big": {"requests_per_day": 0, "markup": "3"}})
        house, anna, bert = House.of(world), world.anna, world.bert
        contracts = house.billing.contracts
        soon = await house.billing.book.now() + timedelta(hours=1)
        assert await contracts.change_plan(anna.tenant_id, "big", soon) == soon
        assert await contracts.apply_plan_changes(10) == 0
        await world.settle(await world.admitted(anna), world.outcome(Usage(out=1)))
        with pytest.raises(Conflict, match="The period ends"):
            await house.finalise(anna, period_of(anna, datetime.now(UTC)))
        due = await house.billing.book.now()
        await house.as_the_past(
            f"UPDATE tenantry.plan_change SET effective_at = '{due}' WHERE applied_at IS NULL"
        )
        assert await contracts.apply_plan_changes(10) == 1
        assert await contracts.apply_plan_changes(10) == 0
        assert (await world.refused(await world.directory.refresh(anna))).code == "requests_per_day"
        assert (await world.control.get_tenant("anna")).plan.name == "big"
        assert (await world.control.get_tenant("bert")).plan.name == "standard"
        [newest, first] = await contracts.plan_changes(anna.tenant_id)
        assert (newest["plan"], newest["effective_at"], first["plan"]) == ("big", due, "standard")
        assert due <= newest["applied_at"] <= await house.billing.book.now()
        for plan, at in (("big", due), ("nobody's", None)):
            with pytest.raises(BadRequest):
                await contracts.change_plan(bert.tenant_id, plan, at)
        with pytest.raises(NotFound):
            await contracts.change_plan("tnt_nobody", "big", None)  # type: ignore[arg-type]

    in_world(database, body)


def test_of_changes_that_are_due_at_once_the_latest_stays(database: Database) -> None:
    async def body(world: World) -> None:
        await world.control.apply_plans({name: {"markup": "3"} for name in ("a", "b", "c")})
        house, anna = House.of(world), world.anna
        contracts = house.billing.contracts
        await house.since(anna, months_ago(1))
        now = await house.billing.book.now()
        for name, seconds in (("b", 3_600), ("a", 1_800)):
            await contracts.change_plan(anna.tenant_id, name, now + timedelta(seconds=seconds))
        await house.as_the_past(
            "UPDATE tenantry.plan_change SET effective_at = effective_at - interval '2 hours'"
            " WHERE applied_at IS NULL"
        )
        assert await contracts.apply_plan_changes(1) == 1
        assert (await world.control.get_tenant("anna")).plan.name == "a"
        await contracts.change_plan(anna.tenant_id, "c", None)
        assert await contracts.apply_plan_changes(10) == 1
        assert (await world.control.get_tenant("anna")).plan.name == "c"  # b was due before it

    in_world(database, body)


def test_an_invoice_waits_for_a_change_of_plan_that_is_due(database: Database) -> None:
    async def body(world: World) -> None:
        await world.control.apply_plans({"big": {"monthly_fee": "31"}})
        house, anna = House.of(world), world.anna
        await house.contract(anna)
        await house.since(anna, months_ago(1, day=1))
        at = await house.billing.book.now() + timedelta(hours=1)
        await house.billing.contracts.change_plan(anna.tenant_id, "big", at)
        await house.as_the_past(
            f"UPDATE tenantry.plan_change SET effective_at = '{LAST.replace(day=2)}'"
            " WHERE applied_at IS NULL"
        )
        period: Any = period_of(anna, LAST)
        with pytest.raises(Conflict, match=r"change to plan big .* is not applied"):
            await house.finalise(anna, period)
        await house.billing.contracts.apply_plan_changes(10)
        [fee] = (await house.finalise(anna, period)).document["lines"]
        assert " days from " in fee["description"]

    in_world(database, body)


def test_a_back_dated_fix_is_a_reversal_plus_new_entries(database: Database) -> None:
    async def body(world: World) -> None:
        house, anna = House.of(world), world.anna
        for who in (anna, world.bert):
            await house.contract(who)
            await house.since(who, months_ago(2, day=1))
        early = await house.used(anna, Usage(uncached_in=1_000_000, out=10), BEFORE)
        june = await house.finalise(anna, period_of(anna, BEFORE))
        await house.used(anna, Usage(uncached_in=1_000_000), LAST, charged=False)
        await house.used(anna, Usage(uncached_in=1_000_000), LAST)
        await house.used(world.bert, Usage(uncached_in=1_000_000), LAST)
        right = await world.control.import_prices(synthetic_prices(Decimal("0.5")))
        fixes = PostgresCorrections(world.databases.control)

        async def fix() -> Corrected:
            start, end = BEFORE - timedelta(days=20), LAST + timedelta(days=1)
            return await correct_prices(fixes, anna.tenant_id, start, end, wrong=1, right=right)

        done = await fix()
        assert (done.attempts, done.charge) == (3, Decimal("-9.000225"))
        assert done.cost == Decimal("-4.500075")
        assert (await fix()).attempts == 0  # once
        rows = await world.fetch(
            "SELECT kind, amount, price_version, quantities FROM charge_entry"
            " WHERE request_id = $1 ORDER BY kind DESC",
            early,
        )
        assert [tuple(row) for row in rows] == [
            ("usage", Decimal("9.00045"), 1, [1_000_000, 10]),
            ("reversal", Decimal("-9.00045"), 1, [-1_000_000, -10]),
            ("adjustment", Decimal("4.500225"), 2, [1_000_000, 10]),
        ]
        shown = (await house.finalise(anna, period_of(anna, LAST))).document
        lines = [(line["kind"], line["quantity"], line["unit_price"], line["amount"])
                 for line in shown["lines"]]  # fmt: skip
        assert lines == [
            ("usage", 1_000_000, "4.5", "4.50"),  # the wrong one and its reversal are nothing
            ("adjustment", 10, "22.5", "0.00"),
            ("adjustment", -10, "45", "0.00"),
            ("adjustment", 1_000_000, "4.5", "4.50"),
            ("adjustment", -1_000_000, "9", "-9.00"),
        ]
        stored = await house.billing.book.document(anna.tenant_id, str(june.number))
        assert (await regenerate(house.billing.book, anna.tenant_id, stored)).same
        other = (await house.billing.invoices.read(
            world.bert.tenant_id, period_of(anna, LAST), datetime.now(UTC)))  # fmt: skip
        assert [line.charge for line in other.usage] == [9]

    in_world(database, body)


def test_a_plan_has_a_name_that_can_stand_on_an_invoice(database: Database) -> None:
    async def body(world: World) -> None:
        for name in ("", " ", "two\nlines", "\u202e", "n" * 101):
            with pytest.raises(PlanError, match="1 to 100 printable characters"):
                await world.control.apply_plans({"fine": {}, name: {}})
        assert "fine" not in {plan.name for plan in await world.control.list_plans()}

    in_world(database, body)
