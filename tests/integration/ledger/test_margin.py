"""Margin from the two books of a real ledger: by tenant, model and tag, waste by its kind."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import asyncpg
import pytest
from tests.support.billing import House
from tests.support.ledger import World, in_world, intent
from tests.support.postgres import Database

from tenantry.adapters.postgres.margin import PostgresMarginBooks
from tenantry.application.advising import advice_from_ledger
from tenantry.application.margin import margin_of
from tenantry.domain.advice import Reason, Verdict
from tenantry.domain.margin import MarginBy, MarginReport
from tenantry.domain.shared_costs import SharedCosts, shared_costs_from_toml
from tenantry.domain.usage import Usage

ALL = (datetime(2020, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC))
USED = Usage(uncached_in=1_000, out=500)  # cost .0105, charge .0315
COST, CHARGE = Decimal("0.0105"), Decimal("0.0315")


async def spend(world: World) -> None:
    """anna: one call with a retry beside it, one plain; bert: one, and one that nobody pays."""
    made = await world.admitted(tags={"feature": "chat"})
    lost = world.outcome(USED, charged=False)
    await world.settle(made, lost, final=False)
    await world.admission.begin(made.tenant_id, made.request_id, intent(attempt=2))
    await world.settle(made, world.outcome(USED, attempt=2))
    plain = await world.admitted(tags={"feature": "search"})
    await world.settle(plain, world.outcome(USED))
    other = await world.admitted(world.bert, tags={"team": "red"})
    await world.settle(other, world.outcome(USED))
    abandoned = await world.admitted(world.bert)
    await world.settle(abandoned, world.outcome(USED, charged=False))


async def told(world: World, by: MarginBy, costs: SharedCosts | None = None) -> MarginReport:
    books = PostgresMarginBooks(world.databases.operator)
    return await margin_of(books, *ALL, by, costs or SharedCosts())


def test_margin_by_tenant_model_and_tag(database: Database) -> None:
    async def body(world: World) -> None:
        await spend(world)
        report = await told(world, MarginBy.TENANT)
        anna, bert = report.rows
        assert (anna.name, anna.requests, anna.tokens) == ("anna", 2, 4_500)
        assert (anna.revenue, anna.provider_cost) == (2 * CHARGE, 2 * COST)
        assert (anna.retries, anna.abandoned) == (COST, 0)
        assert (bert.revenue, bert.provider_cost) == (CHARGE, COST)
        assert (bert.retries, bert.abandoned) == (0, COST)
        assert report.payers == 2
        assert report.total.contribution == 3 * CHARGE - 5 * COST

        [model] = (await told(world, MarginBy.MODEL)).rows
        assert (model.revenue, model.waste) == (3 * CHARGE, 2 * COST)

        tags = {row.name: row for row in (await told(world, MarginBy.TAG)).rows}
        assert {name: row.revenue for name, row in tags.items()} == {
            "chat": CHARGE, "search": CHARGE, "(none)": CHARGE,
        }  # fmt: skip
        assert tags["chat"].retries == COST and tags["(none)"].abandoned == COST

    in_world(database, body)


CANARY = """
UPDATE tenantry.tenant SET name = 'audit-canary-20261130-101112-ab12-a', plan = 'audit-canary-pool'
WHERE tenant_id = '{canary}';
UPDATE tenantry.tenant SET name = 'audit-canary-fans' WHERE tenant_id = '{customer}';
"""


@pytest.mark.parametrize("by", MarginBy)
def test_what_an_audit_used_is_in_no_row_and_told_beside_them(
    by: MarginBy, database: Database
) -> None:
    async def body(world: World) -> None:
        await spend(world)
        ids = {"canary": world.bert.tenant_id, "customer": world.anna.tenant_id}
        await House.of(world).as_the_past(CANARY.format(**ids))
        costs = shared_costs_from_toml(
            '[[shared]]\nname = "db"\nusd = "0.01"\nallocate_by = "equal"'
        )
        report = await told(world, by, costs)
        assert report.audits is not None
        assert (report.audits.requests, report.audits.tokens) == (2, 3_000)
        assert (report.audits.provider_cost, report.audits.waste) == (COST, COST)
        assert (report.audits.revenue, report.audits.shared) == (0, 0)
        # anna stays a customer: a name alone is no plan
        assert (report.total.revenue, report.total.shared) == (2 * CHARGE, Decimal("0.01"))
        assert (report.total.provider_cost, report.total.waste) == (2 * COST, COST)
        assert report.payers == 1
        if by is MarginBy.TENANT:
            assert [row.name for row in report.rows] == ["audit-canary-fans"]
        books = PostgresMarginBooks(world.databases.operator)
        assert [month.tenant for month in await books.months(*ALL)] == ["audit-canary-fans"]

    in_world(database, body)


def test_shared_costs_are_divided_by_their_key(database: Database) -> None:
    async def body(world: World) -> None:
        await spend(world)
        costs = shared_costs_from_toml(
            '[[shared]]\nname = "db"\nusd = "0.01"\nallocate_by = "revenue"'
        )
        report = await told(world, MarginBy.TENANT, costs)
        assert [row.shared for row in report.rows] == [Decimal("0.006667"), Decimal("0.003333")]
        assert report.total.shared == Decimal("0.01")

    in_world(database, body)


def test_a_span_holds_what_was_admitted_in_it(database: Database) -> None:
    async def body(world: World) -> None:
        await spend(world)
        books = PostgresMarginBooks(world.databases.operator)
        none = await margin_of(books, ALL[0], datetime(2021, 1, 1, tzinfo=UTC), MarginBy.TENANT,
                               SharedCosts())  # fmt: skip
        assert (none.rows, none.payers) == ((), 0)
        months = await books.months(*ALL)
        assert [(m.tenant, m.cost, m.charges, m.silo) for m in months] == [
            ("anna", 3 * COST, 2 * CHARGE, False),
            ("bert", 2 * COST, CHARGE, False),
        ]

    in_world(database, body)


FEE = """
INSERT INTO tenantry.billing_entry (tenant_id, posting_id, line, invoice_id, period_start, kind,
  debit, credit, amount, currency)
