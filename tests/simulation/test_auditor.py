"""The auditor can fail: each kind of error that is planted into a right ledger is found."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from tests.support.postgres import Database, Databases
from tests.support.simulated import calendar, hands
from tests.support.simulated.auditor import audit, read_ledger
from tests.support.simulated.facts import Facts
from tests.support.simulated.invoices import Invoiced, audit_invoices
from tests.support.simulated.run import play
from tests.support.simulated.scenario import scenario
from tests.support.simulated.theatre import Theatre

pytestmark = pytest.mark.xdist_group("auditor")  # one run for all

# Statement, and what the auditor says of it. $1 is a request with a charge, $2 another tenant.
_ONE = "WHERE request_id = $1::text::uuid AND token_classes <> '{}'"
ERRORS: dict[str, tuple[str, str]] = {
    "a wrong price": (
        f"UPDATE tenantry.cost_entry SET unit_prices[1] = unit_prices[1] * 2 {_ONE}",
        "unit cost",
    ),
    "a wrong price, with its sums": (
        "UPDATE tenantry.charge_entry SET unit_prices[1] = unit_prices[1] * 2, amounts[1] ="
        f" amounts[1] * 2, amount = amount + amounts[1] {_ONE}",
        "unit price",
    ),
    "a millionth too much": (
        f"UPDATE tenantry.charge_entry SET amount = amount + 0.000000000001 {_ONE}",
        "is charged",
    ),
    "a token too few": (
        f"UPDATE tenantry.cost_entry SET quantities[1] = quantities[1] - 1 {_ONE}",
        "posts",
    ),
    "tokens of another class": (
        f"UPDATE tenantry.cost_entry SET token_classes[1] = 'cache_read' {_ONE}",
        "posts",
    ),
    "a doubled row": (
        "INSERT INTO tenantry.cost_entry SELECT (jsonb_populate_record(e,"
        f' \'{{"kind": "adjustment"}}\')).* FROM tenantry.cost_entry e {_ONE}',
        "is posted 2 times",
    ),
    "a doubled charge": (
        "INSERT INTO tenantry.charge_entry SELECT (jsonb_populate_record(e,"
        f' \'{{"kind": "adjustment"}}\')).* FROM tenantry.charge_entry e {_ONE}',
        "rows in the customer's book",
    ),
    "a row for what nobody asked": (
        "INSERT INTO tenantry.cost_entry SELECT (jsonb_populate_record(e,"
        f' \'{{"request_id": "00000000-0000-7000-8000-000000000000"}}\')).*'
        f" FROM tenantry.cost_entry e {_ONE}",
        "no client asked for it",
    ),
    "a lost row": (f"DELETE FROM tenantry.cost_entry {_ONE}", "ended 0 times"),
    "a lost charge": (f"DELETE FROM tenantry.charge_entry {_ONE}", "the customer's book: 0 rows"),
    "a wrong period": (
        f"UPDATE tenantry.cost_entry SET period_start = period_start - interval '1 h' {_ONE}",
        "period_start is",
    ),
    "a wrong day": (f"UPDATE tenantry.charge_entry SET day = day + 1 {_ONE}", "day is"),
    "a wrong edition": (
        f"UPDATE tenantry.cost_entry SET price_version = price_version + 7 {_ONE}",
        "was not in force",
    ),
    "a wrong plan": (
        f"UPDATE tenantry.charge_entry SET plan_version = plan_version + 7 {_ONE}",
        "was not in force",
    ),
    "another tenant's": (
        f"UPDATE tenantry.charge_entry SET tenant_id = $2 {_ONE}",
        "tenant_id is",
    ),
    "another key's": (
        f"UPDATE tenantry.cost_entry SET api_key_id = 'key_of_another' {_ONE}",
        "api_key_id is",
    ),
    "another user's": (f"UPDATE tenantry.cost_entry SET user_hash = 'x' {_ONE}", "user_hash is"),
    "other tags": (f'UPDATE tenantry.cost_entry SET tags = \'{{"a": "b"}}\' {_ONE}', "tags are"),
    "another currency": (
        f"UPDATE tenantry.charge_entry SET currency = 'CHF' {_ONE}",
        "currency is",
    ),
    "another account": (f"UPDATE tenantry.cost_entry SET account = '1' {_ONE}", "account is"),
    "another tier": (f"UPDATE tenantry.cost_entry SET service_tier = 'gold' {_ONE}", "tier is"),
    "a budget that forgot": (
        "UPDATE tenantry.budget_use SET settled = settled - 0.000001 WHERE settled > 0"
        " AND $1::text IS NOT NULL",
        "settled",
    ),
    "a hold that stays": (
        "UPDATE tenantry.budget_use SET reserved = 1 WHERE $1::text IS NOT NULL",
        "stays reserved",
    ),
    "a slot that stays": (
        "UPDATE tenantry.counter SET in_flight = 1 WHERE $1::text IS NOT NULL",
        "in flight",
    ),
    "a request that was not counted": (
        "UPDATE tenantry.counter SET day_requests = day_requests + 1 WHERE $1::text IS NOT NULL",
        "requests, not",
    ),
}
INVOICE_ERRORS: dict[str, tuple[str, str]] = {
    "a posting that was rounded": (
        "UPDATE tenantry.billing_entry SET amount = amount + 4e-32 WHERE kind = 'invoiced'",
        "moves",
    ),
    "a lost posting": ("DELETE FROM tenantry.billing_entry WHERE kind = 'invoiced'", "moves"),
    "a charge that no invoice has": (
        "UPDATE tenantry.charge_entry SET amount = amount + 1e-30",
        "receivable_unbilled moves",
    ),
    "usage of another tenant": (
        "UPDATE tenantry.billing_entry e SET tenant_id = (SELECT max(tenant_id)"
        " FROM tenantry.billing_entry) WHERE e.tenant_id = (SELECT min(tenant_id)"
        " FROM tenantry.billing_entry)",
        "moves",
    ),
}
SEED = 5  # with many answers and no crash
PATIENCE_MS = 60_000  # so that a busy machine answers before anybody gives up


@pytest.fixture(scope="module")
def found(theatre: Theatre, databases: Databases) -> Iterator[dict[str, list[str]]]:
    """What the auditor says of each error, planted alone into the ledger of one run."""
    database: Database = databases.create()
    said: dict[str, list[str]] = {}

    async def plant(facts: Facts, connection: Any) -> None:
        assert len(facts.billed) > 10, "a run in which little happened shows little"
        await connection.execute("SET session_replication_role = replica")  # no append-only
        charged = await connection.fetchrow(
            "SELECT request_id::text, tenant_id FROM tenantry.charge_entry"
            " ORDER BY cardinality(token_classes) DESC LIMIT 1"
        )
        assert charged is not None, "a run in which nobody was answered shows nothing"
        other = next(t.id for t in facts.tenants if t.id != charged["tenant_id"])
        for name, (statement, _) in ERRORS.items():
            transaction = connection.transaction()
            await transaction.start()
            values = [charged["request_id"], *([other] if "$2" in statement else [])]
            tag = await connection.execute(statement, *values)
            assert not tag.endswith(" 0"), f"{name} changed nothing"
            said[name] = audit(facts, await read_ledger(connection))
            await transaction.rollback()

    async def plant_into_invoices(facts: Facts, made: Invoiced, connection: Any) -> None:
        assert len(made.documents) > 1, "one invoice is nobody else's"
        await connection.execute("SET session_replication_role = replica")
        for name, (statement, _) in INVOICE_ERRORS.items():
            transaction = connection.transaction()
            await transaction.start()
            tag = await connection.execute(statement)
            assert not tag.endswith(" 0"), f"{name} changed nothing"
            said[name] = await audit_invoices(facts, made, connection)
            await transaction.rollback()

    try:
        with pytest.MonkeyPatch.context() as patient:
            patient.setattr(hands, "TIMEOUTS", dict.fromkeys(hands.TIMEOUTS, PATIENCE_MS))
            patient.setattr(hands, "SETTLE_WAIT_MS", PATIENCE_MS)
            verdict = play(theatre, database, scenario(SEED), plant, plant_into_invoices)
    finally:
        databases.drop(database)
    assert (verdict.differences, verdict.violations) == ([], [])
    yield said


@pytest.mark.parametrize("error", [*ERRORS, *INVOICE_ERRORS])
def test_a_planted_error_is_found(error: str, found: dict[str, list[str]]) -> None:
    words = {**ERRORS, **INVOICE_ERRORS}[error][1]
    assert any(words in difference for difference in found[error]), found[error]


def test_the_auditors_calendar_knows_the_days_that_clocks_change() -> None:
    from datetime import UTC, date, datetime

    at = datetime(2026, 12, 1, 4, 59, 59, tzinfo=UTC)
    assert calendar.day_of(at, "America/New_York") == date(2026, 11, 30)
    assert calendar.period_start(at, "America/New_York", 1) == datetime(2026, 11, 1, 4, tzinfo=UTC)
    later = datetime(2026, 12, 1, 5, tzinfo=UTC)
    assert calendar.day_of(later, "America/New_York") == date(2026, 12, 1)
    assert calendar.period_start(later, "America/New_York", 31) == datetime(
        2026, 11, 30, 5, tzinfo=UTC
    )
    # Midnight that comes twice: the day that has begun goes on.
    twice = datetime(2026, 11, 1, 4, 30, tzinfo=UTC)
    assert calendar.day_of(twice, "America/Havana") == date(2026, 11, 1)
