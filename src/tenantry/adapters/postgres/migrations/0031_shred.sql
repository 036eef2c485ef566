-- Shredding a tenant for good: its last status, how far it is, who may hold keys in memory. And
-- end users who were erased.

ALTER TABLE tenantry.tenant DROP CONSTRAINT tenant_status_check;
ALTER TABLE tenantry.tenant ADD CONSTRAINT tenant_status_check
  CHECK (status IN ('active', 'suspended', 'shredded'));

-- How far the shred of a tenant is; each step is done before its instant is written here.
CREATE TABLE tenantry.shred (
  tenant_id         text COLLATE "C" PRIMARY KEY REFERENCES tenantry.tenant,
  asked_by          text        NOT NULL,
  asked_at          timestamptz NOT NULL DEFAULT clock_timestamp(),
  keys_destroyed_at timestamptz,  -- no process that began later has ever had the key
  kms_key           text,         -- the tenant's own root key; NULL: it had none
  kms_deletion_at   timestamptz,
  processes_at      timestamptz,  -- every process that may have had the key has ended
  found             jsonb,        -- how many of what there were, counted before any is erased
  erased_at         timestamptz,
  certificate       text,         -- the very bytes that are signed
  signature         bytea,
  CHECK (keys_destroyed_at IS NOT NULL OR processes_at IS NULL),
  CHECK (processes_at IS NOT NULL OR found IS NULL),
  CHECK (found IS NOT NULL OR erased_at IS NULL),
  CHECK (erased_at IS NOT NULL OR certificate IS NULL),
  CHECK ((certificate IS NULL) = (signature IS NULL))
);
COMMENT ON TABLE tenantry.shred IS 'Tenants that are shredded or being so, and how far each is.';
ALTER TABLE tenantry.shred ENABLE ROW LEVEL SECURITY;
ALTER TABLE tenantry.shred FORCE ROW LEVEL SECURITY;
CREATE POLICY working ON tenantry.shred TO tenantry_control USING (true) WITH CHECK (true);
CREATE POLICY reading ON tenantry.shred FOR SELECT TO tenantry_operator USING (true);
GRANT SELECT, INSERT ON tenantry.shred TO tenantry_control;
GRANT UPDATE (keys_destroyed_at, kms_key, kms_deletion_at, processes_at, found, erased_at,
              certificate, signature) ON tenantry.shred TO tenantry_control;
GRANT SELECT ON tenantry.shred TO tenantry_operator;

-- What is shredded stays so, whoever asks for what: no status, no API key, no content.
CREATE FUNCTION tenantry.keep_shredded() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RAISE EXCEPTION 'the tenant is shredded'
    USING ERRCODE = 'object_not_in_prerequisite_state';
END $$;
CREATE TRIGGER keep_shredded BEFORE UPDATE OF status ON tenantry.tenant FOR EACH ROW
  WHEN (OLD.status = 'shredded' AND NEW.status <> 'shredded')
  EXECUTE FUNCTION tenantry.keep_shredded();

CREATE FUNCTION tenantry.refuse_shredded() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF EXISTS (
    SELECT FROM tenantry.tenant WHERE tenant_id = NEW.tenant_id AND status = 'shredded'
  ) THEN
    RAISE EXCEPTION 'the tenant is shredded'
      USING ERRCODE = 'object_not_in_prerequisite_state';
  END IF;
  RETURN NEW;
END $$;
DO $$
DECLARE
  table_name text;
BEGIN
  FOREACH table_name IN ARRAY ARRAY[
    'api_key', 'knowledge_partition', 'segment', 'document', 'answer', 'batch_job', 'session',
    'reindex', 'embedded_batch'
  ] LOOP
    EXECUTE format('CREATE TRIGGER refuse_shredded BEFORE INSERT ON tenantry.%I FOR EACH ROW '
      'EXECUTE FUNCTION tenantry.refuse_shredded()', table_name);
  END LOOP;
END $$;
GRANT EXECUTE ON FUNCTION tenantry.keep_shredded, tenantry.refuse_shredded
  TO tenantry_app, tenantry_gate, tenantry_control;

