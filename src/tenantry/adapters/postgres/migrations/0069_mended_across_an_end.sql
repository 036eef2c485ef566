-- What mends an hour before a period's end may commit after the period's invoice.

-- As in 0065, and a day before the period is over: longer than what mends lasts, and than its clock is
-- thought to be behind. An hour too many waits for the next invoice, no more. Of an hour after the period
-- that is invoiced next its own period's end counts: all that are over may be invoiced meanwhile.
CREATE OR REPLACE FUNCTION tenantry.waits_for_invoice(p_tenant_id text, p_hour timestamptz)
RETURNS boolean LANGUAGE sql STABLE AS $$
  SELECT EXISTS (
    SELECT FROM tenantry.billing_account a
    WHERE a.tenant_id = p_tenant_id
      AND CASE WHEN a.period_end > p_hour THEN a.period_end ELSE (
            SELECT m.period_end
            FROM tenantry.tenant t, tenantry.billing_period(p_hour, t.zone, t.anchor_day) m
            WHERE t.tenant_id = a.tenant_id)
          END <= clock_timestamp() + interval '1 day'
  ) OR EXISTS (
    SELECT FROM tenantry.invoice i
    WHERE i.tenant_id = p_tenant_id AND i.kind = 'invoice' AND i.status = 'void'
      AND i.period_end > p_hour AND NOT EXISTS (
        SELECT FROM tenantry.invoice l
        WHERE l.tenant_id = i.tenant_id AND l.kind = 'invoice' AND l.status = 'final'
          AND l.period_start = i.period_start)
      AND NOT EXISTS (
        SELECT FROM tenantry.invoice_run r
        WHERE r.tenant_id = i.tenant_id AND r.period_start = i.period_start
          AND r.outcome = 'nothing'))
$$;
