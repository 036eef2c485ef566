-- Batch jobs: facts of each alone. What was asked and answered lies in the placement's bucket.

CREATE TABLE tenantry.batch_job (
  tenant_id  text COLLATE "C" NOT NULL REFERENCES tenantry.tenant,
  request_id uuid        NOT NULL,
  state      text        NOT NULL
    CHECK (state IN ('planned', 'submitting', 'running', 'settled', 'refused')),
  definition jsonb       NOT NULL,  -- account, region, model, URIs: what a worker asks Bedrock with
  job_arn    text,
  message    text        NOT NULL DEFAULT '',
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  changed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (tenant_id, request_id),
  CHECK (state <> 'running' OR job_arn IS NOT NULL)
);
COMMENT ON TABLE tenantry.batch_job IS 'Batch inference jobs and how far each is.';
CREATE INDEX batch_job_open ON tenantry.batch_job (created_at)
  WHERE state IN ('planned', 'submitting', 'running');

ALTER TABLE tenantry.batch_job ENABLE ROW LEVEL SECURITY;
ALTER TABLE tenantry.batch_job FORCE ROW LEVEL SECURITY;
CREATE POLICY own_tenant ON tenantry.batch_job TO tenantry_app
  USING (tenant_id = current_setting('tenantry.tenant', true))
  WITH CHECK (tenant_id = current_setting('tenantry.tenant', true));
CREATE POLICY working ON tenantry.batch_job TO tenantry_control USING (true) WITH CHECK (true);
CREATE POLICY reading ON tenantry.batch_job FOR SELECT TO tenantry_operator USING (true);
GRANT SELECT, INSERT ON tenantry.batch_job TO tenantry_app;
GRANT UPDATE (state, job_arn, message, changed_at) ON tenantry.batch_job TO tenantry_app;
GRANT SELECT ON tenantry.batch_job TO tenantry_control, tenantry_operator;
GRANT UPDATE (state, job_arn, message, changed_at) ON tenantry.batch_job TO tenantry_control;
