-- The roles of every Tenantry database (docs/reference/storage.md says who may do what).
-- Idempotent. Run by a role with CREATEROLE; `tenantry.verifiers` holds {role: SCRAM verifier},
-- so that no password is ever in a statement or a log.

DO $$
DECLARE
  verifiers constant jsonb := current_setting('tenantry.verifiers')::jsonb;
  role_name text;
BEGIN
  -- Two starts may come here at once. The lock is this database's alone: who makes the same roles
  -- from another one at the same moment begins again.
  PERFORM pg_advisory_xact_lock(hashtext('tenantry.roles'));

  FOREACH role_name IN ARRAY ARRAY['tenantry_owner', 'tenantry_gate'] LOOP
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = role_name) THEN
      EXECUTE format('CREATE ROLE %I NOLOGIN', role_name);
    END IF;
  END LOOP;

  FOR role_name IN SELECT jsonb_object_keys(verifiers) LOOP
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = role_name) THEN
      EXECUTE format('CREATE ROLE %I', role_name);
    END IF;
    EXECUTE format('ALTER ROLE %I LOGIN PASSWORD %L', role_name, verifiers ->> role_name);
    EXECUTE format('ALTER ROLE %I SET search_path = tenantry, pg_temp', role_name);
  END LOOP;

  -- Nobody passes row-level security, whatever was granted by hand before.
  IF EXISTS (
    SELECT FROM pg_roles
    WHERE rolname IN ('tenantry_owner', 'tenantry_gate', 'tenantry_migrator', 'tenantry_app',
                      'tenantry_control', 'tenantry_operator')
      AND (rolsuper OR rolbypassrls)
  ) THEN
    RAISE EXCEPTION 'a tenantry role is a superuser or bypasses row-level security';
  END IF;
END $$;

-- The migrator acts as the owner; the owner may hand functions to the gate but not act as it
-- unasked.
GRANT tenantry_owner TO tenantry_migrator WITH INHERIT FALSE, SET TRUE;
GRANT tenantry_gate TO tenantry_owner WITH INHERIT FALSE, SET TRUE;
