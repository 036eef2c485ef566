-- Contracts: who pays, in which currency, at which tax; which plan holds from which instant; dated
-- exchange rates. All are entries that are added and never edited.

-- List charges are in USD, as provider prices are; the currency of the invoices is the contract's.
CREATE TABLE tenantry.contract (
  tenant_id    text COLLATE "C" NOT NULL REFERENCES tenantry.tenant,
  version      integer     NOT NULL CHECK (version > 0),
  legal_name   text        NOT NULL CHECK (legal_name <> ''),
  address      text[]      NOT NULL,
  tax_id       text,
  email        text,
  currency     text        NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
  tax_rate     numeric     NOT NULL CHECK (tax_rate >= 0 AND tax_rate < 1),  -- a fraction
  tax_label    text        NOT NULL,
  payment_days integer     NOT NULL CHECK (payment_days BETWEEN 0 AND 365),
  ends_on      date,  -- the first civil day that is no longer under contract
  entered_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (tenant_id, version)
);
COMMENT ON TABLE tenantry.contract IS
  'Versions of what a contract says; the largest holds for what is finalised from then on.';

-- A tenant's plan by name, from an instant on; the first entry is that of its creation. What lies in
-- the future is applied by the worker, and `applied_at` says when admission began to use it.
CREATE TABLE tenantry.plan_change (
  tenant_id    text COLLATE "C" NOT NULL REFERENCES tenantry.tenant,
  effective_at timestamptz NOT NULL,
  entered_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
  plan         text        NOT NULL,
  applied_at   timestamptz,
  PRIMARY KEY (tenant_id, effective_at, entered_at)
);
CREATE INDEX plan_change_due ON tenantry.plan_change (effective_at) WHERE applied_at IS NULL;
COMMENT ON TABLE tenantry.plan_change IS 'Which plan a tenant has from an instant on.';

-- Terms are a plan's name and version: a change of plan, or a further version of the plan, is a
-- dated entry. The first version of a plan holds for whatever came before it.
CREATE VIEW tenantry.plan_terms WITH (security_invoker = true) AS
SELECT c.tenant_id, c.plan, p.version, p.definition,
       greatest(c.effective_at, CASE WHEN p.version > 1 THEN p.applied_at END) AS effective_at,
       greatest(c.entered_at, CASE WHEN p.version > 1 THEN p.applied_at END) AS entered_at
FROM (
  SELECT x.tenant_id, x.plan, x.effective_at, x.entered_at,
         lead(x.effective_at) OVER (
           PARTITION BY x.tenant_id ORDER BY x.effective_at, x.entered_at) AS ends_at
  FROM tenantry.plan_change x
) c
JOIN tenantry.plan p
  ON p.name = c.plan
 AND (p.version = 1 OR c.ends_at IS NULL OR p.applied_at < c.ends_at)
 AND (p.superseded_at IS NULL OR p.superseded_at > c.effective_at);
COMMENT ON VIEW tenantry.plan_terms IS 'Which version of which plan holds from an instant on.';

CREATE TABLE tenantry.exchange_rate (
  base       text        NOT NULL CHECK (base ~ '^[A-Z]{3}$'),
  quote      text        NOT NULL CHECK (quote ~ '^[A-Z]{3}$' AND quote <> base),
  day        date        NOT NULL,
  rate       numeric     NOT NULL CHECK (rate > 0),
  source     text        NOT NULL CHECK (source <> ''),
  entered_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (base, quote, day)
);
COMMENT ON TABLE tenantry.exchange_rate IS
  'From its day on, one unit of base is so many of quote; said by a source, never changed.';

-- The oldest period of each tenant that is not closed yet, and the lock of its invoicing.
CREATE TABLE tenantry.billing_account (
  tenant_id    text COLLATE "C" PRIMARY KEY REFERENCES tenantry.tenant,
  period_start timestamptz NOT NULL,
  period_end   timestamptz NOT NULL
);
CREATE INDEX billing_account_due ON tenantry.billing_account (period_end, tenant_id);
COMMENT ON TABLE tenantry.billing_account IS
  'What is to be invoiced next, by tenant; periods are closed in their order.';

GRANT SELECT ON tenantry.contract, tenantry.plan_change, tenantry.exchange_rate,
  tenantry.billing_account
  TO tenantry_app, tenantry_gate, tenantry_control, tenantry_operator;
