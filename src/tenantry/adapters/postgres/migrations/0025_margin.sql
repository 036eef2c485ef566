-- Both books across tenants, from the roll-ups and the ledger beyond: what margin is reported from.
-- The operator alone may ask.

-- Which whole hours of [p_start, p_end) are read from the roll-ups. Refused where a span needs rows of
-- an archived month.
CREATE FUNCTION tenantry.whole_hours(
  p_start timestamptz, p_end timestamptz, OUT first_hour timestamptz, OUT end_hour timestamptz
) LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  archived constant timestamptz := tenantry.archived_through();
BEGIN
  first_hour := date_trunc('hour', p_start, 'UTC');
  IF first_hour < p_start THEN
    first_hour := first_hour + interval '1 hour';
  END IF;
  end_hour := least(date_trunc('hour', p_end, 'UTC'), (SELECT r.through FROM tenantry.rollup r));
  IF first_hour >= end_hour THEN
    first_hour := p_end;
    end_hour := p_end;
  END IF;
  IF (p_start < first_hour AND p_start < archived) OR (end_hour < p_end AND end_hour < archived) THEN
    RAISE EXCEPTION 'what was used before % is archived and told by whole hours (UTC) alone',
      to_char(archived AT TIME ZONE 'UTC', 'YYYY-MM-DD')
      USING ERRCODE = 'object_not_in_prerequisite_state';
  END IF;
END $$;

CREATE FUNCTION tenantry.cost_between(p_start timestamptz, p_end timestamptz) RETURNS TABLE (
  tenant_id text, at timestamptz, debit text, retried boolean, model text, tags jsonb,
  token_class text, quantity bigint, amount numeric, requests bigint, model_requests bigint
) LANGUAGE sql STABLE AS $$
  WITH b AS MATERIALIZED (
    SELECT * FROM tenantry.whole_hours(p_start, p_end)
  ), marks AS MATERIALIZED (
    SELECT DISTINCT l.tenant_id, l.hour FROM b
    JOIN tenantry.late_hour l ON l.hour >= b.first_hour AND l.hour < b.end_hour
  )
  SELECT r.tenant_id, r.hour, r.debit, r.retried, r.model, r.tags, r.token_class, r.quantity,
         r.amount, r.requests, r.model_requests
  FROM b
  CROSS JOIN tenantry.tenant t
  CROSS JOIN LATERAL (
    SELECT * FROM tenantry.cost_hour_detail c
    WHERE c.tenant_id = t.tenant_id AND c.hour >= b.first_hour AND c.hour < b.end_hour OFFSET 0
  ) r
  WHERE NOT EXISTS (SELECT FROM marks m WHERE m.tenant_id = r.tenant_id AND m.hour = r.hour)
  UNION ALL
  SELECT l.tenant_id, l.admitted_at, l.debit, l.retried, l.model, l.tags, l.token_class,
         l.quantity, l.amount, l.requests, l.model_requests
  FROM b
  CROSS JOIN LATERAL (VALUES (p_start, b.first_hour), (b.end_hour, p_end)) AS s (since, until)
  CROSS JOIN LATERAL (
    SELECT * FROM tenantry.cost_line c
    WHERE c.admitted_at >= s.since AND c.admitted_at < s.until OFFSET 0
  ) l
  UNION ALL
  SELECT l.tenant_id, l.admitted_at, l.debit, l.retried, l.model, l.tags, l.token_class,
         l.quantity, l.amount, l.requests, l.model_requests
  FROM marks m
  CROSS JOIN LATERAL (
    SELECT * FROM tenantry.cost_line c
    WHERE c.tenant_id = m.tenant_id AND c.admitted_at >= m.hour
      AND c.admitted_at < m.hour + interval '1 hour' OFFSET 0
  ) l
$$;

CREATE FUNCTION tenantry.charge_between(p_start timestamptz, p_end timestamptz) RETURNS TABLE (
  tenant_id text, at timestamptz, currency text, model text, tags jsonb, amount numeric
) LANGUAGE sql STABLE AS $$
  WITH b AS MATERIALIZED (
    SELECT * FROM tenantry.whole_hours(p_start, p_end)
  ), marks AS MATERIALIZED (
    SELECT DISTINCT l.tenant_id, l.hour FROM b
    JOIN tenantry.late_hour l ON l.hour >= b.first_hour AND l.hour < b.end_hour
  )
  SELECT r.tenant_id, r.hour, r.currency, r.model, r.tags, r.amount
  FROM b
  CROSS JOIN tenantry.tenant t
  CROSS JOIN LATERAL (
    SELECT * FROM tenantry.charge_hour_detail c
    WHERE c.tenant_id = t.tenant_id AND c.hour >= b.first_hour AND c.hour < b.end_hour OFFSET 0
  ) r
  WHERE NOT EXISTS (SELECT FROM marks m WHERE m.tenant_id = r.tenant_id AND m.hour = r.hour)
  UNION ALL
  SELECT e.tenant_id, e.admitted_at, e.currency, e.model, e.tags, e.amount
  FROM b
  CROSS JOIN LATERAL (VALUES (p_start, b.first_hour), (b.end_hour, p_end)) AS s (since, until)
  CROSS JOIN LATERAL (
    SELECT * FROM tenantry.charge_entry c
    WHERE c.admitted_at >= s.since AND c.admitted_at < s.until OFFSET 0
  ) e
  UNION ALL
  SELECT e.tenant_id, e.admitted_at, e.currency, e.model, e.tags, e.amount
  FROM marks m
  CROSS JOIN LATERAL (
    SELECT * FROM tenantry.charge_entry c
    WHERE c.tenant_id = m.tenant_id AND c.admitted_at >= m.hour
      AND c.admitted_at < m.hour + interval '1 hour' OFFSET 0
  ) e
$$;
GRANT EXECUTE ON FUNCTION tenantry.whole_hours, tenantry.cost_between, tenantry.charge_between
  TO tenantry_operator;
