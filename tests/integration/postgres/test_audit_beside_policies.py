"""What no policy is asked of: rights, owners, roles, heirs and functions that stand beside them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from tests.support.postgres import Database
from tests.support.walls import WIDE, findings, planted, run

LOGIN = f"CREATE ROLE {WIDE} LOGIN"
PUBLIC_SCHEMA = "CREATE SCHEMA planted; GRANT USAGE ON SCHEMA planted TO PUBLIC"
OF_OUR_ROLES = (
    "ALTER ROLE tenantry_gate NOSUPERUSER NOBYPASSRLS",
    "ALTER ROLE tenantry_app NOREPLICATION",
    "REVOKE SET ON PARAMETER session_replication_role FROM tenantry_app, PUBLIC",
)


@contextmanager
def altered(database: Database, statement: str) -> Iterator[None]:
    """Like `planted`; what roles of ours were given is taken back."""
    try:
        with planted(database, statement):
            yield
    finally:
        run(database, *OF_OUR_ROLES)


ROLES = {
    "ALTER ROLE tenantry_gate SUPERUSER": "tenantry_gate is a superuser",
    "ALTER ROLE tenantry_gate BYPASSRLS": "tenantry_gate bypasses row security",
    "ALTER ROLE tenantry_app REPLICATION": "tenantry_app may copy the whole server",
    f"{LOGIN} REPLICATION": f"{WIDE} may copy the whole server",
    f"{LOGIN}; GRANT pg_execute_server_program TO {WIDE}": (
        f"{WIDE} may become pg_execute_server_program"
    ),
    f"{LOGIN}; GRANT pg_read_server_files TO {WIDE}": f"{WIDE} may become pg_read_server_files",
}


@pytest.mark.parametrize("statement", ROLES)
def test_a_role_as_good_as_a_superuser_is_found_once(database: Database, statement: str) -> None:
    with altered(database, statement):
        assert findings(database, "rows.strong-role") == {"rows.strong-role": ROLES[statement]}


RIGHTS = {
    f"{LOGIN}; GRANT TRUNCATE ON tenantry.document TO {WIDE}": f"document: TRUNCATE to {WIDE}",
    f"{LOGIN}; GRANT TRIGGER ON tenantry.document TO {WIDE}": f"document: TRIGGER to {WIDE}",
    f"{LOGIN}; GRANT USAGE, CREATE ON SCHEMA tenantry TO {WIDE}": f"schema: CREATE to {WIDE}",
    "ALTER SCHEMA tenantry OWNER TO tenantry_app": "schema: of tenantry_app",
    "ALTER VIEW tenantry.customer_ledger OWNER TO tenantry_app": "customer_ledger: of tenantry_app",
    "ALTER DOMAIN tenantry.held OWNER TO tenantry_app": "type held: of tenantry_app",
    "GRANT SET ON PARAMETER session_replication_role TO tenantry_app": (
        "parameter session_replication_role: SET to tenantry_app"
    ),
    "GRANT SET ON PARAMETER session_replication_role TO PUBLIC": (
        "parameter session_replication_role: SET to PUBLIC"
    ),
}


@pytest.mark.parametrize("statement", RIGHTS)
def test_a_right_that_passes_row_security_is_found(database: Database, statement: str) -> None:
    with altered(database, statement):
        told = findings(database, "rows.grants", "rows.policies", "rows.functions")
    assert told == {"rows.grants": RIGHTS[statement]}


def test_who_may_only_read_what_row_security_hides_is_no_finding(database: Database) -> None:
    with planted(database, f"{LOGIN}; GRANT SELECT ON tenantry.document TO {WIDE}"):
        assert findings(database, "rows.grants") == {}


FUNCTIONS = {
    f"{PUBLIC_SCHEMA}; CREATE FUNCTION planted.tap(text) RETURNS boolean LANGUAGE plpgsql LEAKPROOF"
    " COST 0.0000001 AS 'BEGIN RETURN true; END'": "planted.tap, leakproof of tenantry_superuser",
    "ALTER FUNCTION tenantry.contract_currency LEAKPROOF": (
        "contract_currency(p_tenant_id text): invoker, leakproof of tenantry_gate"
    ),
    f"{PUBLIC_SCHEMA}; CREATE FUNCTION planted.same(numeric, integer) RETURNS boolean LANGUAGE sql"
    " AS 'SELECT true'; CREATE OPERATOR tenantry.="
    " (LEFTARG = numeric, RIGHTARG = integer, FUNCTION = planted.same)": (
        "tenantry.=(numeric,integer)"
    ),
    f"{PUBLIC_SCHEMA}; CREATE FUNCTION planted.made(text) RETURNS jsonb LANGUAGE sql"
    " AS 'SELECT NULL::jsonb';"
    " CREATE CAST (text AS jsonb) WITH FUNCTION planted.made(text) AS ASSIGNMENT": (
        "(pg_catalog.text AS pg_catalog.jsonb)"
    ),
}


@pytest.mark.parametrize("statement", FUNCTIONS)
def test_a_function_that_comes_before_the_walls_is_found(
    database: Database, statement: str
) -> None:
    with planted(database, statement):
        told = findings(database, "rows.functions", "rows.triggers")
    assert told.keys() == {"rows.functions"}
    assert told["rows.functions"].startswith(FUNCTIONS[statement])


def test_a_table_that_ours_inherit_from_shows_their_rows_and_is_found(database: Database) -> None:
    parent = (
        f'{PUBLIC_SCHEMA}; CREATE TABLE planted.parent (document_id text COLLATE "C");'
        " ALTER TABLE tenantry.document INHERIT planted.parent"
    )
    with planted(database, parent):
        assert findings(database, "rows.copies") == {}, "nobody of ours reads it"
        run(database, "GRANT SELECT ON planted.parent TO tenantry_app")
        told = findings(database, "rows.copies")
    assert told == {"rows.copies": "planted.parent, open to tenantry_app"}


@pytest.mark.parametrize(
    "heir",
    [
        "INHERITS (tenantry.document)",
        "PARTITION OF tenantry.charge_entry FOR VALUES FROM ('2041-01-01') TO ('2041-02-01')",
    ],
)
def test_what_inherits_from_a_table_of_ours_is_one_wherever_it_lies(
    database: Database, heir: str
) -> None:
    columns = "()" if heir.startswith("INHERITS") else ""
    spy = (
        "CREATE FUNCTION planted.spy() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';"
        " CREATE TRIGGER spy AFTER INSERT ON planted.heir"
        " FOR EACH ROW EXECUTE FUNCTION planted.spy()"
    )
    with planted(database, f"{PUBLIC_SCHEMA}; CREATE TABLE planted.heir {columns} {heir}; {spy}"):
        told = findings(database, "rows.policies", "rows.triggers", "rows.copies")
    assert told.keys() == {"rows.policies", "rows.triggers"}
    assert told["rows.policies"] == "planted.heir: of tenantry_superuser, row security off"
