-- Ingestion as a pipeline: how far each document is, versions that replace one, batches that were
-- embedded already, and reindexes that build a second index beside the one that is searched.

ALTER TABLE tenantry.document
  ADD COLUMN replaces        text COLLATE "C",
  ADD COLUMN request_id      uuid,
  ADD COLUMN passages_total  int NOT NULL DEFAULT 0 CHECK (passages_total >= 0),
  ADD COLUMN passages_done   int NOT NULL DEFAULT 0 CHECK (passages_done >= 0),
  ADD COLUMN next_segment_id text COLLATE "C",
  ADD COLUMN next_passages   int NOT NULL DEFAULT 0 CHECK (next_passages >= 0),
  ADD FOREIGN KEY (tenant_id, replaces)
    REFERENCES tenantry.document (tenant_id, document_id) ON DELETE CASCADE,
  ADD FOREIGN KEY (tenant_id, next_segment_id)
    REFERENCES tenantry.segment (tenant_id, segment_id),
  ADD CHECK (replaces IS NULL OR state <> 'ready'),
  ADD CHECK (next_segment_id IS NULL OR state = 'ready');
COMMENT ON COLUMN tenantry.document.replaces IS
  'A version on its way: it takes the place of this document in the commit that publishes it.';
COMMENT ON COLUMN tenantry.document.request_id IS
  'The request that counts for the day: whoever finishes the document counts it once.';
COMMENT ON COLUMN tenantry.document.next_segment_id IS
  'Where its passages are in the index that a reindex builds; searched only after the switch.';
CREATE UNIQUE INDEX document_replacement ON tenantry.document (tenant_id, replaces)
  WHERE replaces IS NOT NULL;
CREATE INDEX document_next_segment ON tenantry.document (tenant_id, next_segment_id)
  WHERE next_segment_id IS NOT NULL;

CREATE TABLE tenantry.embedded_batch (
  tenant_id    text COLLATE "C" NOT NULL REFERENCES tenantry.knowledge_partition (tenant_id),
  content_hmac bytea       NOT NULL CHECK (octet_length(content_hmac) = 32),
  model        text        NOT NULL,
  dimensions   int         NOT NULL CHECK (dimensions > 0),
  first        int         NOT NULL CHECK (first >= 0),
  passages     int         NOT NULL CHECK (passages > 0),
  object_id    text        NOT NULL,
  created_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (tenant_id, content_hmac, model, dimensions, first)
);
COMMENT ON TABLE tenantry.embedded_batch IS
  'Vectors that are paid for and not published yet: a sealed object each, until their document is.';

CREATE TABLE tenantry.reindex (
  tenant_id          text COLLATE "C" NOT NULL REFERENCES tenantry.knowledge_partition (tenant_id),
  reindex_id         text COLLATE "C" NOT NULL,
  state              text        NOT NULL
    CHECK (state IN ('running', 'paused', 'done', 'cancelled')),
  model              text        NOT NULL,
  dimensions         int         NOT NULL CHECK (dimensions > 0),
  pin                text        NOT NULL,
  api_key_id         text COLLATE "C" NOT NULL,
  request_id         uuid        NOT NULL,
  failure            text,
  failed_document_id text COLLATE "C",
  documents          bigint      NOT NULL DEFAULT 0 CHECK (documents >= 0),
  passages           bigint      NOT NULL DEFAULT 0 CHECK (passages >= 0),
  claimed_until      timestamptz,
  created_at         timestamptz NOT NULL DEFAULT clock_timestamp(),
  updated_at         timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (tenant_id, reindex_id),
  CHECK ((state = 'running') = (claimed_until IS NOT NULL)),
  CHECK ((state = 'paused') = (failure IS NOT NULL))
);
COMMENT ON TABLE tenantry.reindex IS
  'Reindexes and how each ended. Its API key pays; its request counts once for the day.';
COMMENT ON COLUMN tenantry.reindex.pin IS
  'What the partition will name as its model: that of the engine where the vectors are put.';
CREATE UNIQUE INDEX reindex_open ON tenantry.reindex (tenant_id)
  WHERE state IN ('running', 'paused');

-- The tenant's own data plane, and nobody's accounting.
DO $$
DECLARE
  table_name text;
BEGIN
  FOREACH table_name IN ARRAY ARRAY['embedded_batch', 'reindex'] LOOP
    EXECUTE format('ALTER TABLE tenantry.%I ENABLE ROW LEVEL SECURITY', table_name);
    EXECUTE format('ALTER TABLE tenantry.%I FORCE ROW LEVEL SECURITY', table_name);
    EXECUTE format('CREATE POLICY own_tenant ON tenantry.%I TO tenantry_app '
      'USING (tenant_id = current_setting(''tenantry.tenant'', true)) '
      'WITH CHECK (tenant_id = current_setting(''tenantry.tenant'', true))', table_name);
  END LOOP;
END $$;

GRANT SELECT, INSERT, DELETE ON tenantry.embedded_batch TO tenantry_app;
GRANT SELECT, INSERT, UPDATE ON tenantry.reindex TO tenantry_app;

-- The control plane may see whose reindexes nobody works on, so that it can have them continued.
CREATE POLICY unfinished ON tenantry.reindex FOR SELECT TO tenantry_control
  USING (state = 'running');
GRANT SELECT (tenant_id, state, claimed_until) ON tenantry.reindex TO tenantry_control;