VALUES ('{tenant_id}', gen_random_uuid(), 1, NULL, '{period_start}', 'fee', 'receivable_unbilled',
        'revenue_fee', {amount}, 'USD');
UPDATE tenantry.tenant SET zone = '{zone}' WHERE tenant_id = '{tenant_id}';
"""


def test_a_fee_is_of_the_month_that_its_period_begins_in_by_the_tenants_own_days(
    database: Database,
) -> None:
    async def body(world: World) -> None:
        april = datetime(2026, 4, 1, tzinfo=UTC)
        for who, zone, begins, amount in (
            (world.anna, "Europe/Lisbon", "2026-03-31T23:00:00Z", 20),
            (world.bert, "America/New_York", "2026-04-01T04:00:00Z", 30),
        ):
            await House.of(world).as_the_past(
                FEE.format(
                    tenant_id=who.tenant_id, zone=zone, period_start=begins, amount=amount
                )
            )  # fmt: skip
        books = PostgresMarginBooks(world.databases.operator)
        costs = shared_costs_from_toml('[payment_fees]\neach_usd = "0.30"')
        for by, groups in ((MarginBy.TENANT, ["bert", "anna"]), (MarginBy.MODEL, ["(plans)"])):
            in_april = await margin_of(books, april, april + timedelta(days=30), by, costs)
            assert [row.name for row in in_april.rows] == groups
            assert in_april.total.revenue == 50
            assert (in_april.payers, in_april.total.fees) == (2, Decimal("0.60"))
        march = await margin_of(books, april - timedelta(days=31), april, MarginBy.TENANT, costs)
        assert (march.rows, march.payers) == ((), 0)
        await House.of(world).as_the_past("DELETE FROM tenantry.billing_entry")  # of no invoice

    in_world(database, body)


def test_no_tenants_connection_reads_it(database: Database) -> None:
    async def body(world: World) -> None:
        await spend(world)
        for statement in ("SELECT amount FROM cost_entry", "SELECT debit FROM charge_entry"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await world.databases.app.fetch(statement)

    in_world(database, body)


def test_advice_from_the_ledgers_own_months(database: Database) -> None:
    async def body(world: World) -> None:
        await spend(world)
        books = PostgresMarginBooks(world.databases.operator)
        next_month = datetime.now(UTC).replace(day=28) + timedelta(days=4)
        closed, advice = await advice_from_ledger(books, next_month, ("bert",), SharedCosts())
        assert closed == f"{datetime.now(UTC):%Y-%m}"
        anna, bert = advice["anna"][0], advice["bert"][0]
        assert (anna.verdict, bert.reasons) == (Verdict.POOL, (Reason.COMPLIANCE,))
        assert bert.verdict is Verdict.HOLD  # the floor is over what bert contributes
        assert any("0.0315 USD" in line for line in anna.evidence)  # three attempts of .0105

    in_world(database, body)
