-- What blocks an invoice is named by request; a void takes no prepaid credit back that is used up.

GRANT CREATE ON SCHEMA tenantry TO tenantry_gate;
SET LOCAL ROLE tenantry_gate;

-- As before, but `named` has one entry for each request, however many attempts it has open: a batch
-- has as many as records.
CREATE OR REPLACE FUNCTION tenantry.period_closing(
  p_tenant_id text, p_start timestamptz, p_end timestamptz,
  OUT watermark timestamptz, OUT is_over boolean, OUT waiting bigint, OUT named text[]
) LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, tenantry, pg_temp AS $$
BEGIN
  watermark := tenantry.lock_tenants(ARRAY[p_tenant_id]);
  is_over := p_end <= watermark;
  SELECT count(*) INTO waiting FROM tenantry.open_request o
  WHERE o.tenant_id = p_tenant_id AND o.admitted_at >= p_start AND o.admitted_at < p_end;
  SELECT array_agg(x.entry ORDER BY x.admitted_at, x.request_id) INTO named
  FROM (
    SELECT o.request_id, o.admitted_at,
           CASE WHEN count(i.request_id) > 1
             THEN format('%s, %s attempts: %s', o.request_id, count(i.request_id),
                         array_to_string((array_agg(DISTINCT w.state))[1:3], ', '))
             ELSE format('%s/%s:%s %s', o.request_id, min(i.call), min(i.attempt), min(w.state))
           END AS entry
    FROM (
      SELECT r.* FROM tenantry.open_request r
      WHERE r.tenant_id = p_tenant_id AND r.admitted_at >= p_start AND r.admitted_at < p_end
      ORDER BY r.admitted_at, r.request_id LIMIT 20
    ) o
    LEFT JOIN tenantry.intent i ON i.tenant_id = o.tenant_id AND i.request_id = o.request_id
    CROSS JOIN LATERAL (
      SELECT coalesce('quarantined: ' || i.quarantined, i.state, 'open') AS state
    ) w
    GROUP BY o.request_id, o.admitted_at
  ) x;
END $$;

-- As before. A credit note that gave back prepaid credit takes it again, if it is still there.
CREATE OR REPLACE FUNCTION tenantry.void_invoice(p_tenant_id text, p_number text, p_reason text)
RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, tenantry, pg_temp AS $$
DECLARE
  found_invoice tenantry.invoice;
  posting       constant uuid := gen_random_uuid();
  left_over     numeric;
BEGIN
  PERFORM tenantry.lock_billing(p_tenant_id);
  SELECT * INTO found_invoice FROM tenantry.invoice i
  WHERE i.tenant_id = p_tenant_id AND i.number = p_number;
  IF found_invoice.status = 'void' THEN
    RETURN false;
  END IF;
  IF NOT FOUND OR EXISTS (
    SELECT FROM tenantry.invoice i WHERE i.tenant_id = p_tenant_id
      AND i.credits_number = p_number AND i.status = 'final'
  ) THEN
    RAISE EXCEPTION 'the invoice has credit notes: void those first'
      USING ERRCODE = 'object_not_in_prerequisite_state';
  END IF;
  UPDATE tenantry.invoice i
  SET status = 'void', voided_at = clock_timestamp(), void_reason = p_reason
  WHERE i.tenant_id = p_tenant_id AND i.number = p_number;
  INSERT INTO tenantry.billing_entry (tenant_id, posting_id, line, invoice_id, period_start,
    kind, debit, credit, amount, currency, note)
  SELECT e.tenant_id, posting, e.line, e.invoice_id, e.period_start,
         CASE e.kind WHEN 'credit_used' THEN 'credit_returned'
                     WHEN 'credit_returned' THEN 'credit_used' ELSE e.kind END,
         e.credit, e.debit, e.amount, e.currency, 'void of ' || p_number
  FROM tenantry.billing_entry e
  WHERE e.tenant_id = p_tenant_id AND e.posting_id = found_invoice.posting_id;
  SELECT coalesce(sum(CASE 'prepaid_credit' WHEN e.credit THEN e.amount WHEN e.debit
           THEN -e.amount ELSE 0 END), 0)
  INTO left_over FROM tenantry.billing_entry e
  WHERE e.tenant_id = p_tenant_id AND e.currency = found_invoice.currency;
  IF left_over < 0 THEN
    RAISE EXCEPTION 'of the prepaid credit that it gave back, % % are used up', -left_over,
      found_invoice.currency USING ERRCODE = 'object_not_in_prerequisite_state';
  END IF;
  RETURN true;
END $$;

SET LOCAL ROLE tenantry_owner;
REVOKE CREATE ON SCHEMA tenantry FROM tenantry_gate;

CREATE INDEX invoice_void ON tenantry.invoice (tenant_id, period_start)
  WHERE kind = 'invoice' AND status = 'void';

-- Who was shredded before owes no fee and no minimum for what came after that day, as
-- `end_contract` of sql/shred.sql has it for those who are shredded now.
DO $$
DECLARE
  table_name text;
BEGIN
  FOREACH table_name IN ARRAY ARRAY['tenant', 'shred', 'contract'] LOOP
    EXECUTE format('ALTER TABLE tenantry.%I NO FORCE ROW LEVEL SECURITY', table_name);
  END LOOP;
  INSERT INTO tenantry.contract (tenant_id, version, legal_name, address, tax_id, email, currency,
    tax_rate, tax_label, payment_days, ends_on)
  SELECT t.tenant_id, coalesce(c.version, 0) + 1, coalesce(c.legal_name, t.name),
         coalesce(c.address, '{}'), c.tax_id, c.email, coalesce(c.currency, 'USD'),
         coalesce(c.tax_rate, 0), coalesce(c.tax_label, 'Tax'), coalesce(c.payment_days, 30), d.day
  FROM tenantry.shred s
  JOIN tenantry.tenant t ON t.tenant_id = s.tenant_id
  CROSS JOIN LATERAL (SELECT (s.asked_at AT TIME ZONE t.zone)::date + 1 AS day) d
  LEFT JOIN LATERAL (
    SELECT * FROM tenantry.contract x WHERE x.tenant_id = t.tenant_id
    ORDER BY x.version DESC LIMIT 1
  ) c ON true
  WHERE c.ends_on IS NULL OR c.ends_on > d.day;
  FOREACH table_name IN ARRAY ARRAY['tenant', 'shred', 'contract'] LOOP
    EXECUTE format('ALTER TABLE tenantry.%I FORCE ROW LEVEL SECURITY', table_name);
  END LOOP;
END $$;
