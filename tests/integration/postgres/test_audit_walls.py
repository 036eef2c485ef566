"""The audit's look at roles, rights, policies, functions and views: green, and red on each hole.

Each hole is planted by itself in a fresh database; roles are the server's, and go with the test.
"""

from __future__ import annotations

import asyncio

import pytest
from tests.support.planting import ANNA, plant
from tests.support.postgres import Database
from tests.support.walls import WIDE, findings, planted, run, verdicts, with_pgvector
from tools.write_walls import text_of

from tenantry.adapters.postgres.walls import TARGET
from tenantry.domain.audit import Outcome


def test_the_shipped_walls_are_those_of_the_migrations(module_database: Database) -> None:
    made = asyncio.run(text_of(module_database))
    assert made == TARGET.read_text("utf-8"), "run python -m tools.write_walls"


def test_a_deployment_as_the_migrations_make_it_has_no_hole(database: Database) -> None:
    assert findings(database) == {}
    asyncio.run(plant(database))
    made = dict(verdicts(database))
    assert made.pop("rows.triggers").outcome is Outcome.FOUND, "which planting turns off"
    assert {each.outcome for each in made.values()} == {Outcome.HELD}, "every table was tried"
    assert made["rows.table-document"].detail == ""
    assert made["rows.table-segment"].detail == "no right to UPDATE, UPDATE of tenant_id"
    assert made["rows.table-delivery"].detail == "the data plane's role has no right to it at all"


def test_a_database_that_spells_otherwise_is_read_as_any(database: Database) -> None:
    spelled = {"intervalstyle": "iso_8601", "datestyle": "German", "quote_all_identifiers": "on"}
    for name, value in spelled.items():
        alter = "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET {} = {}', current_database());"
        run(database, f"{alter.format(name, value)} END $$")
    assert (
        findings(database, "rows.policies", "rows.grants", "rows.functions", "rows.triggers") == {}
    )


LOGIN = f"CREATE ROLE {WIDE} LOGIN"
ROLES = {
    f"{LOGIN} BYPASSRLS": f"{WIDE} bypasses row security",
    f"{LOGIN} SUPERUSER": f"{WIDE} is a superuser",
    f"{LOGIN}; GRANT tenantry_gate TO {WIDE}": f"{WIDE} may become tenantry_gate",
    f"{LOGIN}; GRANT tenantry_owner TO {WIDE}": (
        f"{WIDE} may become tenantry_gate; {WIDE} may become tenantry_owner"
    ),
    f"{LOGIN}; GRANT tenantry_control TO {WIDE}": f"{WIDE} may become tenantry_control",
    f"{LOGIN}; CREATE ROLE planted_group BYPASSRLS; GRANT planted_group TO {WIDE}": (
        f"{WIDE} may become planted_group"
    ),
    "GRANT pg_read_all_data TO tenantry_app": "tenantry_app may become pg_read_all_data",
}


@pytest.mark.parametrize("statement", ROLES)
def test_a_role_that_passes_the_walls_is_found(database: Database, statement: str) -> None:
    with planted(database, statement):
        assert findings(database, "rows.strong-role") == {"rows.strong-role": ROLES[statement]}


