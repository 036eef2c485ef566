-- Knowledge: which documents and sealed segments of a tenant are live. Nothing here is content:
-- ids, states, sizes, counts, times, and a digest keyed by a subkey of the tenant key.

CREATE TABLE tenantry.knowledge_partition (
  tenant_id      text COLLATE "C" PRIMARY KEY REFERENCES tenantry.tenant (tenant_id),
  generation     bigint NOT NULL DEFAULT 0 CHECK (generation >= 0),
  model          text   NOT NULL DEFAULT '',
  dimensions     int    NOT NULL DEFAULT 0 CHECK (dimensions >= 0),
  documents      bigint NOT NULL DEFAULT 0 CHECK (documents >= 0),
  original_bytes bigint NOT NULL DEFAULT 0 CHECK (original_bytes >= 0)
);
COMMENT ON TABLE tenantry.knowledge_partition IS
  'One row a tenant: locked by every writer, and its generation grows with each change of what is live.';

CREATE TABLE tenantry.segment (
  tenant_id  text COLLATE "C" NOT NULL REFERENCES tenantry.knowledge_partition (tenant_id),
  segment_id text COLLATE "C" NOT NULL,
  generation bigint      NOT NULL CHECK (generation > 0),
  dimensions int         NOT NULL CHECK (dimensions > 0),
  row_count  int         NOT NULL CHECK (row_count > 0),
  size_bytes bigint      NOT NULL CHECK (size_bytes > 0),
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (tenant_id, segment_id)
);
COMMENT ON TABLE tenantry.segment IS
  'Live sealed segments. The generation is bound into every frame of the object of the same name.';

CREATE TABLE tenantry.document (
  tenant_id      text COLLATE "C" NOT NULL REFERENCES tenantry.knowledge_partition (tenant_id),
  document_id    text COLLATE "C" NOT NULL,
  state          text        NOT NULL CHECK (state IN ('indexing', 'ready', 'failed')),
  content_hmac   bytea       NOT NULL CHECK (octet_length(content_hmac) = 32),
  original_id    text        NOT NULL,
  original_bytes bigint      NOT NULL CHECK (original_bytes >= 0),
  api_key_id     text COLLATE "C" NOT NULL,
  passages       int         NOT NULL DEFAULT 0 CHECK (passages >= 0),
  segment_id     text COLLATE "C",
  failure        text,
  claimed_until  timestamptz,
  created_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
  updated_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (tenant_id, document_id),
  UNIQUE (tenant_id, content_hmac),
  FOREIGN KEY (tenant_id, segment_id) REFERENCES tenantry.segment (tenant_id, segment_id),
  CHECK ((state = 'ready') = (segment_id IS NOT NULL)),
  CHECK ((state = 'indexing') = (claimed_until IS NOT NULL)),
  CHECK ((state = 'failed') = (failure IS NOT NULL))
);
COMMENT ON TABLE tenantry.document IS
  'A row of a segment counts only while its document names that segment here.';
COMMENT ON COLUMN tenantry.document.api_key_id IS
  'Whose upload it was: embedding is metered to it, whichever process finishes the document.';
CREATE INDEX document_segment ON tenantry.document (tenant_id, segment_id);
CREATE INDEX document_unfinished ON tenantry.document (tenant_id, document_id)
  WHERE state = 'indexing';

-- The tenant's own data plane, and nobody's accounting.
DO $$
DECLARE
  table_name text;
BEGIN
  FOREACH table_name IN ARRAY ARRAY['knowledge_partition', 'segment', 'document'] LOOP
    EXECUTE format('ALTER TABLE tenantry.%I ENABLE ROW LEVEL SECURITY', table_name);
    EXECUTE format('ALTER TABLE tenantry.%I FORCE ROW LEVEL SECURITY', table_name);
    EXECUTE format('CREATE POLICY own_tenant ON tenantry.%I TO tenantry_app '
      'USING (tenant_id = current_setting(''tenantry.tenant'', true)) '
      'WITH CHECK (tenant_id = current_setting(''tenantry.tenant'', true))', table_name);
  END LOOP;
END $$;

GRANT SELECT, INSERT, UPDATE ON tenantry.knowledge_partition TO tenantry_app;
GRANT SELECT, INSERT, DELETE ON tenantry.segment TO tenantry_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON tenantry.document TO tenantry_app;

-- The control plane may see whose documents are unfinished, so that it can have them finished.
CREATE POLICY unfinished ON tenantry.document FOR SELECT TO tenantry_control
  USING (state = 'indexing');
GRANT SELECT (tenant_id, state, claimed_until) ON tenantry.document TO tenantry_control;
