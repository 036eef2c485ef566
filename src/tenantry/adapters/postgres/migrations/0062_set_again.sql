-- A budget that is set again has the rate of that day at once, as `misrated` (0060) compares it:
-- otherwise a total one kept the rate of when it was first set until some worker began anew.

GRANT CREATE ON SCHEMA tenantry TO tenantry_gate;
SET LOCAL ROLE tenantry_gate;

-- As in 0027, with the rate of a balance that is there.
CREATE OR REPLACE FUNCTION tenantry.set_budget(
  p_tenant_id text, p_subject text, p_period text, p_basis text, p_amount numeric, p_hard boolean
) RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, tenantry, pg_temp AS $$
DECLARE
  at constant timestamptz := tenantry.lock_tenants(ARRAY[p_tenant_id]);
BEGIN
  INSERT INTO tenantry.budget AS b (tenant_id, subject, period, basis, amount, hard, set_at)
  SELECT t.tenant_id, p_subject, p_period, p_basis, p_amount, p_hard, at
  FROM tenantry.tenant t WHERE t.tenant_id = p_tenant_id
  ON CONFLICT (tenant_id, subject, period, basis)
    DO UPDATE SET amount = excluded.amount, hard = excluded.hard, set_at = excluded.set_at;
  IF NOT FOUND THEN
    RETURN false;
  END IF;
  INSERT INTO tenantry.budget_use (tenant_id, subject, period, basis, period_start, period_end,
    amount, hard, settled, reserved, rate)
  SELECT t.tenant_id, p_subject, p_period, p_basis, s.period_start, s.period_end,
         p_amount, p_hard, r.settled, r.reserved,
         tenantry.balance_rate(t.tenant_id, p_basis, s.period_start, at, t.zone)
  FROM tenantry.tenant t,
       tenantry.budget_period(p_period, at, t.zone, t.anchor_day) s,
       tenantry.budget_replay(t.tenant_id, p_subject, p_basis, s.period_start, s.period_end) r
  WHERE t.tenant_id = p_tenant_id
  ON CONFLICT (tenant_id, subject, period_end, period, basis)
    DO UPDATE SET amount = excluded.amount, hard = excluded.hard, rate = excluded.rate;
  RETURN true;
END $$;

-- As in 0016, with that rate.
CREATE OR REPLACE FUNCTION tenantry.put_budget(
  p_tenant_id text, p_subject text, p_period text, p_basis text, p_amount numeric, p_hard boolean,
  p_set_by text
) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  at     constant timestamptz := tenantry.lock_tenants(ARRAY[p_tenant_id]);
  home   text;
  setter text;
BEGIN
  SELECT t.zone INTO home FROM tenantry.tenant t WHERE t.tenant_id = p_tenant_id;
  IF NOT FOUND THEN
    RETURN 'unknown_tenant';
  END IF;
  IF p_subject LIKE 'api\_key:%' AND NOT EXISTS (
    SELECT FROM tenantry.api_key k
    WHERE k.tenant_id = p_tenant_id AND k.api_key_id = substr(p_subject, 9)
  ) THEN
    RETURN 'unknown_api_key';
  END IF;
  SELECT b.set_by INTO setter FROM tenantry.budget b
  WHERE b.tenant_id = p_tenant_id AND b.subject = p_subject AND b.period = p_period
    AND b.basis = p_basis;
  IF p_set_by = 'tenant' AND setter = 'operator' THEN
    RETURN 'operators';
  END IF;
  IF setter IS NULL
    AND (SELECT count(*) FROM tenantry.budget b WHERE b.tenant_id = p_tenant_id) >= 10000 THEN
    RETURN 'too_many';
  END IF;
  -- Only a new one has to ask the ledger what its period has spent: that takes a while.
  UPDATE tenantry.budget_use u
  SET amount = p_amount, hard = p_hard,
      rate = tenantry.balance_rate(p_tenant_id, p_basis, u.period_start, at, home)
  WHERE u.tenant_id = p_tenant_id AND u.subject = p_subject AND u.period = p_period
    AND u.basis = p_basis AND u.period_end > at AND setter IS NOT NULL;
  IF NOT FOUND THEN
    PERFORM tenantry.set_budget(p_tenant_id, p_subject, p_period, p_basis, p_amount, p_hard);
  END IF;
  UPDATE tenantry.budget b
  SET amount = p_amount, hard = p_hard, set_by = p_set_by, set_at = at
  WHERE b.tenant_id = p_tenant_id AND b.subject = p_subject AND b.period = p_period
    AND b.basis = p_basis;
  RETURN 'set';
END $$;

SET LOCAL ROLE tenantry_owner;
REVOKE CREATE ON SCHEMA tenantry FROM tenantry_gate;
