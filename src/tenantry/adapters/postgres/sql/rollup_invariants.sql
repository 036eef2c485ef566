-- The roll-ups against a replay of the ledger, read by tenantry_operator in one snapshot.

-- name: what_there_is
-- Which invariants there is anything to hold against.
SELECT true AS violations, true AS billing_violations,
       (SELECT through > '-infinity' FROM tenantry.rollup) AS rollup_violations,
       EXISTS (SELECT FROM tenantry.ledger_archive) AS archive_violations;

-- name: rollup_violations
-- $1: so many of the latest hours that have begun, and $2 of all, which differ from day to day. An hour
-- with a mark is read from the ledger, whatever its roll-up holds.
WITH rolled AS MATERIALIZED (
  SELECT least(r.through, date_trunc('hour', clock_timestamp(), 'UTC') + interval '1 hour') AS until
  FROM tenantry.rollup r
), hours AS MATERIALIZED (
  SELECT (SELECT r.until FROM rolled r) - n * interval '1 hour' AS hour
  FROM generate_series(1, $1::integer) AS n
  UNION
  (SELECT h.hour
   FROM generate_series((SELECT date_trunc('hour', min(t.created_at), 'UTC') FROM tenantry.tenant t),
     (SELECT r.until FROM rolled r) - interval '1 hour', interval '1 hour') AS h (hour)
   ORDER BY hashtextextended(h.hour::text, extract(epoch FROM current_date)::bigint) LIMIT $2)
), asked AS MATERIALIZED (
  SELECT t.tenant_id, h.hour FROM hours h CROSS JOIN tenantry.tenant t
  WHERE h.hour >= coalesce((SELECT tenantry.archived_through()), '-infinity')
    AND NOT EXISTS (SELECT FROM tenantry.late_hour l
                    WHERE l.tenant_id = t.tenant_id AND l.hour = h.hour)
), charges AS (
  SELECT l.* FROM hours h
  CROSS JOIN LATERAL (
    SELECT date_trunc('hour', c.admitted_at, 'UTC') AS hour, c.* FROM tenantry.charge_line c
    WHERE c.admitted_at >= h.hour AND c.admitted_at < h.hour + interval '1 hour' OFFSET 0
  ) l
  JOIN asked a ON a.tenant_id = l.tenant_id AND a.hour = l.hour
), costs AS (
  SELECT l.* FROM hours h
  CROSS JOIN LATERAL (
    SELECT date_trunc('hour', c.admitted_at, 'UTC') AS hour, c.* FROM tenantry.cost_line c
    WHERE c.admitted_at >= h.hour AND c.admitted_at < h.hour + interval '1 hour' OFFSET 0
  ) l
  JOIN asked a ON a.tenant_id = l.tenant_id AND a.hour = l.hour
), charge_replay AS (
  SELECT tenant_id, hour, day, currency, model, price_version, token_class, unit_price,
         sum(quantity) AS quantity, sum(amount) AS amount, sum(requests) AS requests,
         sum(model_requests) AS model_requests, sum(entries) AS entries,
         max(posted_at) AS last_posted_at
  FROM charges
  GROUP BY tenant_id, hour, day, currency, model, price_version, token_class, unit_price
), charge_rolled AS (
  SELECT tenant_id, hour, day, currency, model, price_version, token_class, unit_price,
         sum(quantity) AS quantity, sum(amount) AS amount, sum(requests) AS requests,
         sum(model_requests) AS model_requests, sum(entries) AS entries,
         max(last_posted_at) AS last_posted_at
  FROM asked JOIN tenantry.charge_hour USING (tenant_id, hour)
  GROUP BY tenant_id, hour, day, currency, model, price_version, token_class, unit_price
), detail_replay AS (
  SELECT tenant_id, hour, day, currency, model, api_key_id, user_hash, run_id, tags, token_class,
         sum(quantity) AS quantity, sum(amount) AS amount, sum(requests) AS requests,
         sum(model_requests) AS model_requests, sum(entries) AS entries
  FROM charges
  GROUP BY tenant_id, hour, day, currency, model, api_key_id, user_hash, run_id, tags, token_class
), detail_rolled AS (
  SELECT tenant_id, hour, day, currency, model, api_key_id, user_hash, run_id, tags, token_class,
         quantity, amount, requests, model_requests, entries
  FROM asked JOIN tenantry.charge_hour_detail USING (tenant_id, hour)
), cost_replay AS (
  SELECT tenant_id, hour, day, debit, retried, model, api_key_id, user_hash, run_id, tags,
         token_class, sum(quantity) AS quantity, sum(amount) AS amount, sum(requests) AS requests,
         sum(model_requests) AS model_requests, sum(entries) AS entries
  FROM costs
  GROUP BY tenant_id, hour, day, debit, retried, model, api_key_id, user_hash, run_id, tags,
           token_class
), cost_rolled AS (
  SELECT tenant_id, hour, day, debit, retried, model, api_key_id, user_hash, run_id, tags,
         token_class, quantity, amount, requests, model_requests, entries
  FROM asked JOIN tenantry.cost_hour_detail USING (tenant_id, hour)
)
SELECT 'roll_ups_equal_replay' AS invariant,
       format('%s %s: %s, %s has it alone', x.tenant_id, x.hour, x.what, x.side) AS detail
