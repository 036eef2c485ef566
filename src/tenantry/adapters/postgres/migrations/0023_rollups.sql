-- Roll-ups: the ledger by UTC hour, so that a month's usage is read from thousands of rows and not
-- from millions. They replay exactly: a reader takes the hours that are rolled up and, in the same
-- snapshot, reads from the ledger what is not (tenantry.live_spans).
--
-- An hour is rolled up once it is over. What is posted to it afterwards leaves a mark in the same
-- transaction; a marked hour is read from the ledger until a round has rolled it up anew and deleted
-- the marks that its own snapshot saw. So no row is missed, whatever the order of commits.

-- A request counts once: in `requests` on one row of all of its hour, in `model_requests` on one
-- row of each model. So both add up over any set of rows.
CREATE TABLE tenantry.charge_hour (
  tenant_id      text COLLATE "C" NOT NULL,
  hour           timestamptz NOT NULL CHECK (hour = date_trunc('hour', hour, 'UTC')),
  line           integer     NOT NULL,
  day            date        NOT NULL,
  currency       text        NOT NULL,
  model          text        NOT NULL,
  price_version  integer     NOT NULL,
  token_class    text        NOT NULL,
  unit_price     numeric     NOT NULL,
  quantity       bigint      NOT NULL,
  amount         numeric     NOT NULL,
  requests       bigint      NOT NULL,
  model_requests bigint      NOT NULL,
  entries        bigint      NOT NULL,  -- postings of the ledger
  last_posted_at timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, hour, line)
);
COMMENT ON TABLE tenantry.charge_hour IS
  'The customer''s book by hour, model, token class and price.';

CREATE TABLE tenantry.charge_hour_detail (
  tenant_id      text COLLATE "C" NOT NULL,
  hour           timestamptz NOT NULL CHECK (hour = date_trunc('hour', hour, 'UTC')),
  line           integer     NOT NULL,
  day            date        NOT NULL,
  currency       text        NOT NULL,
  model          text        NOT NULL,
  api_key_id     text        NOT NULL,
  user_hash      text        NOT NULL,  -- '' : none was named
  run_id         text        NOT NULL,
  tags           jsonb       NOT NULL,
  token_class    text        NOT NULL,
  quantity       bigint      NOT NULL,
  amount         numeric     NOT NULL,
  requests       bigint      NOT NULL,
  model_requests bigint      NOT NULL,
  entries        bigint      NOT NULL,
  PRIMARY KEY (tenant_id, hour, line)
);
COMMENT ON TABLE tenantry.charge_hour_detail IS
  'The customer''s book by hour, model, token class, API key, user, run and tags.';

CREATE TABLE tenantry.cost_hour_detail (
  tenant_id   text COLLATE "C" NOT NULL,
  hour        timestamptz NOT NULL CHECK (hour = date_trunc('hour', hour, 'UTC')),
  line        integer     NOT NULL,
  day         date        NOT NULL,
  debit       text        NOT NULL,  -- cost_of_sales or waste
  retried     boolean,  -- of waste: whether another attempt of its call was charged
  model       text        NOT NULL,
  api_key_id  text        NOT NULL,
  user_hash   text        NOT NULL,
  run_id      text        NOT NULL,
  tags        jsonb       NOT NULL,
  token_class text        NOT NULL,
  quantity    bigint      NOT NULL,
  amount      numeric     NOT NULL,  -- USD
  requests    bigint      NOT NULL,
  model_requests bigint   NOT NULL,
  entries     bigint      NOT NULL,
  PRIMARY KEY (tenant_id, hour, line)
);
COMMENT ON TABLE tenantry.cost_hour_detail IS
  'The provider''s book by hour, as charge_hour_detail has the customer''s. No tenant reads it.';

CREATE TABLE tenantry.late_hour (
  tenant_id text COLLATE "C" NOT NULL,
  hour      timestamptz NOT NULL,
  mark      bigint GENERATED ALWAYS AS IDENTITY,
  PRIMARY KEY (tenant_id, hour, mark)
);
COMMENT ON TABLE tenantry.late_hour IS 'Hours to which something was posted late: roll up anew.';

CREATE TABLE tenantry.rollup (
  is_only boolean     PRIMARY KEY DEFAULT true CHECK (is_only),
  through timestamptz NOT NULL DEFAULT '-infinity'  -- hours before it are rolled up
);
COMMENT ON TABLE tenantry.rollup IS 'How far the ledger is rolled up, of all tenants together.';
INSERT INTO tenantry.rollup DEFAULT VALUES;

