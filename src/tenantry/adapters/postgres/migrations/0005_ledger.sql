-- The ledger: two books of transfers, append-only. A row is one posting: all that one attempt used,
-- as a transfer of `amount` from the account that is credited to the one that is debited. So a book
-- is double entry by its shape; the view `ledger_entries` shows both legs.
--
-- The four arrays are the posting's lines, one for each token class; the views `customer_ledger`
-- and `provider_ledger` show a line as a row. A unit price is for 1,000,000 units of quantity, and
-- nothing is rounded. That usage is never a credit is held by the door that workers post through
-- (0007): a CHECK would be parsed and compiled anew by every statement. Both books are partitioned by the month of admission.

-- admitted_at stands early in the key, which so serves reports over time as well.
CREATE TABLE tenantry.charge_entry (
  tenant_id     text COLLATE "C" NOT NULL,
  admitted_at   timestamptz NOT NULL,
  request_id    uuid        NOT NULL,
  call          smallint    NOT NULL,
  attempt       smallint    NOT NULL,
  kind          tenantry.entry_kind NOT NULL,
  debit         text        NOT NULL,
  credit        text        NOT NULL,
  amount        numeric     NOT NULL,
  currency      text        NOT NULL,
  token_classes text[]      NOT NULL,
  quantities    bigint[]    NOT NULL,
  unit_prices   numeric[]   NOT NULL,
  amounts       numeric[]   NOT NULL,
  posted_at     timestamptz NOT NULL,
  day           date        NOT NULL,  -- the civil day of admission in the tenant's zone
  period_start  timestamptz NOT NULL,
  price_version integer     NOT NULL,
  plan          text        NOT NULL,
  plan_version  integer     NOT NULL,
  model         text        NOT NULL,
  api_key_id    text        NOT NULL,
  user_hash     text,
  run_id        text,
  tags          jsonb       NOT NULL,
  flags         text[]      NOT NULL,
  PRIMARY KEY (tenant_id, admitted_at, request_id, call, attempt, kind)
) PARTITION BY RANGE (admitted_at);
COMMENT ON TABLE tenantry.charge_entry IS
  'The customer''s book: list charges in the contract''s currency.';

-- Each attempt that has ended has one row of kind `usage` here, which is its unique transition of
-- metering: one that posted nothing (`released`, `written_off`) has no lines and amount 0. What
-- arrives after that is one row of kind `adjustment`. A request's rows share its admitted_at, which
-- a key of a partitioned table must contain.
CREATE TABLE tenantry.cost_entry (
  tenant_id           text COLLATE "C" NOT NULL,
  admitted_at         timestamptz NOT NULL,
  request_id          uuid        NOT NULL,
  call                smallint    NOT NULL,
  attempt             smallint    NOT NULL,
  kind                tenantry.entry_kind NOT NULL,
  debit               text        NOT NULL,  -- cost_of_sales, or waste where nobody pays us
  credit              text        NOT NULL,
  amount              numeric     NOT NULL,  -- USD
  token_classes       text[]      NOT NULL,
  quantities          bigint[]    NOT NULL,
  unit_prices         numeric[]   NOT NULL,
  amounts             numeric[]   NOT NULL,
  posted_at           timestamptz NOT NULL,  -- the end of the attempt, where kind is usage
  day                 date        NOT NULL,
  period_start        timestamptz NOT NULL,
  price_version       integer     NOT NULL,
  plan                text        NOT NULL,
  plan_version        integer     NOT NULL,
  model               text        NOT NULL,
  account             text        NOT NULL,
  region              text        NOT NULL,
  service_tier        text        NOT NULL,
  api_key_id          text        NOT NULL,
  user_hash           text,
  run_id              text,
  tags                jsonb       NOT NULL,
  flags               text[]      NOT NULL,
  ending              tenantry.attempt_ending NOT NULL,
  charged             boolean     NOT NULL,  -- whether the customer's book has its posting
  began_at            timestamptz NOT NULL,
  operation           text        NOT NULL,
  price_key           text        NOT NULL,
  upstream_request_id text,
  tokens              bigint      NOT NULL,
  raw                 jsonb       NOT NULL,
  normaliser_version  integer     NOT NULL,
  error               text,
  PRIMARY KEY (tenant_id, request_id, call, attempt, kind, admitted_at)
) PARTITION BY RANGE (admitted_at);
COMMENT ON TABLE tenantry.cost_entry IS
  'The provider''s book: how each attempt ended and what it costs us, in USD. No tenant reads it.';