PEEK = (
    "CREATE FUNCTION {}.peek() RETURNS SETOF tenantry.document LANGUAGE sql SECURITY DEFINER"
    " AS 'SELECT * FROM tenantry.document'"
)
COPY = "CREATE {} tenantry.planted AS SELECT * FROM tenantry.document"
SEEN = "GRANT SELECT ON tenantry.planted TO {}"
IN_COPY = "CREATE TABLE planted.notes AS SELECT tenant_id, document_id FROM tenantry.document"
PEEK_HERE = PEEK.format("tenantry")
PUBLIC_SCHEMA = "CREATE SCHEMA planted; GRANT USAGE ON SCHEMA planted TO PUBLIC"
FREED = (
    "DO $$ BEGIN EXECUTE replace(pg_get_functiondef('tenantry.lock_billing'::regproc),"
    " 'a.tenant_id = p_tenant_id', 'true'); END $$"
)
# Copies what others write, with its owner's rights, for who reads the schema `planted`.
SPY = (
    f"{PUBLIC_SCHEMA}; CREATE TABLE planted.log (words text);"
    " GRANT SELECT ON planted.log TO PUBLIC;"
    " CREATE FUNCTION planted.copy() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS"
    " 'BEGIN INSERT INTO planted.log VALUES (NEW::text); RETURN NEW; END';"
    " REVOKE EXECUTE ON FUNCTION planted.copy() FROM PUBLIC; CREATE TRIGGER spy {}"
    " FOR EACH ROW EXECUTE FUNCTION planted.copy()"
)
RULE = f"{PUBLIC_SCHEMA}; CREATE TABLE planted.log (words text); CREATE RULE spy AS ON {{}}"
# In this database alone: the roles are the server's.
BY_SETTING = "DO $$ BEGIN EXECUTE format('ALTER {} SET {}', current_database()); END $$"
APP_HERE, ALL_HERE = "ROLE tenantry_app IN DATABASE %I", "DATABASE %I"
IN_FUTURE = "ALTER DEFAULT PRIVILEGES FOR ROLE {}"
# What is planted, and which attacks find it: no other does.
HOLES: dict[str, str] = {
    # functions
    PEEK_HERE: "functions",
    f"{PEEK_HERE}; GRANT EXECUTE ON FUNCTION tenantry.peek() TO PUBLIC": "functions",
    "GRANT EXECUTE ON FUNCTION tenantry.authenticate TO PUBLIC": "functions",
    "GRANT EXECUTE ON FUNCTION tenantry.sweep TO tenantry_app": "functions",
    "ALTER FUNCTION tenantry.authenticate SET search_path = public, tenantry": "functions",
    "ALTER FUNCTION tenantry.authenticate RESET ALL": "functions",
    "ALTER FUNCTION tenantry.gate_settle SECURITY DEFINER": "functions",
    "ALTER FUNCTION tenantry.sweep OWNER TO tenantry_superuser": "functions",
    FREED: "functions",
    f"{PUBLIC_SCHEMA}; {PEEK.format('planted')}": "functions",
    # views and copies
    f"{COPY.format('VIEW')}; {SEEN.format('tenantry_app')}": "views grants",
    f"{COPY.format('MATERIALIZED VIEW')}; {SEEN.format('PUBLIC')}": "views grants",
    f"{COPY.format('TABLE')}; {SEEN.format('tenantry_app')}": "policies unforced grants",
    "ALTER VIEW tenantry.customer_ledger RESET (security_invoker)": "views",
    "ALTER VIEW tenantry.customer_ledger SET (security_invoker = false)": "views",
    # rights
    "GRANT SELECT ON tenantry.document TO tenantry_operator": "grants closed-operator-documents",
    "GRANT SELECT ON tenantry.charge_entry_default TO tenantry_app": "grants",
    "GRANT SELECT (bearer_hmac) ON tenantry.api_key TO tenantry_app": "grants closed-app-bearers",
    "GRANT TRUNCATE ON tenantry.invoice TO PUBLIC": "grants",
    "GRANT SELECT ON tenantry.document TO tenantry_app WITH GRANT OPTION": "grants",
    "GRANT USAGE ON SCHEMA tenantry TO PUBLIC": "grants",
    IN_FUTURE.format("tenantry_owner GRANT SELECT ON TABLES TO tenantry_app"): "grants",
    IN_FUTURE.format(
        "tenantry_owner IN SCHEMA tenantry GRANT SELECT ON TABLES TO tenantry_operator"
    ): "grants",
    IN_FUTURE.format(
        "tenantry_superuser IN SCHEMA tenantry GRANT ALL ON TABLES TO tenantry_app"
    ): "grants",
    # PostgreSQL's own, of which the catalogue has no line.
    IN_FUTURE.format("tenantry_gate GRANT EXECUTE ON FUNCTIONS TO PUBLIC"): "grants",
    IN_FUTURE.format("tenantry_owner GRANT USAGE ON TYPES TO PUBLIC"): "grants",
    # what a write sets off
    SPY.format("AFTER INSERT ON tenantry.answer"): "triggers",
    SPY.format("BEFORE UPDATE OF state ON tenantry.document"): "triggers",
    SPY.format("AFTER INSERT ON tenantry.charge_entry"): "triggers",
    SPY.format("AFTER INSERT ON tenantry.charge_entry_default"): "triggers",
    SPY.format("INSTEAD OF INSERT ON tenantry.customer_ledger"): "triggers",
    "DROP TRIGGER append_only ON tenantry.invoice; CREATE TRIGGER append_only BEFORE TRUNCATE"
    " ON tenantry.invoice EXECUTE FUNCTION tenantry.refuse_change()": "triggers",
    "ALTER TABLE tenantry.answer DISABLE TRIGGER refuse_shredded": "triggers",
    "ALTER TABLE tenantry.answer ENABLE REPLICA TRIGGER refuse_shredded": "triggers",
    RULE.format(
        "INSERT TO tenantry.answer DO ALSO INSERT INTO planted.log VALUES (NEW.tenant_id)"
    ): "triggers",
    RULE.format("DELETE TO tenantry.api_key DO INSTEAD NOTHING"): "triggers table-api-key",
    "CREATE OR REPLACE TRIGGER refuse_shredded BEFORE INSERT ON tenantry.answer"
    " FOR EACH ROW EXECUTE FUNCTION tenantry.refuse_shredded('not')": "triggers",
    # what sessions begin with
    BY_SETTING.format(APP_HERE, "session_replication_role = replica"): "settings",
    BY_SETTING.format(ALL_HERE, "session_replication_role = replica"): "settings",
    BY_SETTING.format(APP_HERE, "search_path = public, tenantry"): "settings",
    BY_SETTING.format(ALL_HERE, "tenantry.tenant = tnt_anna"): "settings",
    # A name of ours is kept as it was spelled, and holds however it was.
    BY_SETTING.format(APP_HERE, '"Tenantry.TENANT" = tnt_anna'): "settings",
    # policies, on tables without a row
    "ALTER POLICY own_tenant ON tenantry.segment WITH CHECK (true)": "policies table-segment",
    "ALTER POLICY own_tenant ON tenantry.answer WITH CHECK (true)": "policies table-answer",
    "ALTER POLICY own_tenant ON tenantry.invoice USING (true)": "policies",
    "ALTER POLICY own_tenant ON tenantry.invoice TO PUBLIC": "policies",
    "CREATE POLICY more ON tenantry.session FOR SELECT USING (true)": "policies",
    "ALTER POLICY expired ON tenantry.answer USING (true)": "policies",
    "ALTER TABLE tenantry.invoice NO FORCE ROW LEVEL SECURITY": "policies unforced",
    "ALTER TABLE tenantry.cost_entry_default DISABLE ROW LEVEL SECURITY": "policies unforced",
    "ALTER TABLE tenantry.document OWNER TO tenantry_control": "policies",
}
ELSEWHERE_MADE = (
    IN_COPY,
    "CREATE VIEW planted.notes AS SELECT document_id FROM tenantry.document",
    "CREATE VIEW planted.hidden WITH (security_invoker) AS SELECT * FROM tenantry.document;"
    " CREATE VIEW planted.notes AS SELECT document_id FROM planted.hidden",
    "CREATE MATERIALIZED VIEW planted.notes AS SELECT state FROM tenantry.document",
)


