"""What a write computes beside triggers: a function that is not the release's is found in it."""

from __future__ import annotations

import pytest
from tests.support.planting import ANNA
from tests.support.postgres import Database
from tests.support.walls import findings, planted, run, with_pgvector

PUBLIC_SCHEMA = "CREATE SCHEMA planted; GRANT USAGE ON SCHEMA planted TO PUBLIC"
# What a write computes, by a function beside ours, with the rights of whoever writes.
SEES = (
    f"{PUBLIC_SCHEMA}; CREATE TABLE planted.log (words text);"
    " GRANT INSERT ON planted.log TO PUBLIC;"
    " CREATE FUNCTION planted.see(text) RETURNS text LANGUAGE sql AS"
    " 'INSERT INTO planted.log VALUES ($1); SELECT $1'; {}"
)
STILL = (
    f"{PUBLIC_SCHEMA}; CREATE FUNCTION planted.see(text) RETURNS text LANGUAGE sql IMMUTABLE AS"
    " 'SELECT $1'; {}"
)
ROOM = f"tenantry_vectors.passage_{ANNA}"
COMPUTED = (
    SEES.format(
        "ALTER TABLE tenantry.answer ADD CONSTRAINT spy CHECK (planted.see(tenant_id) IS NOT NULL)"
    ),
    SEES.format(
        "ALTER TABLE tenantry.charge_entry_default"
        " ADD CONSTRAINT spy CHECK (planted.see(tenant_id) <> 'a' COLLATE \"C\")"
    ),
    SEES.format("ALTER TABLE tenantry.document ALTER state SET DEFAULT planted.see('a')"),
    SEES.format(
        "CREATE DOMAIN planted.seen AS text CHECK (planted.see(VALUE) IS NOT NULL);"
        " ALTER TABLE tenantry.answer ADD COLUMN more planted.seen"
    ),
    SEES.format(
        "CREATE DOMAIN planted.seen AS text CHECK (planted.see(VALUE) IS NOT NULL);"
        " CREATE DOMAIN planted.more AS planted.seen;"
        " ALTER TABLE tenantry.answer ADD COLUMN more planted.more[]"
    ),
    SEES.format(
        "ALTER DOMAIN tenantry.held ADD CONSTRAINT spy CHECK (planted.see(VALUE::text) <> '')"
    ),
    STILL.format(
        "ALTER TABLE tenantry.answer"
        " ADD COLUMN more text GENERATED ALWAYS AS (planted.see(tenant_id)) STORED"
    ),
    STILL.format("CREATE INDEX spy ON tenantry.answer (planted.see(tenant_id))"),
    STILL.format(
        "CREATE INDEX spy ON tenantry.answer (tenant_id) WHERE planted.see(tenant_id) <> ''"
    ),
    STILL.format(
        "CREATE FUNCTION planted.same(text, text) RETURNS boolean LANGUAGE sql AS 'SELECT true';"
        " CREATE OPERATOR planted.=== (LEFTARG = text, RIGHTARG = text, FUNCTION = planted.same);"
        " ALTER TABLE tenantry.answer"
        " ADD CONSTRAINT spy CHECK (tenant_id OPERATOR(planted.===) 'a')"
    ),
    STILL.format(
        "CREATE FUNCTION planted.order(text, text) RETURNS int LANGUAGE sql IMMUTABLE"
        " AS 'SELECT 0'; CREATE OPERATOR CLASS planted.ops FOR TYPE text USING btree AS"
        " OPERATOR 1 <, OPERATOR 2 <=, OPERATOR 3 =, OPERATOR 4 >=, OPERATOR 5 >,"
        " FUNCTION 1 planted.order;"
        " CREATE INDEX spy ON tenantry.answer (tenant_id planted.ops)"
    ),
)
# By what the expression is made of, and beside tables.
DOMAIN = "CREATE DOMAIN planted.seen AS text CHECK (planted.see(VALUE) IS NOT NULL); {}"
VIEW = (
    "DO $$ BEGIN EXECUTE 'CREATE OR REPLACE VIEW tenantry.customer_ledger WITH (security_invoker)"
    " AS SELECT * FROM (' || rtrim(pg_get_viewdef('tenantry.customer_ledger'), ';') || ') x"
    " WHERE {} IS NOT NULL'; END $$"
)
COMPUTED += (
    SEES.format(
        DOMAIN.format(
            "ALTER TABLE tenantry.answer ADD CONSTRAINT spy"
            " CHECK (tenant_id::planted.seen IS NOT NULL)"
        )
    ),
    SEES.format(
        DOMAIN.format("ALTER TABLE tenantry.document ALTER state SET DEFAULT 'x'::planted.seen")
    ),
    SEES.format(
        DOMAIN.format(
            "CREATE TYPE planted.pair AS (a planted.seen, b text);"
            " ALTER TABLE tenantry.answer ADD COLUMN more planted.pair"
        )
    ),
    STILL.format(
        "CREATE STATISTICS planted.spy ON (planted.see(tenant_id)), tenant_id"
        " FROM tenantry.document"
    ),
    SEES.format(VIEW.format("planted.see(tenant_id)")),
    SEES.format(
        "DO $$ BEGIN EXECUTE replace(pg_get_functiondef('tenantry.contract_currency'::regproc),"
        " 'p_tenant_id text', 'p_tenant_id text DEFAULT planted.see(''x'')'); END $$"
    ),
)
# PostgreSQL's own, which do more than compute.
ANOTHER_TENANT = "set_config('tenantry.tenant', 'tnt_bert', true)"
DOES = (
    f"ALTER TABLE tenantry.answer ADD CONSTRAINT spy CHECK ({ANOTHER_TENANT} IS NOT NULL)",
    f"ALTER TABLE tenantry.document ALTER state SET DEFAULT {ANOTHER_TENANT}",
    VIEW.format(ANOTHER_TENANT.replace("'", "''")),
    "ALTER TABLE tenantry.answer ADD CONSTRAINT spy"
    " CHECK (pg_notify('spy', tenant_id)::text IS NOT NULL)",
)
COMPUTED_OF_ROOMS = (
    STILL.format(f"ALTER TABLE {ROOM} ADD CONSTRAINT spy CHECK (planted.see(tenant_id) <> '')"),
    STILL.format(f"CREATE INDEX spy ON {ROOM} (planted.see(tenant_id))"),
)