-- Rows lie in the order of time, so that a reader of some hours finds them by block.
CREATE INDEX cost_entry_by_time ON tenantry.cost_entry
  USING brin (admitted_at) WITH (pages_per_range = 32, autosummarize = on);

CREATE VIEW tenantry.attempt WITH (security_invoker = true) AS
SELECT tenant_id, request_id, call, attempt, ending, charged, admitted_at, began_at,
       posted_at AS ended_at, day, period_start, api_key_id, user_hash, run_id, tags, plan,
       plan_version, price_version, operation, model, price_key, account, region, service_tier,
       upstream_request_id, tokens, raw, normaliser_version, flags, error
FROM tenantry.cost_entry WHERE kind = 'usage';
COMMENT ON VIEW tenantry.attempt IS 'Attempts that have ended, each exactly once.';

-- Nobody but the owner could change a posted row, for want of a grant; and it cannot by accident.
CREATE FUNCTION tenantry.refuse_change() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RAISE EXCEPTION '% is append-only: post a linked reversal', TG_TABLE_NAME
    USING ERRCODE = 'integrity_constraint_violation';
END $$;

CREATE VIEW tenantry.customer_ledger WITH (security_invoker = true) AS
SELECT e.tenant_id, e.admitted_at, e.request_id, e.call, e.attempt, e.kind, l.token_class,
       l.amount, e.currency, l.quantity, l.unit_price, e.posted_at, e.day, e.period_start,
       e.price_version, e.plan, e.plan_version, e.model, e.api_key_id, e.user_hash, e.run_id,
       e.tags, e.flags
FROM tenantry.charge_entry e
CROSS JOIN LATERAL unnest(e.token_classes, e.quantities, e.unit_prices, e.amounts)
  AS l (token_class, quantity, unit_price, amount);
COMMENT ON VIEW tenantry.customer_ledger IS 'The customer''s book, line by line, to its tenant.';

CREATE VIEW tenantry.provider_ledger WITH (security_invoker = true) AS
SELECT e.tenant_id, e.admitted_at, e.request_id, e.call, e.attempt, e.kind, l.token_class,
       l.amount, 'USD' AS currency, l.quantity, l.unit_price, e.debit, e.posted_at, e.day,
       e.period_start, e.price_version, e.plan, e.plan_version, e.model, e.account, e.region,
       e.service_tier, e.api_key_id, e.user_hash, e.run_id, e.tags, e.flags
FROM tenantry.cost_entry e
CROSS JOIN LATERAL unnest(e.token_classes, e.quantities, e.unit_prices, e.amounts)
  AS l (token_class, quantity, unit_price, amount);
COMMENT ON VIEW tenantry.provider_ledger IS 'The provider''s book, line by line.';

CREATE VIEW tenantry.ledger_entries WITH (security_invoker = true) AS
SELECT e.tenant_id, e.book, e.currency, e.request_id, e.call, e.attempt, e.kind,
       leg.account, leg.amount, e.admitted_at, e.posted_at, e.period_start
FROM (
  SELECT 'charge' AS book, tenant_id, currency, request_id, call, attempt, kind,
         debit, credit, amount, admitted_at, posted_at, period_start
  FROM tenantry.charge_entry
  UNION ALL
  SELECT 'cost', tenant_id, 'USD', request_id, call, attempt, kind,
         debit, credit, amount, admitted_at, posted_at, period_start
  FROM tenantry.cost_entry WHERE token_classes <> '{}'
) e
CROSS JOIN LATERAL (VALUES (e.debit, e.amount), (e.credit, -e.amount)) AS leg (account, amount);
COMMENT ON VIEW tenantry.ledger_entries IS 'Both legs of every posting of both books.';

GRANT SELECT, INSERT ON tenantry.charge_entry, tenantry.cost_entry TO tenantry_gate;
GRANT SELECT ON tenantry.charge_entry, tenantry.cost_entry, tenantry.attempt,
  tenantry.provider_ledger, tenantry.ledger_entries
  TO tenantry_control, tenantry_operator;
