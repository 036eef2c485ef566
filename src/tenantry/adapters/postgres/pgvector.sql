-- The schema of the vector engine `pgvector`: one table, a list partition a tenant, forced row security.
-- Idempotent. Run as a superuser, or where the extension is there already as a role with CREATEROLE that
-- owns the database; `tenantry.vectors_verifier` holds the SCRAM verifier of the role that logs in.

DO $$
DECLARE
  verifier constant text := current_setting('tenantry.vectors_verifier');
  superuser constant boolean := (SELECT rolsuper FROM pg_roles WHERE rolname = current_user);
  role_name text;
BEGIN
  -- Two starts may come here at once: roles belong to the server, so one lock for all databases.
  PERFORM pg_advisory_xact_lock(hashtext('tenantry.roles'));
  FOREACH role_name IN ARRAY ARRAY['tenantry_vectors_owner', 'tenantry_vectors'] LOOP
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = role_name) THEN
      EXECUTE format('CREATE ROLE %I NOLOGIN', role_name);
    END IF;
  END LOOP;
  EXECUTE format('ALTER ROLE tenantry_vectors LOGIN PASSWORD %L', verifier);
  IF EXISTS (
    SELECT FROM pg_roles
    WHERE rolname IN ('tenantry_vectors_owner', 'tenantry_vectors') AND (rolsuper OR rolbypassrls)
  ) THEN
    RAISE EXCEPTION 'a tenantry role is a superuser or bypasses row-level security';
  END IF;
  IF NOT superuser THEN
    GRANT tenantry_vectors_owner TO CURRENT_USER WITH INHERIT FALSE, SET TRUE;
  END IF;
  EXECUTE format('GRANT CONNECT ON DATABASE %I TO tenantry_vectors', current_database());
  EXECUTE 'CREATE SCHEMA IF NOT EXISTS tenantry_vectors AUTHORIZATION tenantry_vectors_owner';
END $$;

-- Where somebody installed it before us, its own schema is used.
CREATE EXTENSION IF NOT EXISTS vector WITH SCHEMA tenantry_vectors;

DO $$
DECLARE
  home constant text := (
    SELECT n.nspname FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
    WHERE e.extname = 'vector');
BEGIN
  IF home <> 'tenantry_vectors' AND NOT has_schema_privilege('tenantry_vectors', home, 'USAGE') THEN
    EXECUTE format('GRANT USAGE ON SCHEMA %I TO tenantry_vectors, tenantry_vectors_owner', home);
  END IF;
  EXECUTE format('ALTER ROLE tenantry_vectors IN DATABASE %I SET search_path = tenantry_vectors, %I, pg_temp',
    current_database(), home);
  EXECUTE format('SET LOCAL search_path = tenantry_vectors, %I, pg_temp', home);
END $$;

SET LOCAL ROLE tenantry_vectors_owner;
REVOKE ALL ON SCHEMA tenantry_vectors FROM PUBLIC;
GRANT USAGE ON SCHEMA tenantry_vectors TO tenantry_vectors;
ALTER DEFAULT PRIVILEGES FOR ROLE tenantry_vectors_owner REVOKE ALL ON FUNCTIONS FROM PUBLIC;

DO $$
BEGIN
  IF to_regclass('tenantry_vectors.passage') IS NOT NULL THEN
    RETURN;  -- each of these would lock every tenant out for a moment
  END IF;
  -- Vectors of 16 bits, as in sealed partitions, and inline, so that a scan does not fetch each from
  -- elsewhere; ciphertext does not compress.
  CREATE TABLE tenantry_vectors.passage (
    tenant_id  text COLLATE "C" NOT NULL,
    segment_id text COLLATE "C" NOT NULL,
    row_number int              NOT NULL CHECK (row_number >= 0),
    dimensions int              NOT NULL CHECK (dimensions > 0),
    embedding  halfvec STORAGE MAIN   NOT NULL,
    sealed     bytea STORAGE EXTERNAL NOT NULL,
    PRIMARY KEY (tenant_id, segment_id, row_number),
    CHECK (vector_dims(embedding) = dimensions)
  ) PARTITION BY LIST (tenant_id);
  COMMENT ON TABLE tenantry_vectors.passage IS
    'Passages of documents: vectors in clear, all else sealed. The manifest says which are live.';
  ALTER TABLE tenantry_vectors.passage ENABLE ROW LEVEL SECURITY;
  ALTER TABLE tenantry_vectors.passage FORCE ROW LEVEL SECURITY;
  CREATE POLICY own_tenant ON tenantry_vectors.passage TO tenantry_vectors
    USING (tenant_id = current_setting('tenantry.tenant', true))
    WITH CHECK (tenant_id = current_setting('tenantry.tenant', true));
  GRANT SELECT, INSERT, UPDATE, DELETE ON tenantry_vectors.passage TO tenantry_vectors;