-- The rounds read an hour of all tenants.
CREATE INDEX charge_entry_by_time ON tenantry.charge_entry
  USING brin (admitted_at) WITH (pages_per_range = 32, autosummarize = on);

GRANT SELECT ON tenantry.rollup, tenantry.late_hour, tenantry.charge_hour,
  tenantry.charge_hour_detail TO tenantry_app, tenantry_gate, tenantry_control, tenantry_operator;
GRANT SELECT ON tenantry.cost_hour_detail
  TO tenantry_gate, tenantry_control, tenantry_operator;
GRANT INSERT ON tenantry.late_hour TO tenantry_gate;
GRANT DELETE ON tenantry.late_hour TO tenantry_control;
GRANT INSERT, DELETE ON tenantry.charge_hour, tenantry.charge_hour_detail,
  tenantry.cost_hour_detail TO tenantry_control;
GRANT UPDATE (through) ON tenantry.rollup TO tenantry_control;

DO $$
DECLARE
  table_name text;
BEGIN
  FOREACH table_name IN ARRAY ARRAY[
    'charge_hour', 'charge_hour_detail', 'cost_hour_detail', 'late_hour'
  ] LOOP
    EXECUTE format('ALTER TABLE tenantry.%I ENABLE ROW LEVEL SECURITY', table_name);
    EXECUTE format('ALTER TABLE tenantry.%I FORCE ROW LEVEL SECURITY', table_name);
    EXECUTE format('CREATE POLICY rolling_up ON tenantry.%I TO tenantry_control, tenantry_gate '
      'USING (true) WITH CHECK (true)', table_name);
    EXECUTE format('CREATE POLICY reading ON tenantry.%I FOR SELECT TO tenantry_operator '
      'USING (true)', table_name);
    CONTINUE WHEN table_name = 'cost_hour_detail';
    EXECUTE format('CREATE POLICY own_tenant ON tenantry.%I FOR SELECT TO tenantry_app '
      'USING (tenant_id = current_setting(''tenantry.tenant'', true))', table_name);
  END LOOP;
END $$;

-- A posting within 5 minutes of its admission finds its hour not rolled up: that waits for 10 after
-- the hour's end, and no transaction of ours lasts for 5. Any other leaves a mark.
CREATE FUNCTION tenantry.mark_late_hour() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  INSERT INTO tenantry.late_hour (tenant_id, hour)
  VALUES (NEW.tenant_id, date_trunc('hour', NEW.admitted_at, 'UTC'));
  RETURN NULL;
END $$;
GRANT EXECUTE ON FUNCTION tenantry.mark_late_hour TO tenantry_gate;
CREATE TRIGGER mark_late_hour AFTER INSERT ON tenantry.charge_entry FOR EACH ROW
  WHEN (NEW.kind <> 'usage' OR NEW.posted_at - NEW.admitted_at > interval '5 minutes')
  EXECUTE FUNCTION tenantry.mark_late_hour();
CREATE TRIGGER mark_late_hour AFTER INSERT ON tenantry.cost_entry FOR EACH ROW
  WHEN (NEW.kind <> 'usage' OR NEW.posted_at - NEW.admitted_at > interval '5 minutes')
  EXECUTE FUNCTION tenantry.mark_late_hour();

-- The books line by line, as they are rolled up. All rows of a request have its admitted_at, so a
-- reader's span of time reaches the books below the windows.
CREATE VIEW tenantry.charge_line WITH (security_invoker = true) AS
SELECT e.tenant_id, e.admitted_at, e.posted_at, e.day, e.currency, e.model, e.price_version,
       e.api_key_id, e.user_hash, e.run_id, e.tags, l.token_class, l.unit_price, l.quantity,
       l.amount, (l.place = 1 AND e.in_request = 1)::integer AS requests,
       (l.place = 1 AND e.in_model = 1)::integer AS model_requests,
       (l.place = 1)::integer AS entries
FROM (
  SELECT x.tenant_id, x.admitted_at, x.posted_at, x.day, x.currency, x.model, x.price_version,
         x.api_key_id, coalesce(x.user_hash, '') AS user_hash, coalesce(x.run_id, '') AS run_id,
         x.tags, x.token_classes, x.unit_prices, x.quantities, x.amounts,
         row_number() OVER (PARTITION BY x.tenant_id, x.admitted_at, x.request_id
           ORDER BY x.model, x.call, x.attempt, x.kind) AS in_request,
         row_number() OVER (PARTITION BY x.tenant_id, x.admitted_at, x.request_id, x.model
           ORDER BY x.call, x.attempt, x.kind) AS in_model
  FROM tenantry.charge_entry x WHERE x.token_classes <> '{}'
) e
CROSS JOIN LATERAL unnest(e.token_classes, e.unit_prices, e.quantities, e.amounts)
  WITH ORDINALITY AS l (token_class, unit_price, quantity, amount, place);