GRANT SELECT ON tenantry.customer_ledger TO tenantry_app, tenantry_control, tenantry_operator;
-- security_invoker asks for the base table's columns; the accounts are not among them.
GRANT SELECT (tenant_id, admitted_at, request_id, call, attempt, kind, amount, currency,
              token_classes, quantities, unit_prices, amounts, posted_at, day, period_start,
              price_version, plan, plan_version, model, api_key_id, user_hash, run_id, tags,
              flags)
  ON tenantry.charge_entry TO tenantry_app;

DO $$
DECLARE
  table_name text;
BEGIN
  FOREACH table_name IN ARRAY ARRAY['charge_entry', 'cost_entry'] LOOP
    EXECUTE format('ALTER TABLE tenantry.%I ENABLE ROW LEVEL SECURITY', table_name);
    EXECUTE format('ALTER TABLE tenantry.%I FORCE ROW LEVEL SECURITY', table_name);
    EXECUTE format('CREATE POLICY accounting ON tenantry.%I TO tenantry_gate '
      'USING (true) WITH CHECK (true)', table_name);
    EXECUTE format('CREATE POLICY reading ON tenantry.%I FOR SELECT '
      'TO tenantry_control, tenantry_operator USING (true)', table_name);
    EXECUTE format('CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE '
      'ON tenantry.%I EXECUTE FUNCTION tenantry.refuse_change()', table_name);
  END LOOP;
  CREATE POLICY own_tenant ON tenantry.charge_entry FOR SELECT TO tenantry_app
    USING (tenant_id = current_setting('tenantry.tenant', true));
END $$;

-- A partition is walled like its book: whoever reached it directly would pass the book's policies
-- and triggers by, so it has none of the grants and its own of the rest.
CREATE FUNCTION tenantry.add_partition(p_book text, p_suffix text, p_bounds text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  partition constant text := p_book || '_' || p_suffix;
BEGIN
  EXECUTE format('CREATE TABLE tenantry.%I (LIKE tenantry.%I INCLUDING ALL)', partition, p_book);
  EXECUTE format('ALTER TABLE tenantry.%I ENABLE ROW LEVEL SECURITY', partition);
  EXECUTE format('ALTER TABLE tenantry.%I FORCE ROW LEVEL SECURITY', partition);
  EXECUTE format('CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE '
    'ON tenantry.%I EXECUTE FUNCTION tenantry.refuse_change()', partition);
  -- Attached, not created in place: that would stop everyone who reads or writes the book.
  EXECUTE format('ALTER TABLE tenantry.%I ATTACH PARTITION tenantry.%I %s',
    p_book, partition, p_bounds);
END $$;

-- Makes the partitions of p_months months from that of p_from on; returns how many were missing.
-- The owner's alone, who calls it at every start and once an hour. A month whose rows have begun to
-- fill the default partition stays there: it is told as a warning and nothing is refused.
CREATE FUNCTION tenantry.ensure_partitions(p_from date, p_months integer) RETURNS integer
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' AS $$
DECLARE
  month  timestamptz;
  bounds text;
  suffix text;
  book   text;
  made   integer := 0;
BEGIN
  FOR number IN 0 .. p_months - 1 LOOP
    month := date_trunc('month', p_from::timestamp) + number * interval '1 month';
    bounds := format('FOR VALUES FROM (%L) TO (%L)', month, month + interval '1 month');
    suffix := to_char(month, 'YYYY_MM');
    FOREACH book IN ARRAY ARRAY['charge_entry', 'cost_entry'] LOOP
      CONTINUE WHEN to_regclass(format('tenantry.%I', book || '_' || suffix)) IS NOT NULL;
      BEGIN
        PERFORM tenantry.add_partition(book, suffix, bounds);
        made := made + 1;
      EXCEPTION WHEN check_violation THEN
        RAISE WARNING '% of % stays in the default partition', book, suffix;
      END;
    END LOOP;
  END LOOP;
  RETURN made;
END $$;

SELECT tenantry.add_partition(book, 'default', 'DEFAULT')
FROM (VALUES ('charge_entry'), ('cost_entry')) AS b (book);
