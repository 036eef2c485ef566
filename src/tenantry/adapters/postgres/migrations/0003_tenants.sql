-- Tenants, the API keys that speak for them, and the budgets of their scopes.

CREATE TABLE tenantry.tenant (
  tenant_id       text COLLATE "C" PRIMARY KEY CHECK (tenant_id ~ '^tnt_[0-9a-z]{26}$'),
  name            text        NOT NULL UNIQUE CHECK (name <> ''),
  status          text        NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'suspended')),
  plan            text        NOT NULL,  -- the version is always the one in force
  placement_id    text        REFERENCES tenantry.placement,  -- NULL: the pool
  zone            text        NOT NULL DEFAULT 'UTC',
  anchor_day      integer     NOT NULL DEFAULT 1 CHECK (anchor_day BETWEEN 1 AND 31),
  currency        text        NOT NULL DEFAULT 'USD' CHECK (currency ~ '^[A-Z]{3}$'),
  regions_allowed text[],
  created_at      timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE tenantry.tenant IS 'Who is served: status, plan, placement and calendar.';

-- A bearer is kept as HMAC-SHA-256 under the server's pepper, a SigV4 secret sealed: neither can
-- be read back from here, and the data plane reaches both through `authenticate` alone.
CREATE TABLE tenantry.api_key (
  tenant_id      text COLLATE "C" NOT NULL REFERENCES tenantry.tenant,
  api_key_id     text COLLATE "C" NOT NULL CHECK (api_key_id ~ '^key_[0-9a-z]{26}$'),
  name           text        NOT NULL DEFAULT '',
  hint           text        NOT NULL,
  bearer_hmac    bytea       NOT NULL UNIQUE CHECK (octet_length(bearer_hmac) = 32),
  access_key_id  text COLLATE "C" NOT NULL UNIQUE,
  secret_sealed  bytea       NOT NULL,
  scopes         text[]      NOT NULL,
  models_allowed text[],
  created_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
  expires_at     timestamptz,
  revoked_at     timestamptz,
  PRIMARY KEY (tenant_id, api_key_id)
);
COMMENT ON TABLE tenantry.api_key IS 'API keys: keyed hashes and sealed secrets, never a secret.';

-- `subject` says in one word whose spending counts: tenant, api_key:<id>, user:<hash>, run:<id>.
-- The plan's own monthly budget has the subject `plan` and its limit in the plan, not here.
CREATE TABLE tenantry.budget (
  tenant_id text COLLATE "C" NOT NULL REFERENCES tenantry.tenant,
  subject   text COLLATE "C" NOT NULL CHECK (subject ~ '^(tenant$|api_key:.|user:.|run:.)'),
  period    text        NOT NULL CHECK (period IN ('day', 'month', 'total')),
  basis     text        NOT NULL CHECK (basis IN ('charge', 'cost')),
  amount    numeric     NOT NULL CHECK (amount >= 0),
  hard      boolean     NOT NULL,
  set_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (tenant_id, subject, period, basis)
);
COMMENT ON TABLE tenantry.budget IS 'Caps of a tenant, API key, user or run; 0 blocks all.';

GRANT SELECT ON tenantry.tenant, tenantry.budget
  TO tenantry_app, tenantry_gate, tenantry_control, tenantry_operator;
GRANT SELECT ON tenantry.api_key TO tenantry_gate, tenantry_control;
GRANT INSERT, UPDATE ON tenantry.tenant, tenantry.api_key TO tenantry_control;
GRANT INSERT, UPDATE ON tenantry.budget TO tenantry_gate;

DO $$
DECLARE
  table_name text;
BEGIN
  FOREACH table_name IN ARRAY ARRAY['tenant', 'api_key', 'budget'] LOOP
    EXECUTE format('ALTER TABLE tenantry.%I ENABLE ROW LEVEL SECURITY', table_name);
    EXECUTE format('ALTER TABLE tenantry.%I FORCE ROW LEVEL SECURITY', table_name);
    EXECUTE format('CREATE POLICY own_tenant ON tenantry.%I TO tenantry_app '
      'USING (tenant_id = current_setting(''tenantry.tenant'', true))', table_name);
    EXECUTE format('CREATE POLICY across_tenants ON tenantry.%I '
      'TO tenantry_gate, tenantry_control, tenantry_operator '
      'USING (true) WITH CHECK (true)', table_name);
  END LOOP;
END $$;