@pytest.mark.parametrize("statement", COMPUTED)
def test_a_function_that_a_write_calls_is_found(database: Database, statement: str) -> None:
    with planted(database, statement):
        told = findings(database)
    assert told.keys() == {"rows.triggers"}
    assert " calls planted." in told["rows.triggers"]


@pytest.mark.parametrize("statement", DOES)
def test_postgresqls_own_functions_that_do_more_than_compute_are_found(
    database: Database, statement: str
) -> None:
    run(database, statement)
    told = findings(database, "rows.triggers", "rows.functions", "rows.views")
    assert told.keys() == {"rows.triggers"}
    assert " calls pg_catalog." in told["rows.triggers"]


@pytest.mark.parametrize("statement", COMPUTED_OF_ROOMS)
def test_a_function_that_a_write_of_a_passage_calls_is_found(
    database: Database, statement: str
) -> None:
    with_pgvector(database)
    with planted(database, statement):
        told = findings(database)
    assert told.keys() == {"rows.triggers"}
    assert "tenantry_vectors.passage_TENANT: " in told["rows.triggers"]


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE INDEX more ON tenantry.document (lower(state)) WHERE length(state) > 3",
        "ALTER TABLE tenantry.answer ADD CONSTRAINT more CHECK (length(tenant_id) < 100)",
        "ALTER TABLE tenantry.answer ADD COLUMN more timestamptz DEFAULT clock_timestamp()",
    ],
)
def test_what_calls_postgresqls_own_functions_alone_is_no_hole(
    database: Database, statement: str
) -> None:
    run(database, statement)
    assert findings(database) == {}
