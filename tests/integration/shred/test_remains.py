"""What a shred leaves in the database, table by table: all of it is named in the certificate."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import asyncpg
from tests.support.postgres import Database
from tests.support.shredding import Ground, begun, is_untouched, on_ground

from tenantry.application.shredding import advance_shred
from tenantry.domain.usage import Usage

CONTENT = "has_any_column_privilege('tenantry_app', c.oid, 'INSERT') AND c.relname <> 'batch_job'"
# Every other table with rows of a tenant, and the words of the certificate that name what is there.
GONE = {"budget", "tenant_key"}  # emptied too, though no content
NAMED = {
    "alert": "alerts and notices",
    "alert_mute": "use that an operator announced",
    "api_key": "API keys, revoked",
    "batch_job": "facts of batch jobs",
    "billing_account": "its contract",
    "billing_entry": "prepaid credit",
    "budget_use": "the balances of its plan",
    "carry_forward": "the ledger",
    "charge_entry": "the ledger",
    "charge_hour": "its roll-ups",
    "charge_hour_detail": "its roll-ups",
    "contract": "its contract",
    "cost_entry": "the ledger",
    "cost_hour_detail": "its roll-ups",
    "counter": "the ledger",
    "delivery": "alerts and notices",
    "invoice": "invoices and credit notes",
    "invoice_draft": "invoices and credit notes",
    "invoice_run": "invoices and credit notes",
    "invoice_usage": "invoices and credit notes",
    "late_hour": "its roll-ups",
    "later_intent": "the ledger",
    "mended_hour": "its roll-ups",
    "notice": "alerts and notices",
    "open_request": "the ledger",
    "plan_change": "its contract",
    "shred": "the tenant's name",
    "stripe_customer": "Stripe",
    "stripe_invoice": "Stripe",
    "tenant": "the tenant's name",
    "usage_watch": "its roll-ups",
    "vector_room": "",  # where there was one, the certificate says what is left of it
    "watched_hour": "its roll-ups",
    "webhook_endpoint": "addresses of webhooks",
}


async def tables(at: Ground, where: str) -> dict[str, int]:
    """How many rows the tenant that is shredded has in each."""
    connection = await asyncpg.connect(at.world.database.dsn("superuser"))
    try:
        names = await connection.fetch(
            "SELECT c.relname FROM pg_class c JOIN pg_attribute a"
            " ON a.attrelid = c.oid AND a.attname = 'tenant_id'"
            " WHERE c.relnamespace = 'tenantry'::regnamespace AND c.relkind IN ('r', 'p')"
            f" AND NOT c.relispartition AND {where}"
        )
        count = "SELECT count(*) FROM tenantry.{} WHERE tenant_id = $1"
        found = {}
        for (name,) in names:
            found[name] = await connection.fetchval(count.format(name), at.anna.tenant_id)
        return found
    finally:
        await connection.close()


async def remains(at: Ground) -> tuple[dict[str, Any], list[str]]:
    """Shreds the tenant: what its certificate says was erased, and what it says remains."""
    done = await advance_shred(await begun(at), at.anna.tenant_id)
    told = json.loads(done.shred.certificate or "")
    return told["erased"], told["remains"]


def test_every_table_is_emptied_or_named(database: Database, tmp_path: Path) -> None:
    async def body(at: Ground) -> None:
        content = await tables(at, CONTENT)
        _, told = await remains(at)
        assert set(await tables(at, "true")) - set(content) - GONE == set(NAMED) - {"vector_room"}
        for name, words in NAMED.items():
            assert any(words in each for each in told), name
        left = await tables(at, "true")
        assert {name for name, count in left.items() if count} <= set(NAMED)
        await is_untouched(at)

    on_ground(database, tmp_path, body)


def test_budgets_go_with_their_tenant_and_credit_is_named(
    database: Database, tmp_path: Path
) -> None:
    """Their subjects are of the tenant's choosing: an end user's hash, the label of a run."""

    async def body(at: Ground) -> None:
        subjects = ("tenant", "user:0123456789abcdef0123456789abcdef", "run:for Mrs Jones")
        for who in (at.anna, at.bert):
            admitted = await at.world.admitted(who)
            await at.world.settle(admitted, at.world.outcome(Usage(out=500)))
            for subject in subjects:
                async with at.world.work.writing(who.tenant_id) as unit:
                    place = "SELECT tenantry.place_own_budget($1, 'day', 5, true)"
                    assert await unit.fetchval(place, subject) == "set"
        await at.world.as_superuser(
            "INSERT INTO tenantry.billing_entry (tenant_id, posting_id, line, kind, debit, credit,"
            " amount, currency, note) VALUES ($1, gen_random_uuid(), 1, 'credit', 'a', 'b', $2,"
            " 'USD', 'as agreed with Mrs Jones')",
            at.anna.tenant_id,
            Decimal(5),
        )
        erased, told = await remains(at)
        assert (erased["rows: budget"], erased["rows: budget_use"]) == (3, 3)
        left = await tables(at, "true")
        assert (left["budget"], left["budget_use"]) == (0, 1), "the plan's own balance"
        assert left["billing_entry"] == 1
        assert any("prepaid credit" in each and "notes" in each for each in told)
        async with at.world.work.reading(at.bert.tenant_id) as unit:
            assert await unit.fetchval("SELECT count(*) FROM budget") == 3
            assert await unit.fetchval("SELECT count(*) FROM budget_use") == 4
        assert await at.world.violations() == []

    on_ground(database, tmp_path, body)
