-- Who may connect to this database, and that nobody may put anything in it but its owner.
-- Idempotent; run by the database's owner or a superuser.

DO $$
BEGIN
  EXECUTE format('REVOKE ALL ON DATABASE %I FROM PUBLIC', current_database());
  EXECUTE format(
    'GRANT CONNECT ON DATABASE %I TO tenantry_migrator, tenantry_app, tenantry_control, '
    'tenantry_operator', current_database());
  EXECUTE format('GRANT CREATE ON DATABASE %I TO tenantry_owner', current_database());
END $$;

REVOKE ALL ON SCHEMA public FROM PUBLIC;