COMMENT ON VIEW tenantry.charge_line IS
  'The customer''s book line by line, with what counts requests.';

CREATE VIEW tenantry.cost_line WITH (security_invoker = true) AS
SELECT e.tenant_id, e.admitted_at, e.posted_at, e.day, e.debit, e.retried, e.model, e.api_key_id,
       e.user_hash, e.run_id, e.tags, l.token_class, l.unit_price, l.quantity, l.amount,
       (l.place = 1 AND e.in_request = 1)::integer AS requests,
       (l.place = 1 AND e.in_model = 1)::integer AS model_requests,
       (l.place = 1)::integer AS entries
FROM (
  SELECT x.tenant_id, x.admitted_at, x.posted_at, x.day, x.debit, x.model, x.api_key_id,
         coalesce(x.user_hash, '') AS user_hash, coalesce(x.run_id, '') AS run_id, x.tags,
         x.token_classes, x.unit_prices, x.quantities, x.amounts,
         CASE WHEN x.debit = 'waste' THEN EXISTS (
           SELECT FROM tenantry.charge_entry h
           WHERE h.tenant_id = x.tenant_id AND h.admitted_at = x.admitted_at
             AND h.request_id = x.request_id AND h.call = x.call) END AS retried,
         row_number() OVER (PARTITION BY x.tenant_id, x.admitted_at, x.request_id
           ORDER BY x.model, x.call, x.attempt, x.kind) AS in_request,
         row_number() OVER (PARTITION BY x.tenant_id, x.admitted_at, x.request_id, x.model
           ORDER BY x.call, x.attempt, x.kind) AS in_model
  FROM tenantry.cost_entry x WHERE x.token_classes <> '{}'
) e
CROSS JOIN LATERAL unnest(e.token_classes, e.unit_prices, e.quantities, e.amounts)
  WITH ORDINALITY AS l (token_class, unit_price, quantity, amount, place);
COMMENT ON VIEW tenantry.cost_line IS 'The provider''s book line by line, as it is rolled up.';
GRANT SELECT ON tenantry.charge_line TO tenantry_app, tenantry_control, tenantry_operator;
GRANT SELECT ON tenantry.cost_line TO tenantry_control, tenantry_operator;

-- The calendar's pure functions are asked where usage is read, too.
SET LOCAL ROLE tenantry_gate;
GRANT EXECUTE ON FUNCTION tenantry.midnight, tenantry.day_of
  TO tenantry_owner, tenantry_app, tenantry_control, tenantry_operator;
SET LOCAL ROLE tenantry_owner;

-- Which rows of the roll-ups lie in [p_start, p_end): the hours [first_hour, end_hour) and of those
-- the civil days [first_day, end_day). An hour that is cut by the span is among them only where a
-- civil midnight of the tenant cuts it, as in zones of half hours.
CREATE FUNCTION tenantry.rolled_range(
  p_tenant_id text, p_start timestamptz, p_end timestamptz,
  OUT first_hour timestamptz, OUT end_hour timestamptz, OUT first_day date, OUT end_day date
) LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  zone         constant text := (SELECT t.zone FROM tenantry.tenant t
                                 WHERE t.tenant_id = p_tenant_id);
  rolled       constant timestamptz := (SELECT r.through FROM tenantry.rollup r);
BEGIN
  first_hour := date_trunc('hour', p_start, 'UTC');
  end_hour := date_trunc('hour', p_end, 'UTC');
  first_day := '-infinity';
  end_day := 'infinity';
  IF first_hour < p_start THEN
    IF tenantry.midnight(tenantry.day_of(p_start, zone), zone) = p_start THEN
      first_day := tenantry.day_of(p_start, zone);
    ELSE
      first_hour := first_hour + interval '1 hour';
    END IF;
  END IF;
  IF end_hour < p_end AND tenantry.midnight(tenantry.day_of(p_end, zone), zone) = p_end
     AND end_hour < rolled THEN
    end_day := tenantry.day_of(p_end, zone);
    end_hour := end_hour + interval '1 hour';
  END IF;
  end_hour := least(end_hour, rolled);
END $$;

