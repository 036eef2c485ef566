-- What a roll-up is mended by after its period was invoiced. Such postings are older than the invoice's
-- watermark, by a clock that was wrong or because they were missed, so that no instant of the ledger
-- tells that the invoice has not seen them.

CREATE TABLE tenantry.mended_hour (
  tenant_id text COLLATE "C" NOT NULL,
  hour      timestamptz NOT NULL CHECK (hour = date_trunc('hour', hour, 'UTC')),
  mended_at timestamptz NOT NULL,  -- the last time; after every invoice that had not seen it
  PRIMARY KEY (tenant_id, hour)
);
COMMENT ON TABLE tenantry.mended_hour IS
  'Hours whose roll-up came to hold postings that an invoice may have missed.';

GRANT SELECT ON tenantry.mended_hour
  TO tenantry_app, tenantry_gate, tenantry_control, tenantry_operator;
GRANT INSERT, UPDATE (mended_at) ON tenantry.mended_hour TO tenantry_control;
ALTER TABLE tenantry.mended_hour ENABLE ROW LEVEL SECURITY;
ALTER TABLE tenantry.mended_hour FORCE ROW LEVEL SECURITY;
CREATE POLICY rolling_up ON tenantry.mended_hour TO tenantry_control USING (true) WITH CHECK (true);
CREATE POLICY reading ON tenantry.mended_hour FOR SELECT TO tenantry_operator, tenantry_gate
  USING (true);
CREATE POLICY own_tenant ON tenantry.mended_hour FOR SELECT TO tenantry_app
  USING (tenant_id = current_setting('tenantry.tenant', true));

-- Whether an hour of [p_start, p_end) was mended at p_at or later, or has a mark and may be mended next,
-- so that what was read at p_at may lack something. A mending commits well within 10 minutes of its
-- instant, which is told by its last statement.
CREATE FUNCTION tenantry.mended_since(
  p_tenant_id text, p_start timestamptz, p_end timestamptz, p_at timestamptz
) RETURNS boolean LANGUAGE sql STABLE AS $$
  SELECT EXISTS (
    SELECT FROM tenantry.mended_hour m
    WHERE m.tenant_id = p_tenant_id AND m.hour > p_start - interval '1 hour' AND m.hour < p_end
      AND m.mended_at > p_at - interval '10 minutes'
  ) OR EXISTS (
    SELECT FROM tenantry.late_hour l
    WHERE l.tenant_id = p_tenant_id AND l.hour > p_start - interval '1 hour' AND l.hour < p_end)
$$;
GRANT EXECUTE ON FUNCTION tenantry.mended_since
  TO tenantry_app, tenantry_gate, tenantry_control, tenantry_operator;

-- Whether a period that has the hour, or one after it, is over and waits for its invoice.
CREATE FUNCTION tenantry.waits_for_invoice(p_tenant_id text, p_hour timestamptz) RETURNS boolean
LANGUAGE sql STABLE AS $$
  SELECT EXISTS (
    SELECT FROM tenantry.billing_account a
    WHERE a.tenant_id = p_tenant_id AND a.period_end > p_hour AND a.period_end <= clock_timestamp()
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
GRANT EXECUTE ON FUNCTION tenantry.waits_for_invoice TO tenantry_control;

-- The instant before which roll-ups are never given up, a whole hour: something of before is archived,
-- or of a period that was read for an invoice. NULL: nothing is.
CREATE FUNCTION tenantry.rolled_up_for_good() RETURNS timestamptz LANGUAGE sql STABLE AS $$
  SELECT greatest(tenantry.archived_through(), (
    SELECT date_trunc('hour', max(r.period_end) + interval '59 minutes 59 seconds', 'UTC')
    FROM tenantry.invoice_run r WHERE r.watermark IS NOT NULL))
$$;
GRANT EXECUTE ON FUNCTION tenantry.rolled_up_for_good TO tenantry_control;

-- As in 0024, and while something of the month was mended that no invoice has.
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
  ) OR tenantry.mended_since(x.tenant_id, month_start, month_end, x.watermark)
  HAVING count(*) > 0;
END $$;
