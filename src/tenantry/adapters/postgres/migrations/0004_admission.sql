-- The state of admission: counters, balances of budgets, open requests and their intents.
--
-- The lock: whoever changes any of these rows of a tenant holds the tenant's `counter` row.
-- The tables that every request writes carry no foreign keys: each check would lock the parent row
-- of a hot tenant, or be weighed at each update, and only the gate's functions write here.

-- What rows of the hot path must hold. Domains, because the CHECK of a table is parsed and compiled
-- anew by every statement that writes to it: 5 % of the backend's time.
CREATE DOMAIN tenantry.held AS numeric CHECK (VALUE >= 0);
CREATE DOMAIN tenantry.attempt_state AS text
  CHECK (VALUE IN ('reserved', 'dispatched', 'unknown'));
CREATE DOMAIN tenantry.attempt_ending AS text
  CHECK (VALUE IN ('settled', 'released', 'written_off'));
CREATE DOMAIN tenantry.entry_kind AS text COLLATE "C"
  CHECK (VALUE IN ('usage', 'adjustment', 'reversal'));

-- Minute limits are kept in 11 slots of 6 s (functions in 0006): no 60 s, wherever they begin, see
-- more than the limit; what was used comes back after 60 to 66 s.
CREATE TABLE tenantry.counter (
  tenant_id       text COLLATE "C" PRIMARY KEY,
  day             date        NOT NULL,
  day_start       timestamptz NOT NULL,
  day_end         timestamptz NOT NULL,
  day_requests    bigint      NOT NULL DEFAULT 0,
  period_start    timestamptz NOT NULL,
  period_end      timestamptz NOT NULL,
  in_flight       bigint      NOT NULL DEFAULT 0,
  latest_slot     bigint      NOT NULL DEFAULT 0,  -- 6 s slots since 1970
  requests_minute bigint      NOT NULL DEFAULT 0,  -- the sums of the two arrays
  tokens_minute   bigint      NOT NULL DEFAULT 0,
  request_slots   bigint[]    NOT NULL DEFAULT array_fill(0::bigint, ARRAY[11]),
  token_slots     bigint[]    NOT NULL DEFAULT array_fill(0::bigint, ARRAY[11])
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 50000);
COMMENT ON TABLE tenantry.counter IS
  'Requests of the day and minute, tokens of the minute, requests in flight; the lock of a tenant.';

-- One row per budget and period: `settled` is the sum of the ledger, `reserved` that of the open
-- requests, both over what was admitted in [period_start, period_end) for the subject. The key
-- leads to the rows whose period has not ended, however many have.
CREATE TABLE tenantry.budget_use (
  tenant_id    text COLLATE "C" NOT NULL,
  subject      text COLLATE "C" NOT NULL,  -- as in budget, or `plan`
  period       text COLLATE "C" NOT NULL,
  basis        text COLLATE "C" NOT NULL,
  period_start timestamptz NOT NULL,
  period_end   timestamptz NOT NULL,
  amount       numeric,  -- the limit; NULL for `plan`, whose limit is the plan's
  hard         boolean,
  settled      numeric     NOT NULL DEFAULT 0,
  reserved     tenantry.held NOT NULL DEFAULT 0,
  PRIMARY KEY (tenant_id, subject, period_end, period, basis)
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 50000);
COMMENT ON TABLE tenantry.budget_use IS 'What each budget has settled and reserved, by period.';