@pytest.mark.parametrize("statement", HOLES)
def test_a_hole_is_found(database: Database, statement: str) -> None:
    with planted(database, statement):
        assert findings(database).keys() == {f"rows.{name}" for name in HOLES[statement].split()}


def test_row_security_that_is_switched_off_by_a_setting_is_found(database: Database) -> None:
    """Which makes an error of each statement of a role that does not pass it."""
    run(database, BY_SETTING.format(APP_HERE, "row_security = off"))
    assert findings(database, "rows.settings") == {
        "rows.settings": "tenantry_app: row_security=off"
    }


@pytest.mark.parametrize("made", ELSEWHERE_MADE)
@pytest.mark.parametrize("role", ["PUBLIC", "tenantry_app", "tenantry_operator"])
def test_tenants_rows_in_another_schema_are_found(database: Database, made: str, role: str) -> None:
    with planted(database, "CREATE SCHEMA planted", made):
        assert findings(database, "rows.copies") == {}, "nobody of ours reads it"
        run(database, f"GRANT USAGE ON SCHEMA planted TO {role}")
        run(database, f"GRANT SELECT ON planted.notes TO {role}")
        (told,) = findings(database, "rows.copies").values()
    assert told.startswith("planted.notes, open to tenantry_")


@pytest.mark.parametrize(
    ("option", "invokers"),
    [
        (" WITH (security_invoker)", True),
        (" WITH (security_invoker = 1, check_option = local)", True),
        (" WITH (check_option = local, security_invoker = yes)", True),
        (" WITH (security_invoker = on)", True),
        (" WITH (security_invoker = off)", False),
        (" WITH (security_invoker = 0, security_barrier = on)", False),
        (" WITH (check_option = local)", False),
        ("", False),
    ],
)
def test_a_view_of_its_invoker_shows_who_reads_it_what_is_theirs(
    database: Database, option: str, invokers: bool
) -> None:
    """However the option was spelled."""
    view = f"CREATE VIEW planted.own{option} AS SELECT * FROM tenantry.tenant"
    open_to_all = "GRANT SELECT ON planted.own TO PUBLIC"
    with planted(database, f"{PUBLIC_SCHEMA}; {view}; {open_to_all}"):
        assert (findings(database, "rows.copies") == {}) is invokers


