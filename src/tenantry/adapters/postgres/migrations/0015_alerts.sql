-- What the operator shall hear of: alerts, each once; when usage that was announced is not told; and
-- the hours of the ledger as the detector of unusual usage reads them, with how far it has come.
-- Neither the data plane nor the gate reaches any of it.

-- The unique key is why an alert is raised once over any number of workers, restarts and rounds: it
-- names what the alert is about, and the notice is written in the same transaction.
CREATE TABLE tenantry.alert (
  tenant_id       text COLLATE "C" NOT NULL REFERENCES tenantry.tenant,
  alert_id        text COLLATE "C" NOT NULL CHECK (alert_id ~ '^alr_[0-9a-z]{26}$'),
  kind            text COLLATE "C" NOT NULL CHECK (kind ~ '^[a-z_]+\.[a-z_]+$'),
  subject         text COLLATE "C" NOT NULL,  -- whose: tenant, or as in budget_use
  once_key        text COLLATE "C" NOT NULL,
  severity        text        NOT NULL CHECK (severity IN ('info', 'warning', 'critical')),
  starts_at       timestamptz,  -- of what it is about, [starts_at, ends_at); NULL: without an end
  ends_at         timestamptz,
  observed        numeric     NOT NULL,
  expected        numeric     NOT NULL,
  unit            text        NOT NULL,  -- of the two figures
  excess_tokens   bigint,
  excess_charge   numeric,
  currency        text        NOT NULL,
  detail          jsonb       NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(detail) = 'object'),
  raised_at       timestamptz NOT NULL DEFAULT clock_timestamp(),
  acknowledged_at timestamptz,
  PRIMARY KEY (tenant_id, alert_id),
  UNIQUE (tenant_id, kind, subject, once_key)
);
CREATE INDEX alert_newest ON tenantry.alert (alert_id DESC);  -- ids sort by time
COMMENT ON TABLE tenantry.alert IS 'Budget thresholds, forecasts and unusual usage, each once.';

CREATE TABLE tenantry.alert_mute (
  tenant_id text COLLATE "C" NOT NULL REFERENCES tenantry.tenant,
  mute_id   text COLLATE "C" NOT NULL CHECK (mute_id ~ '^mut_[0-9a-z]{26}$'),
  starts_at timestamptz NOT NULL,
  ends_at   timestamptz NOT NULL CHECK (ends_at > starts_at),
  reason    text        NOT NULL CHECK (reason <> ''),
  muted_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (tenant_id, mute_id)
);
COMMENT ON TABLE tenantry.alert_mute IS 'Announced use of a tenant, in which usage is not told.';

-- Sums of the ledger by hour of admission, made anew while settlements may still come. They can be
-- dropped and are read again; nothing is charged by them.
CREATE TABLE tenantry.watched_hour (
  tenant_id         text COLLATE "C" NOT NULL REFERENCES tenantry.tenant,
  hour              timestamptz NOT NULL CHECK (hour = date_trunc('hour', hour, 'UTC')),
  requests          bigint  NOT NULL,
  tokens            bigint  NOT NULL,
  input_tokens      bigint  NOT NULL,
  cache_read_tokens bigint  NOT NULL,
  throttled         bigint  NOT NULL,
  charge            numeric NOT NULL,
  cost              numeric NOT NULL,
  PRIMARY KEY (tenant_id, hour)
);
COMMENT ON TABLE tenantry.watched_hour IS 'What a tenant used in an hour, as the detector reads it.';

CREATE TABLE tenantry.usage_watch (
  tenant_id      text COLLATE "C" PRIMARY KEY REFERENCES tenantry.tenant,
  summed_through timestamptz,  -- hours before it are in watched_hour
  judged_through timestamptz   -- and before it have been judged
);
COMMENT ON TABLE tenantry.usage_watch IS 'How far each tenant''s hours have been judged.';

GRANT SELECT ON tenantry.alert, tenantry.alert_mute, tenantry.watched_hour, tenantry.usage_watch
  TO tenantry_control, tenantry_operator;
GRANT INSERT ON tenantry.alert TO tenantry_control;
GRANT UPDATE (acknowledged_at) ON tenantry.alert TO tenantry_control;
GRANT INSERT, DELETE ON tenantry.alert_mute TO tenantry_control;
GRANT INSERT, UPDATE, DELETE ON tenantry.watched_hour TO tenantry_control;
GRANT INSERT, UPDATE ON tenantry.usage_watch TO tenantry_control;

DO $$
DECLARE
  table_name text;
BEGIN
  FOREACH table_name IN ARRAY ARRAY['alert', 'alert_mute', 'watched_hour', 'usage_watch'] LOOP
    EXECUTE format('ALTER TABLE tenantry.%I ENABLE ROW LEVEL SECURITY', table_name);
    EXECUTE format('ALTER TABLE tenantry.%I FORCE ROW LEVEL SECURITY', table_name);
    EXECUTE format('CREATE POLICY watching ON tenantry.%I TO tenantry_control '
      'USING (true) WITH CHECK (true)', table_name);
    EXECUTE format('CREATE POLICY reading ON tenantry.%I FOR SELECT TO tenantry_operator '
      'USING (true)', table_name);
  END LOOP;
END $$;