GRANT SELECT ON tenantry.plan_terms TO tenantry_app, tenantry_control, tenantry_operator;
GRANT INSERT ON tenantry.contract, tenantry.plan_change, tenantry.exchange_rate
  TO tenantry_control;
GRANT UPDATE (applied_at) ON tenantry.plan_change TO tenantry_control;
GRANT INSERT ON tenantry.plan_change TO tenantry_gate;
GRANT INSERT, UPDATE ON tenantry.billing_account TO tenantry_gate;

DO $$
DECLARE
  table_name text;
BEGIN
  FOREACH table_name IN ARRAY ARRAY['contract', 'plan_change', 'billing_account'] LOOP
    EXECUTE format('ALTER TABLE tenantry.%I ENABLE ROW LEVEL SECURITY', table_name);
    EXECUTE format('ALTER TABLE tenantry.%I FORCE ROW LEVEL SECURITY', table_name);
    EXECUTE format('CREATE POLICY own_tenant ON tenantry.%I FOR SELECT TO tenantry_app '
      'USING (tenant_id = current_setting(''tenantry.tenant'', true))', table_name);
    EXECUTE format('CREATE POLICY across_tenants ON tenantry.%I '
      'TO tenantry_gate, tenantry_control, tenantry_operator '
      'USING (true) WITH CHECK (true)', table_name);
  END LOOP;
  FOREACH table_name IN ARRAY ARRAY['contract', 'exchange_rate'] LOOP
    EXECUTE format('CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE '
      'ON tenantry.%I EXECUTE FUNCTION tenantry.refuse_change()', table_name);
  END LOOP;
END $$;

-- Tenants that are there: a currency moves to a contract's first version.
ALTER TABLE tenantry.tenant NO FORCE ROW LEVEL SECURITY;
ALTER TABLE tenantry.contract NO FORCE ROW LEVEL SECURITY;
INSERT INTO tenantry.contract
  (tenant_id, version, legal_name, address, currency, tax_rate, tax_label, payment_days)
SELECT tenant_id, 1, name, '{}', currency, 0, 'Tax', 30
FROM tenantry.tenant WHERE currency <> 'USD';
UPDATE tenantry.tenant SET currency = 'USD' WHERE currency <> 'USD';
ALTER TABLE tenantry.tenant FORCE ROW LEVEL SECURITY;
ALTER TABLE tenantry.contract FORCE ROW LEVEL SECURITY;
ALTER TABLE tenantry.tenant
  ADD CONSTRAINT list_charges_are_in_usd CHECK (currency = 'USD');
COMMENT ON COLUMN tenantry.tenant.currency IS
  'Of list charges, as of provider prices; the currency of invoices is the contract''s.';

GRANT CREATE ON SCHEMA tenantry TO tenantry_gate;
SET LOCAL ROLE tenantry_gate;

INSERT INTO tenantry.plan_change (tenant_id, effective_at, plan, applied_at)
SELECT t.tenant_id, t.created_at, t.plan, t.created_at FROM tenantry.tenant t;
INSERT INTO tenantry.billing_account (tenant_id, period_start, period_end)
SELECT t.tenant_id, m.period_start, m.period_end
FROM tenantry.tenant t, tenantry.billing_period(t.created_at, t.zone, t.anchor_day) m;

-- A tenant is born with its plan from this instant on, and with the period that is invoiced first.
CREATE FUNCTION tenantry.open_billing() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, tenantry, pg_temp AS $$
BEGIN
  INSERT INTO tenantry.plan_change (tenant_id, effective_at, plan, applied_at)
  VALUES (NEW.tenant_id, NEW.created_at, NEW.plan, NEW.created_at);
  INSERT INTO tenantry.billing_account (tenant_id, period_start, period_end)
  SELECT NEW.tenant_id, m.period_start, m.period_end
  FROM tenantry.billing_period(NEW.created_at, NEW.zone, NEW.anchor_day) m;
  RETURN NULL;
END $$;
COMMENT ON FUNCTION tenantry.open_billing IS
  'Writes what control may not; a trigger, for the tenant just created.';
GRANT EXECUTE ON FUNCTION tenantry.open_billing TO tenantry_owner;

SET LOCAL ROLE tenantry_owner;
REVOKE CREATE ON SCHEMA tenantry FROM tenantry_gate;

CREATE TRIGGER open_billing AFTER INSERT ON tenantry.tenant
  FOR EACH ROW EXECUTE FUNCTION tenantry.open_billing();