@pytest.mark.parametrize("home", ["tenantry_vectors", "public"])
def test_pgvector_as_its_adapter_makes_it_is_no_hole(database: Database, home: str) -> None:
    if home == "public":
        run(database, "CREATE EXTENSION vector WITH SCHEMA public")
    with_pgvector(database)
    assert findings(database) == {}
    with_pgvector(database)  # as each start does
    assert findings(database) == {}


@pytest.mark.parametrize("home", ["tenantry_vectors", "public"])
def test_what_is_left_of_pgvector_where_it_was_dropped_is_no_hole(
    database: Database, home: str
) -> None:
    """Its roles stay, and with them the names that sessions of theirs would find first."""
    if home == "public":
        run(database, "CREATE EXTENSION vector WITH SCHEMA public")
    with_pgvector(database)
    run(database, "DROP SCHEMA tenantry_vectors CASCADE", "DROP EXTENSION IF EXISTS vector CASCADE")
    assert findings(database) == {}
    run(database, BY_SETTING.format("ROLE tenantry_vectors IN DATABASE %I", "row_security = off"))
    assert findings(database).keys() == {"rows.settings"}


IN_VECTORS = "GRANT USAGE ON SCHEMA tenantry_vectors TO tenantry_app; CREATE {}"
ROOM = f"tenantry_vectors.passage_{ANNA}"
VECTOR_HOLES: dict[str, str] = {
    IN_VECTORS.format(
        "VIEW tenantry_vectors.peek AS SELECT * FROM tenantry.answer;"
        " GRANT SELECT ON tenantry_vectors.peek TO tenantry_app"
    ): "copies grants",
    IN_VECTORS.format(
        "MATERIALIZED VIEW tenantry_vectors.peek AS SELECT sealed FROM tenantry_vectors.passage;"
        " GRANT SELECT ON tenantry_vectors.peek TO PUBLIC"
    ): "copies grants",
    IN_VECTORS.format(
        "TABLE tenantry_vectors.passage_copy AS SELECT sealed FROM tenantry_vectors.passage;"
        " GRANT SELECT ON tenantry_vectors.passage_copy TO tenantry_app"
    ): "copies grants policies",
    "CREATE VIEW tenantry_vectors.peek AS SELECT * FROM tenantry_vectors.passage;"
    " GRANT SELECT ON tenantry_vectors.peek TO tenantry_vectors": "copies grants",
    f"{PUBLIC_SCHEMA}; CREATE VIEW planted.notes AS SELECT sealed FROM tenantry_vectors.passage;"
    " GRANT SELECT ON planted.notes TO tenantry_operator": "copies",
    f"{PUBLIC_SCHEMA}; CREATE VIEW planted.notes AS SELECT sealed FROM {ROOM};"
    " GRANT SELECT ON planted.notes TO tenantry_vectors": "copies",
    PEEK.format("tenantry_vectors"): "functions",
    "ALTER FUNCTION tenantry_vectors.open_room RESET ALL": "functions",
    "GRANT EXECUTE ON FUNCTION tenantry_vectors.empty_room TO PUBLIC": "functions",
    "GRANT USAGE ON SCHEMA tenantry_vectors TO PUBLIC": "grants",
    "GRANT SELECT ON tenantry_vectors.passage TO tenantry_app": "grants",
    f"GRANT SELECT ON {ROOM} TO tenantry_vectors": "copies grants",
    "ALTER POLICY own_tenant ON tenantry_vectors.passage USING (true)": "policies",
    "ALTER POLICY own_tenant ON tenantry_vectors.passage TO PUBLIC": "policies",
    f"CREATE POLICY more ON {ROOM} USING (true)": "policies",
    f"ALTER TABLE {ROOM} OWNER TO tenantry_vectors": "copies policies",
    f"ALTER TABLE {ROOM} NO FORCE ROW LEVEL SECURITY": "policies unforced",
    "ALTER TABLE tenantry_vectors.passage DISABLE ROW LEVEL SECURITY": "policies unforced",
    SPY.format("AFTER INSERT ON tenantry_vectors.passage"): "triggers",
    SPY.format(f"AFTER INSERT ON {ROOM}"): "triggers",
    RULE.format(f"DELETE TO {ROOM} DO INSTEAD NOTHING"): "triggers",
    IN_FUTURE.format("tenantry_vectors_owner GRANT SELECT ON TABLES TO tenantry_app"): "grants",
    IN_FUTURE.format("tenantry_vectors_owner GRANT EXECUTE ON FUNCTIONS TO PUBLIC"): "grants",
}


