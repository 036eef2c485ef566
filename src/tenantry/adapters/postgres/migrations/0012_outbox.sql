-- The outbox: what the outside shall hear of. A notice is written in the transaction that causes it,
-- so neither can be without the other; the worker delivers it from here (0013 and later).

CREATE TABLE tenantry.notice (
  tenant_id  text COLLATE "C" NOT NULL,  -- '' : of no tenant, the platform's own
  notice_id  uuid        NOT NULL DEFAULT gen_random_uuid(),
  kind       text COLLATE "C" NOT NULL CHECK (kind ~ '^[a-z_]+\.[a-z_]+$'),
  once_key   text COLLATE "C" NOT NULL,  -- a second notice of its tenant, kind and key is none
  body       jsonb       NOT NULL CHECK (jsonb_typeof(body) = 'object'),
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (tenant_id, notice_id),
  UNIQUE (tenant_id, kind, once_key)
);
COMMENT ON TABLE tenantry.notice IS
  'Alerts, budget thresholds, invoices and jobs that the outside shall hear of, each once.';

ALTER TABLE tenantry.notice ENABLE ROW LEVEL SECURITY;
ALTER TABLE tenantry.notice FORCE ROW LEVEL SECURITY;
CREATE POLICY writing ON tenantry.notice TO tenantry_control USING (true) WITH CHECK (true);
CREATE POLICY reading ON tenantry.notice FOR SELECT TO tenantry_operator USING (true);
GRANT SELECT, INSERT ON tenantry.notice TO tenantry_control;
GRANT SELECT ON tenantry.notice TO tenantry_operator;