-- Every process that may open tenant keys, so that it can be known which have had one. `host` names
-- a machine, its boot and its space of process ids; `born` with the pid one process of it.
CREATE TABLE tenantry.key_holder (
  holder_id uuid        PRIMARY KEY DEFAULT gen_random_uuid(),
  host      text        NOT NULL,
  host_name text        NOT NULL,
  pid       integer     NOT NULL,
  born      bigint      NOT NULL,
  kind      text        NOT NULL CHECK (kind IN ('gateway', 'background', 'command')),
  began_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
  seen_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
  ended_at  timestamptz,
  ending    text CHECK (ending IN ('ended', 'declared gone')),
  CHECK ((ended_at IS NULL) = (ending IS NULL))
);
COMMENT ON TABLE tenantry.key_holder IS
  'Processes that may hold tenant keys in memory, and when each was seen to have ended.';
CREATE INDEX key_holder_open ON tenantry.key_holder (host) WHERE ended_at IS NULL;
CREATE INDEX key_holder_began ON tenantry.key_holder (began_at);
GRANT SELECT, INSERT, DELETE ON tenantry.key_holder TO tenantry_control;
GRANT UPDATE (seen_at, ended_at, ending) ON tenantry.key_holder TO tenantry_control;
GRANT SELECT ON tenantry.key_holder TO tenantry_operator;

-- Content of a tenant goes with it. The rights are those of its own unit of work.
GRANT DELETE ON tenantry.knowledge_partition, tenantry.idempotency, tenantry.answer,
  tenantry.session, tenantry.reindex TO tenantry_app;

-- Counts, or deletes, every row of content of the unit of work's tenant, by table. Content is what
-- the data plane writes by itself: whatever has a tenant_id and lets tenantry_app insert, but for
-- batch jobs, whose rows are facts of accounting. Rows that others point to go after those.
CREATE FUNCTION tenantry.own_content(p_erase boolean)
RETURNS TABLE (content text, rows_found bigint)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  own constant text := current_setting('tenantry.tenant');
BEGIN
  FOR content IN
    WITH RECURSIVE written AS (
      SELECT c.oid, c.relname::text AS name FROM pg_class c
      JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'tenant_id'
      WHERE c.relnamespace = 'tenantry'::regnamespace AND c.relkind IN ('r', 'p')
        AND NOT c.relispartition AND has_any_column_privilege(c.oid, 'INSERT')
        AND c.relname <> 'batch_job'
    ), depth (oid, steps) AS (
      SELECT w.oid, 0 FROM written w
      UNION
      SELECT k.confrelid, d.steps + 1 FROM depth d
      JOIN pg_constraint k ON k.conrelid = d.oid AND k.contype = 'f' AND k.confrelid <> d.oid
      JOIN written w ON w.oid = k.confrelid
      WHERE d.steps < 16
    )
    SELECT w.name FROM written w JOIN depth d USING (oid)
    GROUP BY w.name ORDER BY max(d.steps), w.name
  LOOP
    IF p_erase THEN
      EXECUTE format('DELETE FROM tenantry.%I WHERE tenant_id = $1', content) USING own;
      GET DIAGNOSTICS rows_found = ROW_COUNT;
    ELSE
      EXECUTE format('SELECT count(*) FROM tenantry.%I WHERE tenant_id = $1', content)
        INTO rows_found USING own;
    END IF;
    RETURN NEXT;
  END LOOP;
END $$;
GRANT EXECUTE ON FUNCTION tenantry.own_content TO tenantry_app;

-- End users of a tenant who were erased, by the hash that the ledger knows them by. Whoever comes
-- back under the same name is hashed with the next generation, and is somebody else.
CREATE TABLE tenantry.erased_user (
  tenant_id  text COLLATE "C" NOT NULL REFERENCES tenantry.tenant,
  user_hash  text COLLATE "C" NOT NULL CHECK (user_hash ~ '^[0-9a-f]{32}$'),
  erased_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (tenant_id, user_hash)
);
COMMENT ON TABLE tenantry.erased_user IS 'Hashes of end users that no name leads to any more.';
ALTER TABLE tenantry.erased_user ENABLE ROW LEVEL SECURITY;
ALTER TABLE tenantry.erased_user FORCE ROW LEVEL SECURITY;
CREATE POLICY own_tenant ON tenantry.erased_user TO tenantry_app
  USING (tenant_id = current_setting('tenantry.tenant', true))
  WITH CHECK (tenant_id = current_setting('tenantry.tenant', true));
GRANT SELECT, INSERT, DELETE ON tenantry.erased_user TO tenantry_app;

-- Which request made an answer: the ledger knows whose that was, so that it can be given to them
-- and erased. NULL: kept before there was this column.
ALTER TABLE tenantry.answer ADD COLUMN request_id uuid;
