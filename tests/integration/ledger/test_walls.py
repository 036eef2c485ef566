"""Who may see and write what, tried as each role with plain SQL (docs/explanation/isolation.md)."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from tests.support.billing import both_invoiced
from tests.support.ledger import World, in_world, open_world
from tests.support.postgres import Database

from tenantry.domain.tenant import Scope
from tenantry.domain.usage import Usage

USED = Usage(uncached_in=1_000, out=500)
DEFINERS = Path(__file__).parents[3] / "docs" / "reference" / "definer-functions.md"
# The only tables that belong to no tenant.
GLOBAL_TABLES = {"schema_migrations", "plan", "model", "price_edition", "price", "placement"}
GLOBAL_TABLES |= {"exchange_rate", "invoice_series", "invoice_gap"}
GLOBAL_TABLES |= {"rollup", "ledger_archive", "log_reading"}
# Of no tenant either, and nothing that accounting knows.
REGISTERS = {"key_holder", "alert_total"}
TENANT_TABLES = [
    "tenant",
    "api_key",
    "budget",
    "counter",
    "budget_use",
    "open_request",
    "later_intent",
    "charge_entry",
    "cost_entry",
    "charge_hour",
    "charge_hour_detail",
    "cost_hour_detail",
    "late_hour",
    "mended_hour",
    "carry_forward",
    "contract",
    "plan_change",
    "billing_account",
    "invoice",
    "invoice_usage",
    "billing_entry",
    "invoice_draft",
    "invoice_run",
    "tenant_key",
]
# Neither app nor gate reaches them.
CONTROL_TABLES = ["notice", "delivery", "webhook_endpoint", "stripe_customer"]
CONTROL_TABLES += ["stripe_invoice"]
CONTROL_TABLES += ["alert", "alert_mute", "watched_hour", "usage_watch", "shred"]
# A tenant's own, which the data plane writes.
OWN_TABLES = ["answer", "batch_job", "document", "erased_user", "idempotency"]
OWN_TABLES += ["knowledge_partition", "segment", "session", "reindex", "embedded_batch"]
OWN_TABLES += ["vector_room", "deleted_object"]
READABLE_BY_APP = {"tenant", "budget", "counter", "budget_use", "customer_ledger", "contract"}
READABLE_BY_APP |= {"plan_change", "plan_terms", "billing_account", "invoice", "invoice_usage"}
READABLE_BY_APP |= {"billing_entry", "invoice_run"}
INVOICED = {"contract", "invoice", "invoice_usage", "billing_entry", "invoice_run"}
READABLE_BY_APP |= {"session", "charge_line", "charge_hour", "charge_hour_detail", "late_hour"}
READABLE_BY_APP |= {"mended_hour", "tenant_key"}
_HOUR = "'2020-01-01T00:00Z', 1, '2020-01-01', 'USD', 'm'"
_PLANTED = {  # what no request writes by itself
    "budget": "VALUES ($1, 'user:x', 'day', 'charge', 1, true)",
    "charge_hour": f"VALUES ($1, {_HOUR}, 1, 'out', 3, 1, 1, 1, 1, 1, now())",
    "charge_hour_detail": f"VALUES ($1, {_HOUR}, 'k', '', '', '{{}}', 'out', 1, 1, 1, 1, 1)",
    "session": "VALUES ($1, 'ses_1', NULL, decode(repeat('00', 32), 'hex'), '1', NULL, 0, 0, '{}',"
    " NULL, NULL, now() + interval '1 hour')",
    "late_hour": "VALUES ($1, '2020-01-01T00:00Z')",
    "mended_hour": "VALUES ($1, '2020-01-01T00:00Z', now())",
    "tenant_key": "VALUES ($1, 1, decode(repeat('00', 32), 'hex'))",
}


async def _both_have_some(world: World) -> None:
    for who in (world.anna, world.bert):
        await world.settle(await world.admitted(who), world.outcome(USED))
        await world.admitted(who)


def _as(role: Any) -> Callable[[Database], Awaitable[Any]]:
    async def connect(database: Database) -> Any:
        return await asyncpg.connect(
            database.dsn(role), server_settings={"search_path": "tenantry"}
        )

    return connect


@pytest.mark.parametrize("name", sorted(READABLE_BY_APP))
def test_the_app_sees_its_own_tenant_alone(database: Database, name: str) -> None:
    async def body(world: World) -> None:
        if name in _PLANTED:
            for who in (world.anna, world.bert):
                await world.as_superuser(
                    f"INSERT INTO tenantry.{name} {_PLANTED[name]}", who.tenant_id
                )
        await _both_have_some(world)
        if name in INVOICED:
            await both_invoiced(world)
        async with world.work.reading(world.anna.tenant_id) as unit:
            seen = {row[0] for row in await unit.fetch(f"SELECT tenant_id FROM {name}")}
        assert seen == {world.anna.tenant_id}
        outside = await world.databases.app.fetch(f"SELECT tenant_id FROM {name}")
        assert outside == [], "no unit of work, no rows"

    in_world(database, body)


def test_the_app_cannot_read_what_is_not_a_tenants(database: Database) -> None:
    async def body(world: World) -> None:
        await _both_have_some(world)
        forbidden = [*set(TENANT_TABLES) - READABLE_BY_APP - {"charge_entry"}]
        forbidden += [*CONTROL_TABLES, *REGISTERS, "operator_key", "intent", "attempt"]
        forbidden += ["ledger_entries", "provider_ledger"]
        async with world.databases.app.acquire() as connection:
            for name in forbidden:
                with pytest.raises(asyncpg.InsufficientPrivilegeError):
                    await connection.fetch(f"SELECT * FROM {name}")
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.fetch("SELECT debit FROM charge_entry")

    in_world(database, body)


def test_the_app_sees_of_keys_what_is_no_secret(database: Database) -> None:
    async def body(world: World) -> None:
        async with world.work.reading(world.anna.tenant_id) as unit:
            seen = await unit.fetch("SELECT tenant_id, api_key_id, scopes FROM api_key")
            assert [row["api_key_id"] for row in seen] == [world.anna.api_key_id]
        for secret in ("bearer_hmac", "access_key_id", "secret_sealed"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                async with world.work.reading(world.anna.tenant_id) as unit:
                    await unit.fetch(f"SELECT {secret} FROM api_key")
        assert await world.databases.app.fetch("SELECT api_key_id FROM api_key") == []

    in_world(database, body)


def test_what_an_admin_may_do_is_done_to_its_own_tenant_alone(database: Database) -> None:
    """The functions take no tenant: outside of a unit of work they know none."""

    async def body(world: World) -> None:
        calls = {
            "place_own_budget('tenant', 'day', 1, true)": "unknown_tenant",
            "remove_own_budget('tenant', 'day')": "unknown",
            f"revoke_own_key('{world.anna.api_key_id}', '{world.anna.api_key_id}')": "not_admin",
        }
        for call, answer in calls.items():
            assert await world.databases.app.fetchval(f"SELECT {call}") == answer
        for door in (
            "place_budget($1, 'tenant', 'day', 'cost', 1, true)",
            "put_budget($1, 'tenant', 'day', 'cost', 1, true, 'tenant')",
            "remove_budget($1, 'tenant', 'day', 'cost')",
            "admin_key($1, 'x')",
        ):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await world.databases.app.fetchval(f"SELECT {door}", world.anna.tenant_id)
        bert = await world.control.create_key(world.bert.tenant_id, scopes=frozenset({Scope.ADMIN}))
        async with world.work.writing(world.anna.tenant_id) as unit:
            for which in (bert.id, world.anna.api_key_id):
                found = await unit.fetchval("SELECT revoke_own_key($1, $2)", bert.id, which)
                assert found == "not_admin", "another tenant's admin"

    in_world(database, body)


def test_the_app_writes_no_row_of_accounting(database: Database) -> None:
    async def body(world: World) -> None:
        await _both_have_some(world)
        tenant_id = world.anna.tenant_id
        for name in (*TENANT_TABLES, *CONTROL_TABLES):
            for statement in (
                f"DELETE FROM {name}",
                f"UPDATE {name} SET tenant_id = tenant_id",
                f"INSERT INTO {name} (tenant_id) VALUES ('{tenant_id}')",
            ):
                with pytest.raises(asyncpg.InsufficientPrivilegeError):
                    async with world.work.writing(tenant_id) as unit:
                        await unit.execute(statement)

    in_world(database, body)


@pytest.mark.parametrize("role", ["control", "operator"])
def test_nobody_changes_or_removes_what_is_posted(database: Database, role: str) -> None:
    async def body(world: World) -> None:
        await _both_have_some(world)
        connection = await _as(role)(database)
        await both_invoiced(world)
        kept = ("charge_entry", "cost_entry", "invoice", "invoice_usage", "billing_entry")
        for name in (*kept, "contract", "exchange_rate"):
            for statement in (
                f"DELETE FROM {name}",
                f"UPDATE {name} SET flags = '{{}}'",
                f"TRUNCATE {name}",
            ):
                with pytest.raises(
                    (asyncpg.InsufficientPrivilegeError, asyncpg.UndefinedColumnError)
                ):
                    await connection.execute(statement)
        await connection.close()
        # Not even who has every right can do it by accident.
        for statement in (
            "DELETE FROM tenantry.charge_entry",
            "TRUNCATE tenantry.cost_entry",
            "DELETE FROM tenantry.invoice",
            "UPDATE tenantry.billing_entry SET amount = 0",
            "DELETE FROM tenantry.invoice_usage",
            "UPDATE tenantry.contract SET tax_rate = 0",
        ):
            with pytest.raises(asyncpg.IntegrityConstraintViolationError):
                await world.as_superuser(statement)

    in_world(database, body)


def test_the_operator_reads_accounts_and_no_secret(database: Database) -> None:
    async def body(world: World) -> None:
        await _both_have_some(world)
        seen = {row[0] for row in await world.fetch("SELECT tenant_id FROM cost_entry")}
        assert seen == {world.anna.tenant_id, world.bert.tenant_id}
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await world.fetch("SELECT * FROM api_key")

    in_world(database, body)


def test_the_gate_has_rights_on_accounting_only(database: Database) -> None:
    async def body(world: World) -> None:
        rows = await world.fetch(
            "SELECT c.relname FROM pg_class c WHERE c.relnamespace = 'tenantry'::regnamespace"
            " AND c.relkind IN ('r', 'p', 'v') AND has_any_column_privilege("
            " 'tenantry_gate', c.oid, 'SELECT, INSERT, UPDATE')"
        )
        reached = {row[0] for row in rows}
        known = set(TENANT_TABLES) | GLOBAL_TABLES | {"intent", "batch_job"}
        assert reached == known - {"schema_migrations"}
        rows = await world.fetch(
            "SELECT attname FROM pg_attribute WHERE attrelid = 'tenantry.batch_job'::regclass"
            " AND attnum > 0 AND has_column_privilege("
            " 'tenantry_gate', attrelid, attnum, 'SELECT, INSERT, UPDATE')"
        )
        assert {row[0] for row in rows} == {"tenant_id", "request_id", "state"}, "no content"

    in_world(database, body)


def test_every_tenant_table_is_walled(module_database: Database) -> None:
    """Each table leads with tenant_id and has forced row security, or is on the named list."""

    async def check() -> None:
        connection = await asyncpg.connect(module_database.dsn("superuser"))
        tables = await connection.fetch(
            "SELECT c.oid, c.relname, c.relrowsecurity AND c.relforcerowsecurity AS walled,"
            " c.relispartition, (SELECT a.attname FROM pg_index i JOIN pg_attribute a"
            "   ON a.attrelid = c.oid AND a.attnum = i.indkey[0]"
            "   WHERE i.indrelid = c.oid AND i.indisprimary) AS leads"
            " FROM pg_class c WHERE c.relnamespace = 'tenantry'::regnamespace"
            " AND c.relkind IN ('r', 'p')"
        )
        names = {row["relname"] for row in tables}
        assert names >= {*TENANT_TABLES, *CONTROL_TABLES, *GLOBAL_TABLES, *OWN_TABLES, *REGISTERS}
        for row in tables:
            if row["relname"] in GLOBAL_TABLES:
                continue
            columns = await connection.fetchval(
                "SELECT array_agg(attname::text) FROM pg_attribute"
                " WHERE attrelid = $1 AND attnum > 0",
                row["oid"],
            )
            if "tenant_id" not in columns:
                continue  # tests/architecture holds the list of those
            assert row["walled"], row["relname"]
            assert row["leads"] == "tenant_id", row["relname"]
        foreign = await connection.fetch(
            "SELECT k.conname, a.attname FROM pg_constraint k JOIN pg_attribute a"
            " ON a.attrelid = k.conrelid AND a.attnum = k.conkey[1]"
            " JOIN pg_class t ON t.oid = k.confrelid"
            " WHERE k.contype = 'f' AND k.connamespace = 'tenantry'::regnamespace"
            " AND t.relname <> ALL ($1)",
            list(GLOBAL_TABLES),
        )
        assert foreign
        assert {row["attname"] for row in foreign} == {"tenant_id"}
        await connection.close()

    asyncio.run(check())


def test_the_documented_definer_functions_are_all_there_are(module_database: Database) -> None:
    ours, _, _of_pgvector = DEFINERS.read_text("utf-8").partition("\n## The vector engine")
    documented = set(re.findall(r"^\| `(\w+)` \|", ours, re.M))

    async def check() -> None:
        connection = await asyncpg.connect(module_database.dsn("superuser"))
        rows = await connection.fetch(
            "SELECT p.proname, r.rolname AS owner, p.proconfig,"
            " obj_description(p.oid, 'pg_proc') AS why,"
            " has_function_privilege('public', p.oid, 'EXECUTE') AS open"
            " FROM pg_proc p JOIN pg_roles r ON r.oid = p.proowner"
            " WHERE p.prosecdef AND p.pronamespace = 'tenantry'::regnamespace"
        )
        assert {row["proname"] for row in rows} == documented
        for row in rows:
            assert row["owner"] == "tenantry_gate", row["proname"]
            assert not row["open"], f"PUBLIC may execute {row['proname']}"
            assert row["why"], f"{row['proname']} does not say why it crosses tenants"
            path = [setting for setting in row["proconfig"] if setting.startswith("search_path=")]
            assert path == ["search_path=pg_catalog, tenantry, pg_temp"], row["proname"]
        open_ones = await connection.fetch(
            "SELECT proname FROM pg_proc WHERE pronamespace = 'tenantry'::regnamespace"
            " AND has_function_privilege('public', oid, 'EXECUTE')"
        )
        assert open_ones == []
        await connection.close()

    asyncio.run(check())


def test_the_app_cannot_call_the_gates_own_functions(database: Database) -> None:
    async def body() -> None:
        async with open_world(database) as world:
            for call in (
                "gate_settle(now(), '{}')",
                "lock_tenants('{}')",
                "apply_moves('{}')",
                "adjust_late(now(), NULL)",
                "post('{}')",
                "write_off(now(), 1)",
                "sweep(1)",
                "ensure_partitions(current_date, 1)",
                "add_partition('charge_entry', 'x', 'DEFAULT')",
                "set_budget('x', 'tenant', 'day', 'charge', 1, true)",
                "finalise('{}', '', '[]', '[]')",
                "void_invoice('x', 'INV-2026-000001', 'no')",
                "post_credit('x', '{}', '')",
                "close_period('x', now(), now())",
                "next_number('INV')",
            ):
                with pytest.raises(asyncpg.InsufficientPrivilegeError):
                    await world.databases.app.fetch(f"SELECT tenantry.{call}")

    asyncio.run(body())
