-- What took as long as there are tenants, or rows of years: a rate that is entered, the counts of
-- alerts, and lists.

-- A rate is entered in a commit of its own. Balances follow it in pages: what locked every tenant of
-- its currency at once let no batch of requests pass, not even one of other tenants.
GRANT CREATE ON SCHEMA tenantry TO tenantry_gate;
DROP TRIGGER convert_at_rate ON tenantry.exchange_rate;
SET LOCAL ROLE tenantry_gate;
DROP FUNCTION tenantry.convert_at_rate();

-- The balances of tenants in charge that run at p_at and are held at another rate than the known one.
-- By the keys of their budgets: a tenant's periods of before are many.
CREATE FUNCTION tenantry.misrated(p_at timestamptz, p_tenants text[])
RETURNS TABLE (tenant_id text, place tid, rate numeric) LANGUAGE sql STABLE AS $$
  SELECT u.tenant_id, u.ctid, n.rate
  FROM tenantry.tenant t
  CROSS JOIN LATERAL (
    SELECT 'plan' COLLATE "C" AS subject, 'month' AS period, NULL::timestamptz AS set_at
    UNION ALL
    SELECT b.subject, b.period, b.set_at FROM tenantry.budget b
    WHERE b.tenant_id = t.tenant_id AND b.basis = 'charge'
  ) b
  JOIN tenantry.budget_use u
    ON u.tenant_id = t.tenant_id AND u.subject = b.subject AND u.period_end > p_at
   AND u.period = b.period AND u.basis = 'charge'
  CROSS JOIN LATERAL (SELECT tenantry.balance_rate(
    t.tenant_id, u.basis, u.period_start, coalesce(b.set_at, p_at), t.zone) AS rate) n
  WHERE t.tenant_id = ANY (p_tenants) AND u.rate IS DISTINCT FROM n.rate
$$;

-- As in 0027: what differs is read once the tenants are locked.
CREATE OR REPLACE FUNCTION tenantry.convert_budgets(p_tenants text[]) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
  at constant timestamptz := tenantry.lock_tenants(p_tenants);
BEGIN
  UPDATE tenantry.budget_use u SET rate = n.rate
  FROM tenantry.misrated(at, p_tenants) n
  WHERE u.ctid = n.place AND u.tenant_id = n.tenant_id;
END $$;

-- Looks at 1,000 tenants at most after one, without a lock, then locks and converts those that differ:
-- at most p_limit, and none more once 1,000 balances differ. `through`: the last that was looked at;
-- NULL where there is none. In USD nothing differs.
CREATE FUNCTION tenantry.convert_page(
  p_after text, p_limit integer, OUT through text, OUT converted integer
) LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, tenantry, pg_temp AS $$
DECLARE
  at       constant timestamptz := clock_timestamp();
  page     text[] := '{}';
  balances bigint := 0;
  each     record;
BEGIN
  FOR each IN
    SELECT t.tenant_id, CASE WHEN tenantry.contract_currency(t.tenant_id) <> 'USD' THEN (
             SELECT count(*) FROM tenantry.misrated(at, ARRAY[t.tenant_id])) ELSE 0 END AS differ
    FROM tenantry.tenant t WHERE t.tenant_id > p_after ORDER BY t.tenant_id LIMIT 1000
  LOOP
    through := each.tenant_id;
    CONTINUE WHEN each.differ = 0;
    page := page || each.tenant_id;
    balances := balances + each.differ;
    EXIT WHEN cardinality(page) >= p_limit OR balances >= 1000;
  END LOOP;
  converted := cardinality(page);
  IF converted > 0 THEN
    PERFORM tenantry.convert_budgets(page);
  END IF;
END $$;
COMMENT ON FUNCTION tenantry.convert_page IS
  'Writes balances, to which control has no grant; of some tenants whose rate has become known.';
GRANT EXECUTE ON FUNCTION tenantry.convert_page TO tenantry_control;

SET LOCAL ROLE tenantry_owner;
REVOKE CREATE ON SCHEMA tenantry FROM tenantry_gate;

-- How many alerts there ever were; added to by whoever raises them, in the same commit. Counted anew
-- they would take longer with each alert, and whoever scrapes metrics waits for a second.
CREATE TABLE tenantry.alert_total (
  kind     text COLLATE "C" NOT NULL,
  severity text COLLATE "C" NOT NULL,
  raised   bigint NOT NULL CHECK (raised > 0),
  PRIMARY KEY (kind, severity)
);
COMMENT ON TABLE tenantry.alert_total IS 'Alerts that were raised, by kind; of no tenant.';
GRANT SELECT, INSERT, UPDATE ON tenantry.alert_total TO tenantry_control;
GRANT SELECT ON tenantry.alert_total TO tenantry_operator;
ALTER TABLE tenantry.alert NO FORCE ROW LEVEL SECURITY;
INSERT INTO tenantry.alert_total
SELECT kind, severity, count(*) FROM tenantry.alert GROUP BY kind, severity;
ALTER TABLE tenantry.alert FORCE ROW LEVEL SECURITY;

-- Beside alert_newest: lists of those that wait, and of those that were seen to.
CREATE INDEX alert_open ON tenantry.alert (alert_id DESC) WHERE acknowledged_at IS NULL;
CREATE INDEX alert_acknowledged ON tenantry.alert (alert_id DESC)
  WHERE acknowledged_at IS NOT NULL;

-- A document by its number alone. Not unique: a database that was restored may have given one again
-- before what was given was kept beside it.
CREATE INDEX invoice_number ON tenantry.invoice (number);

CREATE INDEX invoice_run_latest ON tenantry.invoice_run (period_start DESC, tenant_id);
CREATE INDEX invoice_run_waiting ON tenantry.invoice_run (outcome, period_start DESC, tenant_id)
  WHERE outcome IN ('review', 'trouble');
