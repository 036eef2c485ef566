-- In which vector engines passages of a tenant have ever been, and whether rows of it may be there
-- still. Vectors lie there in clear, so whoever says that they are gone must know where they were.

CREATE TABLE tenantry.vector_room (
  tenant_id text COLLATE "C" NOT NULL REFERENCES tenantry.tenant,
  engine    text COLLATE "C" NOT NULL CHECK (engine ~ '^[a-z]{1,16}$'),
  opened_at timestamptz NOT NULL DEFAULT clock_timestamp(),  -- before the first row was written
  used_at   timestamptz NOT NULL DEFAULT clock_timestamp(),  -- before a document was last written
  ended_at  timestamptz,
  ending    text CHECK (ending IN ('emptied', 'declared gone')),
  PRIMARY KEY (tenant_id, engine),
  CHECK ((ended_at IS NULL) = (ending IS NULL))
);
COMMENT ON TABLE tenantry.vector_room IS
  'Vector engines that hold, or ever held, passages of a tenant. Stays when its content goes.';
ALTER TABLE tenantry.vector_room ENABLE ROW LEVEL SECURITY;
ALTER TABLE tenantry.vector_room FORCE ROW LEVEL SECURITY;
CREATE POLICY own_tenant ON tenantry.vector_room TO tenantry_app
  USING (tenant_id = current_setting('tenantry.tenant', true))
  WITH CHECK (tenant_id = current_setting('tenantry.tenant', true));
CREATE POLICY working ON tenantry.vector_room TO tenantry_control USING (true) WITH CHECK (true);
GRANT SELECT, INSERT ON tenantry.vector_room TO tenantry_app;
GRANT UPDATE (used_at, ended_at, ending) ON tenantry.vector_room TO tenantry_app;
GRANT SELECT, UPDATE (ended_at, ending) ON tenantry.vector_room TO tenantry_control;

-- What documents and reindexes say of it.
DO $$
DECLARE
  table_name text;
BEGIN
  FOREACH table_name IN ARRAY ARRAY['vector_room', 'knowledge_partition', 'segment', 'reindex'] LOOP
    EXECUTE format('ALTER TABLE tenantry.%I NO FORCE ROW LEVEL SECURITY', table_name);
  END LOOP;
  INSERT INTO tenantry.vector_room (tenant_id, engine)
  SELECT tenant_id, split_part(model, '/', 1) FROM tenantry.knowledge_partition
  WHERE model ~ '^[a-z]+/'
  UNION
  SELECT tenant_id, split_part(segment_id, '_', 1) FROM tenantry.segment
  WHERE segment_id !~ '^seg_'
  UNION
  SELECT tenant_id, split_part(pin, '/', 1) FROM tenantry.reindex WHERE pin ~ '^[a-z]+/';
  FOREACH table_name IN ARRAY ARRAY['vector_room', 'knowledge_partition', 'segment', 'reindex'] LOOP
    EXECUTE format('ALTER TABLE tenantry.%I FORCE ROW LEVEL SECURITY', table_name);
  END LOOP;
END $$;

CREATE TRIGGER refuse_shredded BEFORE INSERT ON tenantry.vector_room FOR EACH ROW
  EXECUTE FUNCTION tenantry.refuse_shredded();

-- Counts, or deletes, every row of content of the unit of work's tenant, by table. Content is what
-- the data plane writes by itself: whatever has a tenant_id and lets tenantry_app insert, but for
-- batch jobs, whose rows are facts of accounting, and rooms, which a certificate names. Rows that
-- others point to go after those.
CREATE OR REPLACE FUNCTION tenantry.own_content(p_erase boolean)
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
        AND c.relname NOT IN ('batch_job', 'vector_room')
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