@pytest.mark.parametrize("statement", VECTOR_HOLES)
def test_a_hole_beside_pgvector_is_found(database: Database, statement: str) -> None:
    with_pgvector(database)
    with planted(database, statement):
        assert findings(database).keys() == {
            f"rows.{name}" for name in VECTOR_HOLES[statement].split()
        }


def test_a_view_in_the_schema_of_an_engine_that_is_not_used_is_found(database: Database) -> None:
    made = "CREATE SCHEMA tenantry_vectors; " + next(iter(VECTOR_HOLES))
    with planted(database, made):
        told = findings(database, "rows.copies")
    assert told == {"rows.copies": "tenantry_vectors.peek, open to tenantry_app"}


def test_what_was_planted_together_is_found_together(database: Database) -> None:
    statements = (
        f"CREATE ROLE {WIDE} LOGIN BYPASSRLS",
        f"GRANT USAGE ON SCHEMA tenantry TO {WIDE}",
        f"GRANT SELECT ON ALL TABLES IN SCHEMA tenantry TO {WIDE}",
        f"GRANT tenantry_gate TO {WIDE}",
        PEEK_HERE,
        "GRANT EXECUTE ON FUNCTION tenantry.peek() TO PUBLIC",
        f"{COPY.format('VIEW')}; {SEEN.format('tenantry_app')}",
        "CREATE MATERIALIZED VIEW tenantry.all_keys AS SELECT * FROM tenantry.api_key",
        "GRANT SELECT ON tenantry.all_keys TO PUBLIC",
    )
    with planted(database, *statements):
        told = findings(database)
    assert told.keys() == {
        f"rows.{name}" for name in ("strong-role", "functions", "grants", "views")
    }
    assert "bypasses row security" in told["rows.strong-role"]
    assert "tenantry_gate" in told["rows.strong-role"]
    assert "peek()" in told["rows.functions"]
    assert "all_keys" in told["rows.views"] and "planted" in told["rows.views"]


INSERTABLE = ("answer", "batch_job", "deleted_object", "document", "embedded_batch", "erased_user")
INSERTABLE += ("idempotency", "knowledge_partition", "reindex", "segment", "session", "vector_room")


@pytest.mark.parametrize("name", INSERTABLE)
def test_a_policy_that_takes_rows_of_others_is_found_by_an_insert(
    database: Database, name: str
) -> None:
    """Also where the table's key would have refused the very same row."""
    attack = f"rows.table-{name.replace('_', '-')}"
    asyncio.run(plant(database))
    assert findings(database, attack) == {}
    run(database, f"ALTER POLICY own_tenant ON tenantry.{name} WITH CHECK (true)")
    (told,) = findings(database, attack).values()
    assert "reaches another tenant's rows" in told


def test_a_schema_of_another_version_is_not_compared(database: Database) -> None:
    more = "INSERT INTO tenantry.schema_migrations VALUES (9999, 'later', repeat('0', 64))"
    with planted(database, more):
        made = verdicts(database, "rows.policies", "rows.grants", "rows.functions")
    assert {each.outcome for each in made.values()} == {Outcome.NOT_RUN}
