-- Lines of an invoice say what they were priced by: the tier that served, the price key, the plan.
-- The roll-up of the customer's book keeps it by hour from now on; an hour that was rolled up before
-- is read from the ledger for it.

-- Of the provider's book a tenant reads by what its own attempts were priced, and nothing else.
CREATE POLICY own_tenant ON tenantry.cost_entry FOR SELECT TO tenantry_app
  USING (tenant_id = current_setting('tenantry.tenant', true));
GRANT SELECT (tenant_id, admitted_at, request_id, call, attempt, kind, service_tier, price_key)
  ON tenantry.cost_entry TO tenantry_app;
COMMENT ON TABLE tenantry.cost_entry IS
  'The provider''s book: how each attempt ended and what it costs us, in USD. Of it a tenant reads'
  ' by which tier and price key its own attempts were priced.';

-- NULL: rolled up before these columns were there. '': a posting without one in the provider's book.
ALTER TABLE tenantry.charge_hour ADD COLUMN plan text, ADD COLUMN plan_version integer,
  ADD COLUMN service_tier text, ADD COLUMN price_key text;
COMMENT ON TABLE tenantry.charge_hour IS
  'The customer''s book by hour, model, token class, price and what that was asked for.';

ALTER TABLE tenantry.invoice_usage ADD COLUMN priced_as jsonb;  -- NULL: of before

-- The customer's book line by line over [p_since, p_until), as charge_line has it, with what each
-- line was priced by. p_tenants NULL: of all that the caller sees. Both books are asked for the span:
-- a join alone would read every month of the second.
CREATE FUNCTION tenantry.priced_lines(
  p_tenants text[], p_since timestamptz, p_until timestamptz
) RETURNS TABLE (
  tenant_id text, admitted_at timestamptz, posted_at timestamptz, day date, currency text,
  model text, price_version integer, plan text, plan_version integer, service_tier text,
  price_key text, token_class text, unit_price numeric, quantity bigint, amount numeric,
  requests integer, model_requests integer, entries integer
) LANGUAGE sql STABLE AS $$
  SELECT e.tenant_id, e.admitted_at, e.posted_at, e.day, e.currency, e.model, e.price_version,
         e.plan, e.plan_version, coalesce(c.service_tier, ''), coalesce(c.price_key, ''),
         l.token_class, l.unit_price, l.quantity, l.amount,
         (l.place = 1 AND e.in_request = 1)::integer,
         (l.place = 1 AND e.in_model = 1)::integer, (l.place = 1)::integer
  FROM (
    SELECT x.tenant_id, x.admitted_at, x.request_id, x.call, x.attempt, x.kind, x.posted_at,
           x.day, x.currency, x.model, x.price_version, x.plan, x.plan_version, x.token_classes,
           x.unit_prices, x.quantities, x.amounts,
           row_number() OVER (PARTITION BY x.tenant_id, x.admitted_at, x.request_id
             ORDER BY x.model, x.call, x.attempt, x.kind) AS in_request,
           row_number() OVER (PARTITION BY x.tenant_id, x.admitted_at, x.request_id, x.model
             ORDER BY x.call, x.attempt, x.kind) AS in_model
    FROM tenantry.charge_entry x
    WHERE x.token_classes <> '{}' AND x.admitted_at >= p_since AND x.admitted_at < p_until
      AND (p_tenants IS NULL OR x.tenant_id = ANY (p_tenants))
  ) e
  LEFT JOIN (
    SELECT x.tenant_id, x.admitted_at, x.request_id, x.call, x.attempt, x.kind, x.service_tier,
           x.price_key
    FROM tenantry.cost_entry x
    WHERE x.admitted_at >= p_since AND x.admitted_at < p_until
      AND (p_tenants IS NULL OR x.tenant_id = ANY (p_tenants))
  ) c ON c.tenant_id = e.tenant_id AND c.request_id = e.request_id AND c.call = e.call
     AND c.attempt = e.attempt AND c.kind = e.kind AND c.admitted_at = e.admitted_at
  CROSS JOIN LATERAL unnest(e.token_classes, e.unit_prices, e.quantities, e.amounts)
    WITH ORDINALITY AS l (token_class, unit_price, quantity, amount, place)
$$;

