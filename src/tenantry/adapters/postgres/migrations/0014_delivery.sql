-- Delivery of notices to the outside: which sink has which notice still to get, the endpoints of
-- tenants, and who is billed by Stripe under which name.

ALTER TABLE tenantry.notice ADD COLUMN routed_at timestamptz;  -- null: no sink has been chosen yet
CREATE INDEX notice_unrouted ON tenantry.notice (created_at) WHERE routed_at IS NULL;
CREATE INDEX notice_age ON tenantry.notice (created_at);
-- A void must find the push of the invoice that it ends.
CREATE INDEX notice_invoice ON tenantry.notice (tenant_id, (body ->> 'number'))
  WHERE kind IN ('invoice.finalised', 'invoice.voided');

CREATE TABLE tenantry.delivery (
  tenant_id  text COLLATE "C" NOT NULL,
  notice_id  uuid        NOT NULL,
  sink       text COLLATE "C" NOT NULL CHECK (sink ~ '^[a-z]+(:[a-z0-9_-]+)?$'),
  state      text        NOT NULL DEFAULT 'pending'
             CHECK (state IN ('pending', 'delivered', 'dead')),
  attempts   integer     NOT NULL DEFAULT 0 CHECK (attempts >= 0),  -- begun, not ended
  since      timestamptz NOT NULL,  -- from here on it is tried, until it is given up
  next_at    timestamptz NOT NULL,  -- while it is tried: until when the worker's lease holds
  lease      uuid,                  -- of the last attempt; an older one may not end it
  last_error text        CHECK (length(last_error) <= 500),
  ended_at   timestamptz,
  PRIMARY KEY (tenant_id, notice_id, sink),
  FOREIGN KEY (tenant_id, notice_id) REFERENCES tenantry.notice ON DELETE CASCADE,
  CHECK ((state = 'pending') = (ended_at IS NULL))
);
COMMENT ON TABLE tenantry.delivery IS
  'One notice on its way to one sink. At least once: a sink may get the same notice id again.';
CREATE INDEX delivery_due ON tenantry.delivery (sink, next_at) WHERE state = 'pending';
CREATE INDEX delivery_dead ON tenantry.delivery (ended_at) WHERE state = 'dead';

CREATE TABLE tenantry.stripe_customer (
  tenant_id   text COLLATE "C" PRIMARY KEY REFERENCES tenantry.tenant,
  customer_id text COLLATE "C" NOT NULL UNIQUE CHECK (customer_id ~ '^cus_[A-Za-z0-9_]{1,200}$'),
  linked_at   timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE tenantry.stripe_customer IS 'Whose invoices Stripe collects, and its customer.';

CREATE TABLE tenantry.webhook_endpoint (
  tenant_id       text COLLATE "C" NOT NULL REFERENCES tenantry.tenant,
  endpoint_id     text COLLATE "C" NOT NULL CHECK (endpoint_id ~ '^whk_[0-9a-z]{26}$'),
  url             text        NOT NULL CHECK (url ~ '^https://' AND length(url) <= 2048),
  secret_sealed   bytea       NOT NULL,
  previous_sealed bytea,                 -- also signs, while its holder changes over
  created_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
  disabled_at     timestamptz,
  disabled_reason text CHECK (length(disabled_reason) <= 500),
  PRIMARY KEY (tenant_id, endpoint_id)
);
COMMENT ON TABLE tenantry.webhook_endpoint IS 'Where a tenant itself hears of its notices.';

DO $$
DECLARE
  table_name text;
BEGIN
  FOREACH table_name IN ARRAY ARRAY['delivery', 'stripe_customer', 'webhook_endpoint'] LOOP
    EXECUTE format('ALTER TABLE tenantry.%I ENABLE ROW LEVEL SECURITY', table_name);
    EXECUTE format('ALTER TABLE tenantry.%I FORCE ROW LEVEL SECURITY', table_name);
    EXECUTE format('CREATE POLICY writing ON tenantry.%I TO tenantry_control '
      'USING (true) WITH CHECK (true)', table_name);
    EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON tenantry.%I TO tenantry_control',
      table_name);
  END LOOP;
END $$;
-- The operator reads how deliveries stand, and no secret.
CREATE POLICY reading ON tenantry.delivery FOR SELECT TO tenantry_operator USING (true);
GRANT SELECT ON tenantry.delivery TO tenantry_operator;
GRANT UPDATE (routed_at), DELETE ON tenantry.notice TO tenantry_control;