-- A request that is not over: what it still holds, who it is for, and its first attempt (call 0,
-- attempt 1), which most requests have alone: a row of its own would cost as much as the request.
CREATE TABLE tenantry.open_request (
  tenant_id     text COLLATE "C" NOT NULL,
  request_id    uuid        NOT NULL,
  boot_id       bigint      NOT NULL,  -- of the worker; it holds an advisory lock while it lives
  admitted_at   timestamptz NOT NULL,
  day           date        NOT NULL,
  period_start  timestamptz NOT NULL,
  api_key_id    text        NOT NULL,
  user_hash     text,
  run_id        text,
  tags          jsonb       NOT NULL,
  currency      text        NOT NULL,
  plan          text        NOT NULL,
  plan_version  integer     NOT NULL,
  price_version integer     NOT NULL,
  worst_tokens  bigint      NOT NULL,
  used_tokens   bigint      NOT NULL DEFAULT 0,
  held_cost     tenantry.held NOT NULL,
  held_charge   tenantry.held NOT NULL,
  open_attempts integer     NOT NULL DEFAULT 1,
  has_slot      boolean     NOT NULL DEFAULT true,   -- of concurrent_requests
  final         boolean     NOT NULL DEFAULT false,  -- nothing more will begin
  counted       boolean     NOT NULL,                -- as a request of its day
  paced         boolean     NOT NULL,                -- by the minute limits
  flags         text[]      NOT NULL DEFAULT '{}',
  -- The first attempt; as in later_intent.
  state         tenantry.attempt_state DEFAULT 'dispatched',  -- NULL: it has ended
  deadline_at   timestamptz NOT NULL,
  unknown_at    timestamptz,
  operation     text        NOT NULL,
  model         text        NOT NULL,
  price_key     text        NOT NULL,
  account       text        NOT NULL,
  region        text        NOT NULL,
  pinned        jsonb       NOT NULL,
  charged       boolean     NOT NULL DEFAULT true,
  estimate      jsonb       NOT NULL DEFAULT '{}',
  quarantined   text,
  error         text,
  PRIMARY KEY (tenant_id, request_id)
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 50000);
COMMENT ON TABLE tenantry.open_request IS
  'Requests admitted and not over, with what they hold and their first attempts.';

CREATE TABLE tenantry.later_intent (
  tenant_id   text COLLATE "C" NOT NULL,
  request_id  uuid        NOT NULL,
  call        smallint    NOT NULL,
  attempt     smallint    NOT NULL,
  state       tenantry.attempt_state NOT NULL DEFAULT 'dispatched',
  began_at    timestamptz NOT NULL,
  deadline_at timestamptz NOT NULL,
  unknown_at  timestamptz,
  operation   text        NOT NULL,
  model       text        NOT NULL,
  price_key   text        NOT NULL,
  account     text        NOT NULL,
  region      text        NOT NULL,
  pinned      jsonb       NOT NULL,
  charged     boolean     NOT NULL DEFAULT true,  -- whether its usage is the customer's
  estimate    jsonb       NOT NULL DEFAULT '{}',  -- of an unknown one: what was seen, by class
  quarantined text,
  error       text,
  PRIMARY KEY (tenant_id, request_id, call, attempt)
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 50000);
COMMENT ON TABLE tenantry.later_intent IS 'Open attempts but the first of each request.';

CREATE VIEW tenantry.intent WITH (security_invoker = true) AS
SELECT tenant_id, request_id, 0::smallint AS call, 1::smallint AS attempt, state,
       admitted_at AS began_at, deadline_at, unknown_at, operation, model, price_key, account,
       region, pinned, charged, estimate, quarantined, error
FROM tenantry.open_request WHERE state IS NOT NULL
UNION ALL
SELECT tenant_id, request_id, call, attempt, state, began_at, deadline_at, unknown_at,
       operation, model, price_key, account, region, pinned, charged, estimate, quarantined, error
FROM tenantry.later_intent;
COMMENT ON VIEW tenantry.intent IS
  'Attempts that may be on their way or whose end is unknown; committed before the first byte.';

GRANT SELECT ON tenantry.counter, tenantry.budget_use TO tenantry_app;
GRANT SELECT ON tenantry.counter, tenantry.budget_use, tenantry.open_request,
  tenantry.later_intent, tenantry.intent
  TO tenantry_gate, tenantry_control, tenantry_operator;
GRANT INSERT, UPDATE ON tenantry.counter, tenantry.budget_use TO tenantry_gate;
GRANT INSERT, UPDATE, DELETE ON tenantry.open_request, tenantry.later_intent TO tenantry_gate;

DO $$
DECLARE
  table_name text;
BEGIN
  FOREACH table_name IN ARRAY ARRAY[
    'counter', 'budget_use', 'open_request', 'later_intent'
  ] LOOP
    EXECUTE format('ALTER TABLE tenantry.%I ENABLE ROW LEVEL SECURITY', table_name);
    EXECUTE format('ALTER TABLE tenantry.%I FORCE ROW LEVEL SECURITY', table_name);
    EXECUTE format('CREATE POLICY own_tenant ON tenantry.%I TO tenantry_app '
      'USING (tenant_id = current_setting(''tenantry.tenant'', true))', table_name);
    EXECUTE format('CREATE POLICY accounting ON tenantry.%I TO tenantry_gate '
      'USING (true) WITH CHECK (true)', table_name);
    EXECUTE format('CREATE POLICY reading ON tenantry.%I FOR SELECT '
      'TO tenantry_control, tenantry_operator USING (true)', table_name);
  END LOOP;
END $$;