END $$;

-- The tenant of the unit of work, where it can name a partition and nothing else.
CREATE OR REPLACE FUNCTION tenantry_vectors.own_partition() RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  tenant constant text := current_setting('tenantry.tenant', true);
BEGIN
  IF tenant IS NULL OR tenant !~ '^[a-z0-9][a-z0-9_]{0,47}$' THEN
    RAISE EXCEPTION 'no tenant, or one whose id cannot name a partition';
  END IF;
  RETURN 'passage_' || tenant;
END $$;

CREATE OR REPLACE FUNCTION tenantry_vectors.open_room(indexed_dimensions int) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  partition_name constant text := tenantry_vectors.own_partition();
  tenant constant text := current_setting('tenantry.tenant', true);
  home text;
BEGIN
  PERFORM pg_advisory_xact_lock(hashtext('tenantry_vectors.' || partition_name));
  IF to_regclass(format('tenantry_vectors.%I', partition_name)) IS NULL THEN
    EXECUTE format('CREATE TABLE tenantry_vectors.%I (LIKE tenantry_vectors.passage INCLUDING ALL)',
      partition_name);
    -- Forced and without a policy or a grant: it is reached through its parent alone.
    EXECUTE format('ALTER TABLE tenantry_vectors.%I ENABLE ROW LEVEL SECURITY', partition_name);
    EXECUTE format('ALTER TABLE tenantry_vectors.%I FORCE ROW LEVEL SECURITY', partition_name);
    -- Attached, not made as a partition: that would lock every other tenant out.
    EXECUTE format('ALTER TABLE tenantry_vectors.passage ATTACH PARTITION tenantry_vectors.%I FOR VALUES IN (%L)',
      partition_name, tenant);
  END IF;
  IF indexed_dimensions BETWEEN 1 AND 4000 THEN
    SELECT n.nspname INTO home FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
    WHERE e.extname = 'vector';
    EXECUTE format('CREATE INDEX IF NOT EXISTS %I ON tenantry_vectors.%I USING hnsw '
      '((embedding::%I.halfvec(%s)) %I.halfvec_cosine_ops) WHERE dimensions = %s',
      partition_name || '_' || indexed_dimensions, partition_name, home, indexed_dimensions, home,
      indexed_dimensions);
  END IF;
END $$;
COMMENT ON FUNCTION tenantry_vectors.open_room(int) IS
  'Makes the partition of the tenant of the unit of work: its caller may make no table.';

CREATE OR REPLACE FUNCTION tenantry_vectors.empty_room() RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  partition_name constant text := tenantry_vectors.own_partition();
BEGIN
  IF to_regclass(format('tenantry_vectors.%I', partition_name)) IS NOT NULL THEN
    EXECUTE format('TRUNCATE tenantry_vectors.%I', partition_name);
  END IF;
END $$;
COMMENT ON FUNCTION tenantry_vectors.empty_room() IS
  'Takes the files of one tenant''s partition away, and locks no other tenant''s.';

CREATE OR REPLACE FUNCTION tenantry_vectors.close_room() RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  partition_name constant text := tenantry_vectors.own_partition();
BEGIN
  -- Dropping a partition waits for every tenant's readers, and makes later ones wait behind it.
  PERFORM set_config('lock_timeout', '100ms', true);
  EXECUTE format('DROP TABLE IF EXISTS tenantry_vectors.%I', partition_name);
  RETURN true;
EXCEPTION WHEN lock_not_available THEN
  RETURN false;
END $$;
COMMENT ON FUNCTION tenantry_vectors.close_room() IS
  'Drops the partition of the tenant of the unit of work. False: busy; ask again.';

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA tenantry_vectors FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tenantry_vectors.open_room(int), tenantry_vectors.empty_room(),
  tenantry_vectors.close_room() TO tenantry_vectors;
