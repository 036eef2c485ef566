-- An hour that was mended waits until an invoice of the tenant that was made after it has looked at it,
-- or a period that was closed with nothing: told in that commit, and by no clock.

ALTER TABLE tenantry.mended_hour ADD COLUMN seen_at timestamptz;
ALTER TABLE tenantry.mended_hour ALTER COLUMN mended_at SET DEFAULT clock_timestamp();
COMMENT ON COLUMN tenantry.mended_hour.mended_at IS 'The last time, by the clock of then; for who looks.';
COMMENT ON COLUMN tenantry.mended_hour.seen_at IS
  'NULL: waits for an invoice. Else invoices that were issued before it may lack something of the hour.';
GRANT UPDATE (seen_at) ON tenantry.mended_hour TO tenantry_control;

-- Whether what was made at p_at may lack something of [p_start, p_end) that an hour was mended by, or that
-- has a mark and may be mended next. p_at 'infinity': whether anything waits for an invoice.
CREATE OR REPLACE FUNCTION tenantry.mended_since(
  p_tenant_id text, p_start timestamptz, p_end timestamptz, p_at timestamptz
) RETURNS boolean LANGUAGE sql STABLE AS $$
  SELECT EXISTS (
    SELECT FROM tenantry.mended_hour m
    WHERE m.tenant_id = p_tenant_id AND m.hour > p_start - interval '1 hour' AND m.hour < p_end
      AND (m.seen_at IS NULL OR m.seen_at > p_at)
  ) OR EXISTS (
    SELECT FROM tenantry.late_hour l
    WHERE l.tenant_id = p_tenant_id AND l.hour > p_start - interval '1 hour' AND l.hour < p_end)
$$;

-- What was mended from 0061 to 0065 was not kept: hours of closed periods whose roll-ups do not hold what
-- their invoices do. An hour that needs nothing waits for the next invoice, no more.
GRANT INSERT ON tenantry.mended_hour TO tenantry_gate;
CREATE POLICY looking_back ON tenantry.mended_hour FOR INSERT TO tenantry_gate WITH CHECK (true);
DO $$
DECLARE
  since constant timestamptz := (
    SELECT m.applied_at - interval '62 days' FROM tenantry.schema_migrations m WHERE m.number = 61);
BEGIN
  SET LOCAL ROLE tenantry_gate;
  INSERT INTO tenantry.mended_hour (tenant_id, hour)
  SELECT DISTINCT c.tenant_id, h.hour
  FROM (
    SELECT i.tenant_id, i.period_start, i.period_end FROM tenantry.invoice i
    WHERE i.kind = 'invoice' AND i.status = 'final' AND i.period_end > since
    UNION
    SELECT r.tenant_id, r.period_start, r.period_end FROM tenantry.invoice_run r
    WHERE r.outcome = 'nothing' AND r.period_end > since
  ) c
  JOIN tenantry.tenant t ON t.tenant_id = c.tenant_id
  CROSS JOIN LATERAL (
    SELECT array_agg(DISTINCT x.hour) AS hours, coalesce(sum(x.quantity), 0) AS quantity,
           coalesce(sum(x.amount), 0) AS charge
    FROM tenantry.charge_hour x
    WHERE x.tenant_id = c.tenant_id
      AND x.hour > c.period_start - interval '1 hour' AND x.hour < c.period_end
      AND x.day >= (c.period_start AT TIME ZONE t.zone)::date
      AND x.day < (c.period_end AT TIME ZONE t.zone)::date
  ) r
  CROSS JOIN LATERAL (
    SELECT coalesce(sum(u.quantity), 0) AS quantity, coalesce(sum(u.charge), 0) AS charge
    FROM tenantry.invoice_usage u
    JOIN tenantry.invoice i
      ON i.tenant_id = u.tenant_id AND i.invoice_id = u.invoice_id AND i.status = 'final'
    WHERE u.tenant_id = c.tenant_id AND u.period_start = c.period_start
  ) held
  CROSS JOIN LATERAL unnest(r.hours) AS h (hour)
  WHERE r.quantity <> held.quantity OR r.charge <> held.charge
  ON CONFLICT DO NOTHING;
  SET LOCAL ROLE tenantry_owner;
END $$;
DROP POLICY looking_back ON tenantry.mended_hour;
REVOKE INSERT ON tenantry.mended_hour FROM tenantry_gate;

-- As in 0065, with what waits.
CREATE OR REPLACE FUNCTION tenantry.archive_obstacles(p_month date) RETURNS SETOF text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' AS $$
DECLARE
  month_start constant timestamptz := p_month::timestamptz;
  month_end   constant timestamptz := p_month + interval '1 month';
  suffix      constant text := to_char(p_month, 'YYYY_MM');
BEGIN
  IF month_end > clock_timestamp() THEN
    RETURN NEXT 'the month is not over';
  END IF;
  IF to_regclass('tenantry.charge_entry_' || suffix) IS NULL
     OR to_regclass('tenantry.cost_entry_' || suffix) IS NULL THEN
    RETURN NEXT 'the month has no partition of its own';
  END IF;
  IF EXISTS (SELECT FROM tenantry.charge_entry e WHERE e.admitted_at < month_start)
     OR EXISTS (SELECT FROM tenantry.cost_entry e WHERE e.admitted_at < month_start) THEN
    RETURN NEXT 'an older month comes first';
  END IF;
  RETURN QUERY
  SELECT format('%s requests of the month are open, such as %s of %s', count(*),
                min(o.request_id::text), min(o.tenant_id))
  FROM tenantry.open_request o WHERE o.admitted_at < month_end HAVING count(*) > 0;
  RETURN QUERY
  SELECT 'the month is not rolled up yet' FROM tenantry.rollup r WHERE r.through < month_end;
  RETURN QUERY
  SELECT format('%s hours of the month are to be rolled up anew', count(DISTINCT l.hour))
  FROM tenantry.late_hour l WHERE l.hour < month_end HAVING count(*) > 0;
  RETURN QUERY
  SELECT format('%s tenants have a period in the month that is not final, such as %s', count(*),
                min(a.tenant_id))
  FROM tenantry.billing_account a WHERE a.period_start < month_end HAVING count(*) > 0;
  -- What was posted to a final period since, or was missed by its invoice, waits for the next one, which
  -- reads it in the ledger.
  RETURN QUERY
  SELECT format('%s tenants have adjustments of the month that are not invoiced, such as %s',
                count(DISTINCT x.tenant_id), min(x.tenant_id))
  FROM (SELECT r.tenant_id, max(r.watermark) AS watermark FROM tenantry.invoice_run r
        WHERE r.outcome IN ('final', 'nothing') GROUP BY r.tenant_id) x
  WHERE EXISTS (
    SELECT FROM tenantry.charge_hour c
    WHERE c.tenant_id = x.tenant_id AND c.hour >= month_start AND c.hour < month_end
      AND c.last_posted_at > x.watermark
  ) OR tenantry.mended_since(x.tenant_id, month_start, month_end, 'infinity')
  HAVING count(*) > 0;
END $$;
