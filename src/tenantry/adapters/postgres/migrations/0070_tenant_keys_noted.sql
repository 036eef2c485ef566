-- Which tenant keys were ever used, so that a key that is not there is never taken for one that was
-- not made yet: a new one in its place would open nothing, and know no user and no upload again.
CREATE TABLE tenantry.tenant_key (
  tenant_id   text COLLATE "C" NOT NULL REFERENCES tenantry.tenant,
  version     integer     NOT NULL CHECK (version > 0),
  fingerprint bytea CHECK (octet_length(fingerprint) = 32),  -- NULL: used before it was noted
  noted_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (tenant_id, version)
);
COMMENT ON TABLE tenantry.tenant_key IS
  'Fingerprints of tenant keys, each noted before its key was first used; never a key.';
ALTER TABLE tenantry.tenant_key ENABLE ROW LEVEL SECURITY;
ALTER TABLE tenantry.tenant_key FORCE ROW LEVEL SECURITY;
CREATE POLICY own_tenant ON tenantry.tenant_key FOR SELECT TO tenantry_app
  USING (tenant_id = current_setting('tenantry.tenant', true));
CREATE POLICY accounting ON tenantry.tenant_key TO tenantry_gate USING (true) WITH CHECK (true);
CREATE POLICY working ON tenantry.tenant_key TO tenantry_control USING (true) WITH CHECK (true);
GRANT SELECT ON tenantry.tenant_key TO tenantry_app;
GRANT SELECT, INSERT, UPDATE (fingerprint, noted_at) ON tenantry.tenant_key TO tenantry_gate;
GRANT SELECT, DELETE ON tenantry.tenant_key TO tenantry_control;

-- Of before: a tenant that has anything sealed, or a digest, under a key has the key of that. Books
-- are looked through by who sees them all, which holds nobody up; of content one row is looked for.
SET LOCAL ROLE tenantry_gate;
INSERT INTO tenantry.tenant_key (tenant_id, version)
SELECT t.tenant_id, 1 FROM tenantry.tenant t WHERE t.status <> 'shredded' AND (
  EXISTS (SELECT FROM tenantry.budget b
          WHERE b.tenant_id = t.tenant_id AND b.subject LIKE 'user:%')
  OR EXISTS (SELECT FROM tenantry.charge_hour_detail c
             WHERE c.tenant_id = t.tenant_id AND c.user_hash <> ''));
SET LOCAL ROLE tenantry_owner;
DO $$
DECLARE
  content constant text[] := ARRAY['document', 'answer', 'session', 'idempotency', 'erased_user'];
  table_name text;
BEGIN
  FOREACH table_name IN ARRAY content || ARRAY['tenant', 'tenant_key'] LOOP
    EXECUTE format('ALTER TABLE tenantry.%I NO FORCE ROW LEVEL SECURITY', table_name);
  END LOOP;
  FOREACH table_name IN ARRAY content LOOP
    EXECUTE format('INSERT INTO tenantry.tenant_key (tenant_id, version)'
      ' SELECT t.tenant_id, 1 FROM tenantry.tenant t WHERE t.status <> ''shredded'''
      ' AND EXISTS (SELECT FROM tenantry.%I x WHERE x.tenant_id = t.tenant_id)'
      ' ON CONFLICT DO NOTHING', table_name);
  END LOOP;
  FOREACH table_name IN ARRAY content || ARRAY['tenant', 'tenant_key'] LOOP
    EXECUTE format('ALTER TABLE tenantry.%I FORCE ROW LEVEL SECURITY', table_name);
  END LOOP;
END $$;

-- Notes a key of the unit of work's tenant where none is noted under its version. Returns the
-- fingerprint that stands from then on; NULL where there is no such tenant, or a shredded one.
GRANT CREATE ON SCHEMA tenantry TO tenantry_gate;
SET LOCAL ROLE tenantry_gate;
CREATE FUNCTION tenantry.note_own_key(p_version integer, p_fingerprint bytea) RETURNS bytea
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, tenantry, pg_temp AS $$
DECLARE
  own constant text := current_setting('tenantry.tenant', true);
  noted bytea;
BEGIN
  SELECT k.fingerprint INTO noted FROM tenant_key k
  WHERE k.tenant_id = own AND k.version = p_version;
  IF noted IS NULL THEN
    INSERT INTO tenant_key AS k (tenant_id, version, fingerprint)
    SELECT t.tenant_id, p_version, p_fingerprint FROM tenant t
    WHERE t.tenant_id = own AND t.status <> 'shredded'
    ON CONFLICT (tenant_id, version) DO UPDATE
      SET fingerprint = excluded.fingerprint, noted_at = excluded.noted_at
      WHERE k.fingerprint IS NULL;
    SELECT k.fingerprint INTO noted FROM tenant_key k
    WHERE k.tenant_id = own AND k.version = p_version;
  END IF;
  RETURN noted;
END $$;
COMMENT ON FUNCTION tenantry.note_own_key IS
  'Writes a fingerprint, to which app has no grant; of the tenant of the unit of work, and once.';
GRANT EXECUTE ON FUNCTION tenantry.note_own_key TO tenantry_app;
SET LOCAL ROLE tenantry_owner;
REVOKE CREATE ON SCHEMA tenantry FROM tenantry_gate;
