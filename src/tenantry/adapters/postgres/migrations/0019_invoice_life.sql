-- The doors of invoicing: the watermark, numbers, final documents, voids, prepaid credit. All run in
-- a transaction of control's; what they write, control may only read.

GRANT CREATE ON SCHEMA tenantry TO tenantry_gate;
SET LOCAL ROLE tenantry_gate;

-- The instant up to which a period's ledger is complete: taken under the tenant's lock, which every
-- posting holds, so that whatever is posted later is posted after it. `waiting`: requests of the
-- period that are not over; once its end has passed, and none waits, none can come.
CREATE FUNCTION tenantry.period_closing(
  p_tenant_id text, p_start timestamptz, p_end timestamptz,
  OUT watermark timestamptz, OUT is_over boolean, OUT waiting bigint, OUT named text[]
) LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, tenantry, pg_temp AS $$
BEGIN
  watermark := tenantry.lock_tenants(ARRAY[p_tenant_id]);
  is_over := p_end <= watermark;
  SELECT count(DISTINCT o.request_id),
         (array_agg(format('%s/%s:%s %s', o.request_id, i.call, i.attempt,
            coalesce('quarantined: ' || i.quarantined, i.state, 'open')) ORDER BY o.admitted_at)
         )[1:20]
  INTO waiting, named
  FROM tenantry.open_request o
  LEFT JOIN tenantry.intent i ON i.tenant_id = o.tenant_id AND i.request_id = o.request_id
  WHERE o.tenant_id = p_tenant_id AND o.admitted_at >= p_start AND o.admitted_at < p_end;
END $$;
COMMENT ON FUNCTION tenantry.period_closing IS
  'Takes a lock on counters, to which control has no grant; of one tenant, and writes nothing.';
GRANT EXECUTE ON FUNCTION tenantry.period_closing TO tenantry_control;

-- Locks a tenant's invoicing until the transaction ends, and says which period is next.
CREATE FUNCTION tenantry.lock_billing(
  p_tenant_id text, OUT period_start timestamptz, OUT period_end timestamptz
) LANGUAGE sql SECURITY DEFINER
SET search_path = pg_catalog, tenantry, pg_temp AS $$
  SELECT a.period_start, a.period_end FROM tenantry.billing_account a
  WHERE a.tenant_id = p_tenant_id FOR UPDATE
$$;
COMMENT ON FUNCTION tenantry.lock_billing IS
  'Takes a lock on a table to which control has no grant; of one tenant.';
GRANT EXECUTE ON FUNCTION tenantry.lock_billing TO tenantry_control;

-- The next number of this year's series, and the instant of issue. The row stays locked until the
-- transaction ends, so numbers have no gap, and later numbers later instants.
CREATE FUNCTION tenantry.next_number(
  p_prefix text, OUT series text, OUT count bigint, OUT at timestamptz
) LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, tenantry, pg_temp AS $$
BEGIN
  at := clock_timestamp();
  series := p_prefix || '-' || extract(year FROM at AT TIME ZONE 'UTC');
  INSERT INTO tenantry.invoice_series VALUES (series, 0) ON CONFLICT DO NOTHING;
  SELECT s.last + 1 INTO count FROM tenantry.invoice_series s
  WHERE s.series = next_number.series FOR UPDATE;
  at := clock_timestamp();
END $$;
COMMENT ON FUNCTION tenantry.next_number IS
  'Numbers are one series over all tenants; locks one row and writes no document.';
GRANT EXECUTE ON FUNCTION tenantry.next_number TO tenantry_control;

-- Moves a tenant on to the period after the one that is closed now.
CREATE FUNCTION tenantry.advance_billing(p_tenant_id text, p_start timestamptz, p_end timestamptz)
RETURNS void LANGUAGE plpgsql AS $$
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
    SET period_start = m.period_start, period_end = m.period_end
    FROM tenantry.tenant t, tenantry.billing_period(p_end, t.zone, t.anchor_day) m
    WHERE a.tenant_id = p_tenant_id AND t.tenant_id = p_tenant_id;
  END IF;
END $$;

-- Closes a period in which nothing was used and nothing is owed.
CREATE FUNCTION tenantry.close_period(p_tenant_id text, p_start timestamptz, p_end timestamptz)
RETURNS void LANGUAGE sql SECURITY DEFINER
SET search_path = pg_catalog, tenantry, pg_temp AS $$
  SELECT tenantry.advance_billing(p_tenant_id, p_start, p_end)
