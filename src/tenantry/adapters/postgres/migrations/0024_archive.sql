-- Archived months: their rows lie in signed files, a carry-forward entry for each tenant and book
-- stands for them, and replay starts from it. Their usage is answered from the roll-ups, which stay.
--
-- A month goes in one transaction of the owner's: the carry-forward is posted, and the partitions are
-- dropped. No role that serves requests can drop one.

CREATE TABLE tenantry.ledger_archive (
  month           date        PRIMARY KEY CHECK (month = date_trunc('month', month::timestamp)),
  manifest        text        NOT NULL,  -- its place in the archive's folder
  manifest_sha256 bytea       NOT NULL CHECK (length(manifest_sha256) = 32),
  archived_at     timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE tenantry.ledger_archive IS 'Months whose rows lie in files; in order, without a gap.';

CREATE TABLE tenantry.carry_forward (
  tenant_id text COLLATE "C" NOT NULL REFERENCES tenantry.tenant,
  month     date        NOT NULL REFERENCES tenantry.ledger_archive,
  book      text        NOT NULL CHECK (book IN ('charge', 'cost')),
  currency  text        NOT NULL,
  entries   bigint      NOT NULL,  -- postings of the month
  amount    numeric     NOT NULL,  -- of the month
  balance   numeric     NOT NULL,  -- of all months up to it: what replay starts from
  content   text        NOT NULL,  -- canonical JSON, with the manifest's digest
  signature bytea       NOT NULL CHECK (length(signature) = 64),  -- Ed25519 over the content
  PRIMARY KEY (tenant_id, month, book, currency)
);
COMMENT ON TABLE tenantry.carry_forward IS 'What an archived month came to, by tenant and book.';

GRANT SELECT ON tenantry.ledger_archive
  TO tenantry_app, tenantry_gate, tenantry_control, tenantry_operator;
GRANT SELECT ON tenantry.carry_forward TO tenantry_gate, tenantry_control, tenantry_operator;
GRANT INSERT ON tenantry.ledger_archive, tenantry.carry_forward TO tenantry_gate;

ALTER TABLE tenantry.carry_forward ENABLE ROW LEVEL SECURITY;
ALTER TABLE tenantry.carry_forward FORCE ROW LEVEL SECURITY;
CREATE POLICY accounting ON tenantry.carry_forward TO tenantry_gate
  USING (true) WITH CHECK (true);
CREATE POLICY reading ON tenantry.carry_forward FOR SELECT
  TO tenantry_control, tenantry_operator USING (true);
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON tenantry.carry_forward
  EXECUTE FUNCTION tenantry.refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON tenantry.ledger_archive
  EXECUTE FUNCTION tenantry.refuse_change();

-- The instant before which everything is archived; NULL: nothing is.
CREATE FUNCTION tenantry.archived_through() RETURNS timestamptz
LANGUAGE sql STABLE AS $$
  SELECT (max(a.month) + interval '1 month') AT TIME ZONE 'UTC' FROM tenantry.ledger_archive a
$$;
GRANT EXECUTE ON FUNCTION tenantry.archived_through
  TO tenantry_app, tenantry_gate, tenantry_control, tenantry_operator;

-- Why a month cannot be archived now; no row: it can.
CREATE FUNCTION tenantry.archive_obstacles(p_month date) RETURNS SETOF text
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
  -- What was posted to a final period since waits for the next invoice, which reads it in the ledger.
  RETURN QUERY
  SELECT format('%s tenants have adjustments of the month that are not invoiced, such as %s',
                count(DISTINCT c.tenant_id), min(c.tenant_id))
  FROM tenantry.charge_hour c
  JOIN (SELECT r.tenant_id, max(r.watermark) AS watermark FROM tenantry.invoice_run r
        WHERE r.outcome IN ('final', 'nothing') GROUP BY r.tenant_id) x
    ON x.tenant_id = c.tenant_id AND c.last_posted_at > x.watermark
  WHERE c.hour >= month_start AND c.hour < month_end
  HAVING count(*) > 0;
END $$;
GRANT EXECUTE ON FUNCTION tenantry.archive_obstacles TO tenantry_gate, tenantry_control;

-- What a month came to: by tenant, book, currency, with the quantities of each token class and both
-- legs of all transfers.
CREATE FUNCTION tenantry.month_sums(p_month date) RETURNS TABLE (
  tenant_id text, book text, currency text, entries bigint, amount numeric, quantities jsonb,
  accounts jsonb
) LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' AS $$
  WITH posted AS (
    SELECT 'charge' AS book, e.tenant_id, e.currency, e.debit, e.credit, e.amount,
           e.token_classes, e.quantities
    FROM tenantry.charge_entry e
    WHERE e.admitted_at >= p_month::timestamptz AND e.admitted_at < p_month + interval '1 month'
    UNION ALL
    SELECT 'cost', e.tenant_id, 'USD', e.debit, e.credit, e.amount, e.token_classes, e.quantities
    FROM tenantry.cost_entry e
    WHERE e.admitted_at >= p_month::timestamptz AND e.admitted_at < p_month + interval '1 month'
  ), transfers AS (
    SELECT p.tenant_id, p.book, p.currency, p.debit, p.credit, count(*) AS entries,
           sum(p.amount) AS amount
    FROM posted p GROUP BY p.tenant_id, p.book, p.currency, p.debit, p.credit
  ), used AS (
    SELECT p.tenant_id, p.book, p.currency, l.token_class, sum(l.quantity) AS quantity
    FROM posted p CROSS JOIN LATERAL unnest(p.token_classes, p.quantities)
      AS l (token_class, quantity)
    GROUP BY p.tenant_id, p.book, p.currency, l.token_class
  )
  SELECT s.tenant_id, s.book, s.currency, s.entries, s.amount,
    coalesce((
      SELECT jsonb_object_agg(u.token_class, u.quantity) FROM used u
      WHERE u.tenant_id = s.tenant_id AND u.book = s.book AND u.currency = s.currency), '{}'),
    (SELECT jsonb_object_agg(x.account, trim_scale(x.amount)::text) FROM (
       SELECT leg.account, sum(leg.amount) AS amount FROM transfers t
       CROSS JOIN LATERAL (VALUES (t.debit, t.amount), (t.credit, -t.amount))
         AS leg (account, amount)
       WHERE t.tenant_id = s.tenant_id AND t.book = s.book AND t.currency = s.currency
       GROUP BY leg.account) x)
  FROM (
    SELECT t.tenant_id, t.book, t.currency, sum(t.entries)::bigint AS entries,
           sum(t.amount) AS amount
    FROM transfers t GROUP BY t.tenant_id, t.book, t.currency
  ) s
$$;
GRANT EXECUTE ON FUNCTION tenantry.month_sums TO tenantry_gate, tenantry_control;

GRANT CREATE ON SCHEMA tenantry TO tenantry_gate;
SET LOCAL ROLE tenantry_gate;

-- Posts what stands for a month that is archived, if the books say the same. Its caller holds the
-- month's partitions against further postings.
CREATE FUNCTION tenantry.carry_forward(
  p_month date, p_manifest text, p_manifest_sha256 bytea, p_entries jsonb
) RETURNS void LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, tenantry, pg_temp AS $$
DECLARE
  obstacle text;
BEGIN
  SELECT string_agg(o, '; ') INTO obstacle FROM tenantry.archive_obstacles(p_month) o;
  IF obstacle IS NOT NULL THEN
    RAISE EXCEPTION '%', obstacle USING ERRCODE = 'object_not_in_prerequisite_state';
  END IF;
  SELECT format('%s %s: the books hold %s postings of %s, the archive %s of %s', coalesce(
           s.tenant_id, e.tenant_id), coalesce(s.book, e.book), s.entries, s.amount, e.entries,
           e.amount)
  INTO obstacle
  FROM tenantry.month_sums(p_month) s
  FULL JOIN jsonb_to_recordset(p_entries) AS e (tenant_id text, book text, currency text,
         entries bigint, amount numeric, quantities jsonb, accounts jsonb)
    ON e.tenant_id = s.tenant_id AND e.book = s.book AND e.currency = s.currency
  WHERE (s.entries, s.amount, s.quantities, s.accounts)
    IS DISTINCT FROM (e.entries, e.amount, e.quantities, e.accounts)
  LIMIT 1;
  IF obstacle IS NOT NULL THEN
    RAISE EXCEPTION 'the archive is not the month: %', obstacle
      USING ERRCODE = 'object_not_in_prerequisite_state';
  END IF;
  INSERT INTO tenantry.ledger_archive (month, manifest, manifest_sha256)
  VALUES (p_month, p_manifest, p_manifest_sha256);
  INSERT INTO tenantry.carry_forward (tenant_id, month, book, currency, entries, amount, balance,
    content, signature)
  SELECT e.tenant_id, p_month, e.book, e.currency, e.entries, e.amount,
         e.amount + coalesce((
           SELECT c.balance FROM tenantry.carry_forward c
           WHERE c.tenant_id = e.tenant_id AND c.book = e.book AND c.currency = e.currency
           ORDER BY c.month DESC LIMIT 1), 0),
         e.content, decode(e.signature, 'hex')
  FROM jsonb_to_recordset(p_entries) AS e (tenant_id text, book text, currency text,
    entries bigint, amount numeric, content text, signature text);
END $$;
COMMENT ON FUNCTION tenantry.carry_forward IS
  'Crosses tenants because a month is archived as a whole; posts nothing that the books do not hold.';
GRANT EXECUTE ON FUNCTION tenantry.carry_forward TO tenantry_owner;

-- What the ledger, the archived months and the open requests say of one budget and period.
CREATE OR REPLACE FUNCTION tenantry.budget_replay(
  p_tenant_id text, p_subject text, p_basis text, p_start timestamptz, p_end timestamptz,
  OUT settled numeric, OUT reserved numeric
) LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  archived constant timestamptz := tenantry.archived_through();
  zone     text;
  before   numeric := 0;
BEGIN
  IF p_start < archived THEN
    -- A period begins and ends with a civil day, which every row of the roll-ups names.
    zone := (SELECT t.zone FROM tenantry.tenant t WHERE t.tenant_id = p_tenant_id);
    SELECT coalesce(sum(d.amount), 0) INTO before
    FROM (
      SELECT c.hour, c.day, c.amount, c.api_key_id, c.user_hash, c.run_id
      FROM tenantry.charge_hour_detail c WHERE p_basis = 'charge' AND c.tenant_id = p_tenant_id
      UNION ALL
      SELECT c.hour, c.day, c.amount, c.api_key_id, c.user_hash, c.run_id
      FROM tenantry.cost_hour_detail c WHERE p_basis <> 'charge' AND c.tenant_id = p_tenant_id
    ) d
    WHERE d.hour < archived AND d.hour >= p_start - interval '1 hour' AND d.hour < p_end
      AND d.day >= CASE WHEN isfinite(p_start) THEN tenantry.day_of(p_start, zone)
                        ELSE '-infinity'::date END
      AND d.day < CASE WHEN isfinite(p_end) THEN tenantry.day_of(p_end, zone)
                       ELSE 'infinity'::date END
      AND p_subject = ANY (tenantry.subjects(
        d.api_key_id, nullif(d.user_hash, ''), nullif(d.run_id, '')));
  END IF;
  IF p_basis = 'charge' THEN
    SELECT coalesce(sum(e.amount), 0) INTO settled FROM tenantry.charge_entry e
    WHERE e.tenant_id = p_tenant_id AND e.admitted_at >= p_start AND e.admitted_at < p_end
      AND p_subject = ANY (tenantry.subjects(e.api_key_id, e.user_hash, e.run_id));
  ELSE
    SELECT coalesce(sum(e.amount), 0) INTO settled FROM tenantry.cost_entry e
    WHERE e.tenant_id = p_tenant_id AND e.admitted_at >= p_start AND e.admitted_at < p_end
      AND p_subject = ANY (tenantry.subjects(e.api_key_id, e.user_hash, e.run_id));
  END IF;
  settled := settled + before;
  SELECT coalesce(sum(CASE p_basis WHEN 'charge' THEN o.held_charge ELSE o.held_cost END), 0)
  INTO reserved FROM tenantry.open_request o
  WHERE o.tenant_id = p_tenant_id AND o.admitted_at >= p_start AND o.admitted_at < p_end
    AND p_subject = ANY (tenantry.subjects(o.api_key_id, o.user_hash, o.run_id));
END $$;

SET LOCAL ROLE tenantry_owner;
REVOKE CREATE ON SCHEMA tenantry FROM tenantry_gate;

-- Drops a month for what stands for it, all or nothing. The owner's alone. Postings to the month wait
-- while its sums are compared; everyone waits for the last moment, when its partitions go.
CREATE FUNCTION tenantry.drop_archived_month(
  p_month date, p_manifest text, p_manifest_sha256 bytea, p_entries jsonb
) RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  suffix    constant text := to_char(p_month, 'YYYY_MM');
  book      text;
BEGIN
  FOREACH book IN ARRAY ARRAY['charge_entry', 'cost_entry'] LOOP
    IF to_regclass('tenantry.' || book || '_' || suffix) IS NULL THEN
      RAISE EXCEPTION 'the month has no partition of its own'
        USING ERRCODE = 'object_not_in_prerequisite_state';
    END IF;
    EXECUTE format('LOCK TABLE tenantry.%I IN SHARE MODE', book || '_' || suffix);
  END LOOP;
  PERFORM tenantry.carry_forward(p_month, p_manifest, p_manifest_sha256, p_entries);
  FOREACH book IN ARRAY ARRAY['charge_entry', 'cost_entry'] LOOP
    EXECUTE format('ALTER TABLE tenantry.%I DETACH PARTITION tenantry.%I',
      book, book || '_' || suffix);
    EXECUTE format('DROP TABLE tenantry.%I', book || '_' || suffix);
  END LOOP;
END $$;

-- As before, and refused where a span needs rows that lie in files.
CREATE OR REPLACE FUNCTION tenantry.live_spans(
  p_tenant_id text, p_start timestamptz, p_end timestamptz, p_posted_through timestamptz,
  p_zone text
) RETURNS TABLE (since timestamptz, until timestamptz)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  b        record;
  archived constant timestamptz := tenantry.archived_through();
  live     record;
BEGIN
  IF p_start >= p_end THEN
    RETURN;
  END IF;
  b := tenantry.rolled_range(p_tenant_id, p_start, p_end);
  IF b.first_hour >= b.end_hour THEN
    b.first_hour := p_end;
    b.end_hour := p_end;
  END IF;
  FOR live IN
    SELECT p_start AS since, b.first_hour AS until WHERE p_start < b.first_hour
    UNION ALL
    SELECT b.end_hour, p_end WHERE b.end_hour < p_end
    UNION ALL
    SELECT greatest(h.hour, p_start), least(h.hour + interval '1 hour', p_end)
    FROM (
      SELECT l.hour FROM tenantry.late_hour l
      WHERE l.tenant_id = p_tenant_id AND l.hour >= b.first_hour AND l.hour < b.end_hour
      UNION
      SELECT c.hour FROM tenantry.charge_hour c
      WHERE p_posted_through < 'infinity' AND c.tenant_id = p_tenant_id
        AND c.hour >= b.first_hour AND c.hour < b.end_hour AND c.last_posted_at > p_posted_through
      UNION
      SELECT c.hour FROM tenantry.charge_hour c
      WHERE p_zone IS NOT NULL AND c.tenant_id = p_tenant_id
        AND c.hour >= b.first_hour AND c.hour < b.end_hour
        AND (date_trunc('hour', c.hour, p_zone) <> c.hour
             OR date_trunc('hour', c.hour + interval '59 minutes 59 seconds', p_zone) <> c.hour)
    ) h
  LOOP
    IF live.since < archived THEN
      RAISE EXCEPTION 'what was used before % is archived and told by whole hours (UTC) alone',
        to_char(archived AT TIME ZONE 'UTC', 'YYYY-MM-DD')
        USING ERRCODE = 'object_not_in_prerequisite_state';
    END IF;
    since := live.since;
    until := live.until;
    RETURN NEXT;
  END LOOP;
END $$;
