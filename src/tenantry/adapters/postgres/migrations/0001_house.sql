-- The house: one schema, nothing open to everyone, and the record of what was applied.
-- Run as tenantry_owner. Later migrations grant each role what it needs, object by object.

CREATE SCHEMA tenantry AUTHORIZATION tenantry_owner;
COMMENT ON SCHEMA tenantry IS 'Everything that Tenantry keeps; owned by tenantry_owner.';

REVOKE ALL ON SCHEMA tenantry FROM PUBLIC;
GRANT USAGE ON SCHEMA tenantry
  TO tenantry_app, tenantry_gate, tenantry_control, tenantry_operator;

-- PostgreSQL lets everyone execute a new function and use a new type; here nobody may unasked.
ALTER DEFAULT PRIVILEGES FOR ROLE tenantry_owner REVOKE ALL ON FUNCTIONS FROM PUBLIC;
ALTER DEFAULT PRIVILEGES FOR ROLE tenantry_owner REVOKE ALL ON TYPES FROM PUBLIC;
SET LOCAL ROLE tenantry_gate;
ALTER DEFAULT PRIVILEGES FOR ROLE tenantry_gate REVOKE ALL ON FUNCTIONS FROM PUBLIC;
SET LOCAL ROLE tenantry_owner;

CREATE TABLE tenantry.schema_migrations (
  number     integer     PRIMARY KEY CHECK (number > 0),
  name       text        NOT NULL,
  sha256     text        NOT NULL CHECK (sha256 ~ '^[0-9a-f]{64}$'),
  applied_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE tenantry.schema_migrations IS
  'Which migration files made this schema; every process compares them with its own at start.';

GRANT SELECT ON tenantry.schema_migrations
  TO tenantry_app, tenantry_control, tenantry_operator;