$$;
COMMENT ON FUNCTION tenantry.close_period IS
  'Writes what control may only read; closes one period of one tenant.';
GRANT EXECUTE ON FUNCTION tenantry.close_period TO tenantry_control;

CREATE FUNCTION tenantry.write_entries(
  p_tenant_id text, p_posting_id uuid, p_invoice_id text, p_period_start timestamptz,
  p_entries jsonb, p_note text
) RETURNS void LANGUAGE sql AS $$
  INSERT INTO tenantry.billing_entry (tenant_id, posting_id, line, invoice_id, period_start,
    kind, debit, credit, amount, currency, note)
  SELECT p_tenant_id, p_posting_id, e.line, p_invoice_id, p_period_start, e.kind, e.debit,
         e.credit, e.amount, e.currency, p_note
  FROM ROWS FROM (jsonb_to_recordset(p_entries)
    AS (kind text, debit text, credit text, amount numeric, currency text))
    WITH ORDINALITY AS e (kind, debit, credit, amount, currency, line)
$$;

-- Makes a document final: its number is taken, its bytes, its usage and its postings are written,
-- and an invoice's period is closed. `p_invoice` has the columns of tenantry.invoice by name.
CREATE FUNCTION tenantry.finalise(
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
    unit_price numeric, quantity bigint, charge numeric);
  PERFORM tenantry.write_entries(made.tenant_id, made.posting_id, made.invoice_id,
    made.period_start, p_entries, '');
END $$;
COMMENT ON FUNCTION tenantry.finalise IS
  'Writes what control may only read; one document of one tenant, numbered over all tenants.';
GRANT EXECUTE ON FUNCTION tenantry.finalise TO tenantry_control;

-- Voids a final document: it keeps its number and its bytes, every posting is made the other way
-- round, and its usage can be invoiced again. False: it was void before.
CREATE FUNCTION tenantry.void_invoice(p_tenant_id text, p_number text, p_reason text)
RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, tenantry, pg_temp AS $$
DECLARE
  found_invoice tenantry.invoice;
  posting constant uuid := gen_random_uuid();
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
         CASE e.kind WHEN 'credit_used' THEN 'credit_returned' ELSE e.kind END,
         e.credit, e.debit, e.amount, e.currency, 'void of ' || p_number
  FROM tenantry.billing_entry e
  WHERE e.tenant_id = p_tenant_id AND e.posting_id = found_invoice.posting_id;
  RETURN true;
END $$;
COMMENT ON FUNCTION tenantry.void_invoice IS
  'Writes what control may only read; one document of one tenant.';
GRANT EXECUTE ON FUNCTION tenantry.void_invoice TO tenantry_control;

-- Grants a prepaid credit, or takes back what is left of one; returns what is left then.
CREATE FUNCTION tenantry.post_credit(
  p_tenant_id text, p_entry jsonb, p_note text
) RETURNS numeric LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, tenantry, pg_temp AS $$
DECLARE
  left_over numeric;
BEGIN
  PERFORM tenantry.lock_billing(p_tenant_id);
  PERFORM tenantry.write_entries(
    p_tenant_id, gen_random_uuid(), NULL, NULL, jsonb_build_array(p_entry), p_note);
  SELECT coalesce(sum(CASE 'prepaid_credit' WHEN e.credit THEN e.amount WHEN e.debit
           THEN -e.amount ELSE 0 END), 0)
  INTO left_over FROM tenantry.billing_entry e
  WHERE e.tenant_id = p_tenant_id AND e.currency = p_entry ->> 'currency';
  IF left_over < 0 THEN
    RAISE EXCEPTION 'only % of the credit is left', left_over - (p_entry ->> 'amount')::numeric
      USING ERRCODE = 'object_not_in_prerequisite_state';
  END IF;
  RETURN left_over;
END $$;
COMMENT ON FUNCTION tenantry.post_credit IS
  'Writes what control may only read; one prepaid credit of one tenant.';
GRANT EXECUTE ON FUNCTION tenantry.post_credit TO tenantry_control;

SET LOCAL ROLE tenantry_owner;
REVOKE CREATE ON SCHEMA tenantry FROM tenantry_gate;