FROM (
  SELECT DISTINCT tenant_id, hour, 'charges' AS what, 'the ledger' AS side
  FROM (SELECT * FROM charge_replay EXCEPT ALL SELECT * FROM charge_rolled) d
  UNION ALL
  SELECT DISTINCT tenant_id, hour, 'charges', 'the roll-up'
  FROM (SELECT * FROM charge_rolled EXCEPT ALL SELECT * FROM charge_replay) d
  UNION ALL
  SELECT DISTINCT tenant_id, hour, 'charges in detail', 'the ledger'
  FROM (SELECT * FROM detail_replay EXCEPT ALL SELECT * FROM detail_rolled) d
  UNION ALL
  SELECT DISTINCT tenant_id, hour, 'charges in detail', 'the roll-up'
  FROM (SELECT * FROM detail_rolled EXCEPT ALL SELECT * FROM detail_replay) d
  UNION ALL
  SELECT DISTINCT tenant_id, hour, 'costs', 'the ledger'
  FROM (SELECT * FROM cost_replay EXCEPT ALL SELECT * FROM cost_rolled) d
  UNION ALL
  SELECT DISTINCT tenant_id, hour, 'costs', 'the roll-up'
  FROM (SELECT * FROM cost_rolled EXCEPT ALL SELECT * FROM cost_replay) d
) x
ORDER BY x.tenant_id, x.hour LIMIT 1000;

-- name: archive_violations
-- $1: so many of the archived months, which differ from day to day. What stands for a month equals
-- what its roll-ups hold, and no row of the ledger is older than the archive.
WITH months AS MATERIALIZED (
  SELECT a.month FROM tenantry.ledger_archive a
  ORDER BY hashtextextended(a.month::text, extract(epoch FROM current_date)::bigint) LIMIT $1
), told AS (
  SELECT c.tenant_id, c.month, c.book, sum(c.amount) AS amount FROM tenantry.carry_forward c
  JOIN months m ON m.month = c.month GROUP BY c.tenant_id, c.month, c.book
), rolled AS (
  SELECT t.tenant_id, m.month, 'charge' AS book, r.amount FROM months m
  CROSS JOIN tenantry.tenant t
  CROSS JOIN LATERAL (
    SELECT sum(h.amount) AS amount FROM tenantry.charge_hour h
    WHERE h.tenant_id = t.tenant_id AND h.hour >= m.month::timestamp AT TIME ZONE 'UTC'
      AND h.hour < (m.month + interval '1 month') AT TIME ZONE 'UTC') r
  UNION ALL
  SELECT t.tenant_id, m.month, 'charge', r.amount FROM months m
  CROSS JOIN tenantry.tenant t
  CROSS JOIN LATERAL (
    SELECT sum(h.amount) AS amount FROM tenantry.charge_hour_detail h
    WHERE h.tenant_id = t.tenant_id AND h.hour >= m.month::timestamp AT TIME ZONE 'UTC'
      AND h.hour < (m.month + interval '1 month') AT TIME ZONE 'UTC') r
  UNION ALL
  SELECT t.tenant_id, m.month, 'cost', r.amount FROM months m
  CROSS JOIN tenantry.tenant t
  CROSS JOIN LATERAL (
    SELECT sum(h.amount) AS amount FROM tenantry.cost_hour_detail h
    WHERE h.tenant_id = t.tenant_id AND h.hour >= m.month::timestamp AT TIME ZONE 'UTC'
      AND h.hour < (m.month + interval '1 month') AT TIME ZONE 'UTC') r
)
SELECT 'carry_forward_equals_roll_ups' AS invariant,
       format('%s %s %s: %s carried, %s rolled up', r.tenant_id, r.month, r.book, t.amount,
              r.amount) AS detail
FROM rolled r
LEFT JOIN told t ON t.tenant_id = r.tenant_id AND t.month = r.month AND t.book = r.book
WHERE coalesce(t.amount, 0) <> coalesce(r.amount, 0)
UNION ALL
SELECT 'balances_carry_on', format('%s %s %s: %s, should be %s', c.tenant_id, c.month, c.book,
                                   c.balance, c.expected)
FROM (
  SELECT x.*, sum(x.amount) OVER (
    PARTITION BY x.tenant_id, x.book, x.currency ORDER BY x.month) AS expected
  FROM tenantry.carry_forward x
) c
WHERE c.balance <> c.expected
UNION ALL
(SELECT 'nothing_is_older_than_the_archive', format('%s %s', e.tenant_id, e.request_id)
 FROM tenantry.charge_entry e WHERE e.admitted_at < tenantry.archived_through() LIMIT 10)
UNION ALL
(SELECT 'nothing_is_older_than_the_archive', format('%s %s', e.tenant_id, e.request_id)
 FROM tenantry.cost_entry e WHERE e.admitted_at < tenantry.archived_through() LIMIT 10)
LIMIT 1000;
