-- What is done to a tenant's invoicing has instants in the order in which it is done, whatever the clock
-- says: by them it is told what an invoice was made from, and what came after it.

GRANT CREATE ON SCHEMA tenantry TO tenantry_gate;
SET LOCAL ROLE tenantry_gate;

-- The instant of what is done now, under the tenant's lock: by the clock, and later than all that was
-- done before. NULL: of no tenant.
CREATE FUNCTION tenantry.billing_instant(p_tenant_id text) RETURNS timestamptz LANGUAGE sql AS $$
  SELECT greatest(clock_timestamp(), max(x.at) + interval '1 microsecond')
  FROM (
    SELECT greatest(i.issued_at, i.voided_at) FROM tenantry.invoice i
    WHERE i.tenant_id = p_tenant_id
    UNION ALL
    SELECT r.tried_at FROM tenantry.invoice_run r
    WHERE r.tenant_id = p_tenant_id AND r.outcome = 'nothing'
    UNION ALL
    SELECT e.posted_at FROM tenantry.billing_entry e WHERE e.tenant_id = p_tenant_id
    UNION ALL
    SELECT c.entered_at FROM tenantry.contract c WHERE c.tenant_id = p_tenant_id
  ) x (at)
$$;
GRANT EXECUTE ON FUNCTION tenantry.billing_instant TO tenantry_control;

DROP FUNCTION tenantry.next_number(text, text);

-- As in 0050. Of one tenant, which code of before does not name, later documents have later instants.
CREATE FUNCTION tenantry.next_number(
  p_prefix text, p_zone text DEFAULT 'UTC', p_tenant_id text DEFAULT NULL,
  OUT series text, OUT count bigint, OUT at timestamptz
) LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, tenantry, pg_temp AS $$
BEGIN
  at := tenantry.billing_instant(p_tenant_id);
  FOR turn IN 1..2 LOOP
    series := p_prefix || '-' || extract(year FROM at AT TIME ZONE p_zone);
    INSERT INTO tenantry.invoice_series VALUES (series, 0) ON CONFLICT DO NOTHING;
    SELECT s.last + 1 INTO count FROM tenantry.invoice_series s
    WHERE s.series = next_number.series FOR UPDATE;
    at := tenantry.billing_instant(p_tenant_id);
    IF series = p_prefix || '-' || extract(year FROM at AT TIME ZONE p_zone) THEN
      RETURN;
    END IF;
  END LOOP;
  RAISE EXCEPTION 'the clock was set while a number was taken'
    USING ERRCODE = 'object_not_in_prerequisite_state';
END $$;
COMMENT ON FUNCTION tenantry.next_number IS
  'Numbers are one series over all tenants; locks one row and writes no document.';
GRANT EXECUTE ON FUNCTION tenantry.next_number TO tenantry_control;

-- As in 0019, with that instant: after the document that is posted.
CREATE OR REPLACE FUNCTION tenantry.write_entries(
  p_tenant_id text, p_posting_id uuid, p_invoice_id text, p_period_start timestamptz,
  p_entries jsonb, p_note text
) RETURNS void LANGUAGE sql AS $$
  INSERT INTO tenantry.billing_entry (tenant_id, posting_id, line, invoice_id, period_start,
    kind, debit, credit, amount, currency, note, posted_at)
  SELECT p_tenant_id, p_posting_id, e.line, p_invoice_id, p_period_start, e.kind, e.debit,
         e.credit, e.amount, e.currency, p_note,
         (SELECT tenantry.billing_instant(p_tenant_id))
  FROM ROWS FROM (jsonb_to_recordset(p_entries)
    AS (kind text, debit text, credit text, amount numeric, currency text))
    WITH ORDINALITY AS e (kind, debit, credit, amount, currency, line)
$$;

-- As in 0041, at that instant.
CREATE OR REPLACE FUNCTION tenantry.void_invoice(p_tenant_id text, p_number text, p_reason text)
RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, tenantry, pg_temp AS $$
DECLARE
  found_invoice tenantry.invoice;
  posting       constant uuid := gen_random_uuid();
  at            timestamptz;
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
  at := tenantry.billing_instant(p_tenant_id);
  UPDATE tenantry.invoice i SET status = 'void', voided_at = at, void_reason = p_reason
  WHERE i.tenant_id = p_tenant_id AND i.number = p_number;
  INSERT INTO tenantry.billing_entry (tenant_id, posting_id, line, invoice_id, period_start,
    kind, debit, credit, amount, currency, note, posted_at)
  SELECT e.tenant_id, posting, e.line, e.invoice_id, e.period_start,
         CASE e.kind WHEN 'credit_used' THEN 'credit_returned'
                     WHEN 'credit_returned' THEN 'credit_used' ELSE e.kind END,
         e.credit, e.debit, e.amount, e.currency, 'void of ' || p_number, at
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