-- As charged_usage, with what each price was asked for: what invoices are made of.
CREATE FUNCTION tenantry.priced_usage(
  p_tenant_id text, p_start timestamptz, p_end timestamptz, p_posted_through timestamptz
) RETURNS TABLE (
  model text, price_version integer, plan text, plan_version integer, service_tier text,
  price_key text, token_class text, unit_price numeric, quantity bigint, amount numeric
) LANGUAGE sql STABLE AS $$
  WITH rolled AS MATERIALIZED (
    SELECT * FROM tenantry.rolled_range(p_tenant_id, p_start, p_end)
  ), live AS MATERIALIZED (
    SELECT s.since, s.until
    FROM tenantry.live_spans(p_tenant_id, p_start, p_end, p_posted_through, NULL) s
    UNION
    SELECT greatest(c.hour, p_start), least(c.hour + interval '1 hour', p_end)
    FROM rolled b
    CROSS JOIN LATERAL (
      SELECT x.hour FROM tenantry.charge_hour x
      WHERE x.tenant_id = p_tenant_id AND x.hour >= b.first_hour AND x.hour < b.end_hour
        AND x.service_tier IS NULL
        AND x.hour >= coalesce((SELECT tenantry.archived_through()), '-infinity')
      OFFSET 0
    ) c
  )
  SELECT r.model, r.price_version, r.plan, r.plan_version, r.service_tier, r.price_key,
         r.token_class, r.unit_price, r.quantity, r.amount
  FROM rolled b
  CROSS JOIN LATERAL (
    SELECT * FROM tenantry.charge_hour c
    WHERE c.tenant_id = p_tenant_id AND c.hour >= b.first_hour AND c.hour < b.end_hour
      AND c.day >= b.first_day AND c.day < b.end_day
    OFFSET 0
  ) r
  WHERE NOT EXISTS (
    SELECT FROM live s WHERE s.since < r.hour + interval '1 hour' AND s.until > r.hour)
  UNION ALL
  SELECT l.model, l.price_version, l.plan, l.plan_version, l.service_tier, l.price_key,
         l.token_class, l.unit_price, l.quantity, l.amount
  FROM live s
  CROSS JOIN LATERAL (
    SELECT * FROM tenantry.priced_lines(ARRAY[p_tenant_id], s.since, s.until) p
    WHERE p.posted_at <= p_posted_through
    OFFSET 0
  ) l
$$;
GRANT EXECUTE ON FUNCTION tenantry.priced_lines, tenantry.priced_usage
  TO tenantry_app, tenantry_control, tenantry_operator;

GRANT CREATE ON SCHEMA tenantry TO tenantry_gate;
SET LOCAL ROLE tenantry_gate;

-- As before, and with what each price of the usage was asked for.
CREATE OR REPLACE FUNCTION tenantry.finalise(
  p_invoice jsonb, p_document bytea, p_usage jsonb, p_entries jsonb
) RETURNS void LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, tenantry, pg_temp AS $$
DECLARE
  made tenantry.invoice := jsonb_populate_record(NULL::tenantry.invoice, p_invoice);
BEGIN
  made.status := 'final';
  made.document := p_document;
  made.sha256 := sha256(p_document);
  made.posting_id := gen_random_uuid();
  made.voided_at := NULL;
  made.void_reason := NULL;
  UPDATE tenantry.invoice_series s SET last = made.series_number
  WHERE s.series = made.series AND s.last = made.series_number - 1;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'number % is not the next of %', made.series_number, made.series
      USING ERRCODE = 'serialization_failure';
  END IF;
  IF made.kind = 'invoice' THEN
    PERFORM tenantry.advance_billing(made.tenant_id, made.period_start, made.period_end);
  ELSE
    PERFORM FROM tenantry.invoice i
    WHERE i.tenant_id = made.tenant_id AND i.number = made.credits_number
      AND i.kind = 'invoice' AND i.status = 'final';
    IF NOT FOUND THEN
      RAISE EXCEPTION 'there is no final invoice %', made.credits_number
        USING ERRCODE = 'object_not_in_prerequisite_state';
    END IF;
  END IF;
  INSERT INTO tenantry.invoice SELECT made.*;
  INSERT INTO tenantry.invoice_usage
  SELECT made.tenant_id, made.invoice_id, u.*
  FROM jsonb_to_recordset(p_usage) AS u (period_start timestamptz, model text, token_class text,
    unit_price numeric, quantity bigint, charge numeric, priced_as jsonb);
  PERFORM tenantry.write_entries(made.tenant_id, made.posting_id, made.invoice_id,
    made.period_start, p_entries, '');
END $$;

SET LOCAL ROLE tenantry_owner;
REVOKE CREATE ON SCHEMA tenantry FROM tenantry_gate;