-- Which spans of [p_start, p_end) are to be read from the ledger: what is not rolled up yet, hours
-- that the span cuts, hours with a mark, hours to which something was posted after p_posted_through;
-- and, where p_zone is named, hours that are no hour of that zone's clock.
CREATE FUNCTION tenantry.live_spans(
  p_tenant_id text, p_start timestamptz, p_end timestamptz, p_posted_through timestamptz,
  p_zone text
) RETURNS TABLE (since timestamptz, until timestamptz)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  b record;
BEGIN
  IF p_start >= p_end THEN
    RETURN;
  END IF;
  b := tenantry.rolled_range(p_tenant_id, p_start, p_end);
  IF b.first_hour >= b.end_hour THEN
    RETURN QUERY SELECT p_start, p_end;
    RETURN;
  END IF;
  RETURN QUERY
  SELECT p_start, b.first_hour WHERE p_start < b.first_hour
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
  ) h;
END $$;

-- The customer's book over [p_start, p_end) as far as it was posted by p_posted_through: from the
-- roll-up where it may be, else from the ledger. `at` is the hour, or the instant.
CREATE FUNCTION tenantry.charged_usage(
  p_tenant_id text, p_start timestamptz, p_end timestamptz, p_posted_through timestamptz,
  p_zone text
) RETURNS TABLE (
  at timestamptz, day date, currency text, model text, price_version integer, token_class text,
  unit_price numeric, quantity bigint, amount numeric, requests bigint, model_requests bigint
) LANGUAGE sql STABLE AS $$
  WITH live AS MATERIALIZED (
    SELECT * FROM tenantry.live_spans(p_tenant_id, p_start, p_end, p_posted_through, p_zone)
  )
  SELECT r.hour, r.day, r.currency, r.model, r.price_version, r.token_class, r.unit_price,
         r.quantity, r.amount, r.requests, r.model_requests
  FROM tenantry.rolled_range(p_tenant_id, p_start, p_end) b
  CROSS JOIN LATERAL (
    SELECT * FROM tenantry.charge_hour c
    WHERE c.tenant_id = p_tenant_id AND c.hour >= b.first_hour AND c.hour < b.end_hour
      AND c.day >= b.first_day AND c.day < b.end_day
    OFFSET 0
  ) r
  WHERE NOT EXISTS (
    SELECT FROM live s WHERE s.since < r.hour + interval '1 hour' AND s.until > r.hour)
  UNION ALL
  SELECT l.admitted_at, l.day, l.currency, l.model, l.price_version, l.token_class,
         l.unit_price, l.quantity, l.amount, l.requests, l.model_requests
  FROM live s
  CROSS JOIN LATERAL (
    SELECT * FROM tenantry.charge_line c
    WHERE c.tenant_id = p_tenant_id AND c.admitted_at >= s.since AND c.admitted_at < s.until
      AND c.posted_at <= p_posted_through
    OFFSET 0
  ) l
$$;

-- The same in more detail: by API key, user, run and tags.
CREATE FUNCTION tenantry.charged_detail(
  p_tenant_id text, p_start timestamptz, p_end timestamptz, p_zone text
) RETURNS TABLE (
  at timestamptz, day date, currency text, model text, api_key_id text, user_hash text,
  run_id text, tags jsonb, token_class text, quantity bigint, amount numeric, requests bigint,
  model_requests bigint
) LANGUAGE sql STABLE AS $$
  WITH live AS MATERIALIZED (
    SELECT * FROM tenantry.live_spans(p_tenant_id, p_start, p_end, 'infinity', p_zone)
  )
  SELECT r.hour, r.day, r.currency, r.model, r.api_key_id, r.user_hash, r.run_id, r.tags,
         r.token_class, r.quantity, r.amount, r.requests, r.model_requests
  FROM tenantry.rolled_range(p_tenant_id, p_start, p_end) b
  CROSS JOIN LATERAL (
    SELECT * FROM tenantry.charge_hour_detail c
    WHERE c.tenant_id = p_tenant_id AND c.hour >= b.first_hour AND c.hour < b.end_hour
      AND c.day >= b.first_day AND c.day < b.end_day
    OFFSET 0
  ) r
  WHERE NOT EXISTS (
    SELECT FROM live s WHERE s.since < r.hour + interval '1 hour' AND s.until > r.hour)
  UNION ALL
  SELECT l.admitted_at, l.day, l.currency, l.model, l.api_key_id, l.user_hash, l.run_id, l.tags,
         l.token_class, l.quantity, l.amount, l.requests, l.model_requests
  FROM live s
  CROSS JOIN LATERAL (
    SELECT * FROM tenantry.charge_line c
    WHERE c.tenant_id = p_tenant_id AND c.admitted_at >= s.since AND c.admitted_at < s.until
    OFFSET 0
  ) l
$$;

GRANT EXECUTE ON FUNCTION tenantry.rolled_range, tenantry.live_spans, tenantry.charged_usage,
  tenantry.charged_detail TO tenantry_app, tenantry_control, tenantry_operator;
