-- A period begins where the one before it ended, also where the rules of a time zone have changed in
-- between and its midnight is an hour off: no hour is invoiced twice, and none never.

GRANT CREATE ON SCHEMA tenantry TO tenantry_gate;
SET LOCAL ROLE tenantry_gate;

-- As in 0019, with the start of what follows. A day later is within it, whatever the rules were.
CREATE OR REPLACE FUNCTION tenantry.advance_billing(
  p_tenant_id text, p_start timestamptz, p_end timestamptz
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  account tenantry.billing_account;
BEGIN
  SELECT * INTO STRICT account FROM tenantry.billing_account a
  WHERE a.tenant_id = p_tenant_id FOR UPDATE;
  IF p_end > clock_timestamp() THEN
    RAISE EXCEPTION 'the period is not over' USING ERRCODE = 'object_not_in_prerequisite_state';
  END IF;
  IF p_start > account.period_start THEN
    RAISE EXCEPTION 'the period from % comes first', account.period_start
      USING ERRCODE = 'object_not_in_prerequisite_state';
  END IF;
  IF EXISTS (SELECT FROM tenantry.open_request o WHERE o.tenant_id = p_tenant_id
             AND o.admitted_at >= p_start AND o.admitted_at < p_end) THEN
    RAISE EXCEPTION 'requests of the period are open'
      USING ERRCODE = 'object_not_in_prerequisite_state';
  END IF;
  IF p_start = account.period_start THEN
    UPDATE tenantry.billing_account a
    SET period_start = p_end, period_end = m.period_end
    FROM tenantry.tenant t,
         tenantry.billing_period(p_end + interval '1 day', t.zone, t.anchor_day) m
    WHERE a.tenant_id = p_tenant_id AND t.tenant_id = p_tenant_id;
  END IF;
END $$;

SET LOCAL ROLE tenantry_owner;
REVOKE CREATE ON SCHEMA tenantry FROM tenantry_gate;
