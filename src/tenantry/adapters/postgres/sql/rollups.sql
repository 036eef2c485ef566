-- The roll-ups' own statements, as tenantry_control. $1, $2: the hours [since, until); $3: of some
-- tenants, NULL: of all.

-- name: next_hours
-- What is to be rolled up next, at most $1 hours of it; an hour waits for 10 minutes after its end.
-- The first time it is all that there was before the first tenant, from an instant that a driver can
-- tell. `back`: where the roll-ups are to end instead, for they go beyond what the clock says; at most
-- $2 hours at once, and nothing that is there for good.
SELECT greatest(r.through, '0001-01-02 00:00:00+00') AS since, least(c.over,
  CASE r.through WHEN '-infinity'
    THEN (SELECT date_trunc('hour', min(t.created_at), 'UTC') FROM tenantry.tenant t)
    ELSE r.through + $1::integer * interval '1 hour' END) AS until, b.back
FROM tenantry.rollup r
CROSS JOIN (
  SELECT n AS now, date_trunc('hour', n - interval '10 minutes', 'UTC') AS over
  FROM clock_timestamp() AS n
) c
LEFT JOIN LATERAL (
  SELECT greatest(c.over, tenantry.rolled_up_for_good(),
                  r.through - $2::integer * interval '1 hour') AS back
  WHERE r.through > c.now
) b ON b.back < r.through
FOR NO KEY UPDATE OF r;

-- name: marked_hours
-- Hours of [$1, $2) to which something was posted late or corrected, with the tenants concerned.
SELECT l.hour, array_agg(DISTINCT l.tenant_id) AS tenants FROM tenantry.late_hour l
WHERE l.hour >= $1 AND l.hour < $2 GROUP BY l.hour ORDER BY l.hour;

-- name: charges
INSERT INTO tenantry.charge_hour (tenant_id, hour, line, day, currency, model, price_version,
  token_class, unit_price, quantity, amount, requests, model_requests, entries, last_posted_at,
  plan, plan_version, service_tier, price_key)
SELECT x.tenant_id, x.hour, row_number() OVER (PARTITION BY x.tenant_id, x.hour), x.day,
       x.currency, x.model, x.price_version, x.token_class, x.unit_price, x.quantity, x.amount,
       x.requests, x.model_requests, x.entries, x.last_posted_at, x.plan, x.plan_version,
       x.service_tier, x.price_key
FROM (
  SELECT tenant_id, date_trunc('hour', admitted_at, 'UTC') AS hour, day, currency, model,
         price_version, token_class, unit_price, plan, plan_version, service_tier, price_key,
         sum(quantity)::bigint AS quantity, sum(amount) AS amount, sum(requests) AS requests,
         sum(model_requests) AS model_requests, sum(entries) AS entries,
         max(posted_at) AS last_posted_at
  FROM tenantry.priced_lines($3, $1, $2)
  GROUP BY tenant_id, 2, day, currency, model, price_version, token_class, unit_price, plan,
           plan_version, service_tier, price_key
) x;

-- name: charge_details
INSERT INTO tenantry.charge_hour_detail (tenant_id, hour, line, day, currency, model, api_key_id,
  user_hash, run_id, tags, token_class, quantity, amount, requests, model_requests, entries)
SELECT x.tenant_id, x.hour, row_number() OVER (PARTITION BY x.tenant_id, x.hour), x.day,
       x.currency, x.model, x.api_key_id, x.user_hash, x.run_id, x.tags, x.token_class,
       x.quantity, x.amount, x.requests, x.model_requests, x.entries
FROM (
  SELECT tenant_id, date_trunc('hour', admitted_at, 'UTC') AS hour, day, currency, model,
         api_key_id, user_hash, run_id, tags, token_class, sum(quantity)::bigint AS quantity,
         sum(amount) AS amount, sum(requests) AS requests, sum(model_requests) AS model_requests,
         sum(entries) AS entries
  FROM tenantry.charge_line
  WHERE admitted_at >= $1 AND admitted_at < $2
    AND ($3::text[] IS NULL OR tenant_id = ANY ($3))
  GROUP BY tenant_id, 2, day, currency, model, api_key_id, user_hash, run_id, tags, token_class
) x;

-- name: cost_details
INSERT INTO tenantry.cost_hour_detail (tenant_id, hour, line, day, debit, retried, model,
  api_key_id, user_hash, run_id, tags, token_class, quantity, amount, requests, model_requests,
  entries)
SELECT x.tenant_id, x.hour, row_number() OVER (PARTITION BY x.tenant_id, x.hour), x.day, x.debit,
       x.retried, x.model, x.api_key_id, x.user_hash, x.run_id, x.tags, x.token_class,
       x.quantity, x.amount, x.requests, x.model_requests, x.entries
FROM (
  SELECT tenant_id, date_trunc('hour', admitted_at, 'UTC') AS hour, day, debit, retried, model,
         api_key_id, user_hash, run_id, tags, token_class, sum(quantity)::bigint AS quantity,
         sum(amount) AS amount, sum(requests) AS requests, sum(model_requests) AS model_requests,
         sum(entries) AS entries
  FROM tenantry.cost_line
  WHERE admitted_at >= $1 AND admitted_at < $2
    AND ($3::text[] IS NULL OR tenant_id = ANY ($3))
  GROUP BY tenant_id, 2, day, debit, retried, model, api_key_id, user_hash, run_id, tags,
           token_class
) x;

-- name: reach
UPDATE tenantry.rollup SET through = $1;

-- name: late_hours
-- The oldest hours before $1 that have marks, at most $2, with the tenants concerned.
SELECT l.hour, array_agg(DISTINCT l.tenant_id) AS tenants FROM tenantry.late_hour l
WHERE l.hour < $1 GROUP BY l.hour ORDER BY l.hour LIMIT $2;

-- name: hours_before
-- The $2 hours before $1, NULL: before the newest that is rolled up and has begun; within $3 of that
-- one, and of what is not archived.
SELECT greatest(least($1::timestamptz, r.newest) - $2::integer * interval '1 hour',
         r.newest - $3::integer * interval '1 hour', tenantry.archived_through(),
         '0001-01-02 00:00:00+00') AS since,
       greatest(least($1, r.newest), '0001-01-02 00:00:00+00') AS until
FROM (
  SELECT least(x.through, date_trunc('hour', clock_timestamp(), 'UTC') + interval '1 hour') AS newest
  FROM tenantry.rollup x FOR NO KEY UPDATE
) r;

-- name: differing
-- Hours of [$1, $2) whose roll-ups do not hold as many postings as the books, with the tenants
-- concerned. Postings never change, so that this tells whether any is missing.
SELECT d.hour, array_agg(d.tenant_id) AS tenants FROM (
  SELECT x.tenant_id, x.hour FROM (
    SELECT e.tenant_id, date_trunc('hour', e.admitted_at, 'UTC') AS hour, count(*) AS charges,
           0::numeric AS costs
    FROM tenantry.charge_entry e
    WHERE e.admitted_at >= $1 AND e.admitted_at < $2 AND e.token_classes <> '{}' GROUP BY 1, 2
    UNION ALL
    SELECT e.tenant_id, date_trunc('hour', e.admitted_at, 'UTC'), 0, count(*)
    FROM tenantry.cost_entry e
    WHERE e.admitted_at >= $1 AND e.admitted_at < $2 AND e.token_classes <> '{}' GROUP BY 1, 2
    UNION ALL
    SELECT t.tenant_id, h.hour, -h.entries, 0 FROM tenantry.tenant t CROSS JOIN LATERAL (
      SELECT c.hour, c.entries FROM tenantry.charge_hour c
      WHERE c.tenant_id = t.tenant_id AND c.hour >= $1 AND c.hour < $2 OFFSET 0) h
    UNION ALL
    SELECT t.tenant_id, h.hour, 0, -h.entries FROM tenantry.tenant t CROSS JOIN LATERAL (
      SELECT c.hour, c.entries FROM tenantry.cost_hour_detail c
      WHERE c.tenant_id = t.tenant_id AND c.hour >= $1 AND c.hour < $2 OFFSET 0) h
  ) x
  GROUP BY x.tenant_id, x.hour HAVING sum(x.charges) <> 0 OR sum(x.costs) <> 0
) d
GROUP BY d.hour ORDER BY d.hour;

-- name: every_tenant
SELECT array_agg(t.tenant_id) AS tenants FROM tenantry.tenant t;

-- name: ahead
-- Where the roll-ups go beyond what the clock says; and what is there for good of it.
SELECT r.through, CASE WHEN g.until > clock_timestamp() THEN least(g.until, r.through) END AS for_good
FROM tenantry.rollup r, LATERAL (SELECT tenantry.rolled_up_for_good() AS until) g
WHERE r.through > clock_timestamp();

-- name: mend
-- Keeps the hour $1 of those tenants $2 whose roll-up of it, if there is one, lacks postings that an invoice
-- may have missed: posted by the watermark of one that there is, or at any time where a period waits for
-- one, or will soon: it may be in the making, or made before this commits.
INSERT INTO tenantry.mended_hour AS m (tenant_id, hour)
SELECT t.tenant_id, $1 FROM unnest($2::text[]) AS t (tenant_id)
CROSS JOIN LATERAL (
  SELECT CASE WHEN tenantry.waits_for_invoice(t.tenant_id, $1) THEN 'infinity'
           ELSE greatest(
             (SELECT max(i.watermark) FROM tenantry.invoice i
              WHERE i.tenant_id = t.tenant_id AND i.kind = 'invoice' AND i.period_end > $1),
             (SELECT max(x.watermark) FROM tenantry.invoice_run x
              WHERE x.tenant_id = t.tenant_id AND x.outcome = 'nothing' AND x.period_end > $1))
         END AS until
) w
CROSS JOIN LATERAL (
  SELECT coalesce(sum(c.entries), 0) AS entries, coalesce(max(c.last_posted_at), '-infinity') AS last
  FROM tenantry.charge_hour c WHERE c.tenant_id = t.tenant_id AND c.hour = $1
) r
CROSS JOIN LATERAL (
  SELECT count(*) AS entries, min(e.posted_at) AS first,
         count(*) FILTER (WHERE e.posted_at > r.last) AS later,
         min(e.posted_at) FILTER (WHERE e.posted_at > r.last) AS next
  FROM tenantry.charge_entry e
  WHERE w.until IS NOT NULL AND e.tenant_id = t.tenant_id AND e.admitted_at >= $1
    AND e.admitted_at < $1::timestamptz + interval '1 hour' AND e.token_classes <> '{}'
) l
WHERE l.first <= w.until AND (l.next <= w.until OR l.entries - r.entries > l.later)
ON CONFLICT (tenant_id, hour) DO UPDATE SET mended_at = clock_timestamp(), seen_at = NULL;

-- name: forget_marks
-- Those that this transaction's snapshot sees; what is posted meanwhile leaves others.
DELETE FROM tenantry.late_hour
WHERE hour >= $1 AND hour < $2 AND ($3::text[] IS NULL OR tenant_id = ANY ($3));

-- name: forget_charges
DELETE FROM tenantry.charge_hour WHERE hour >= $1 AND hour < $2 AND tenant_id = ANY ($3);

-- name: forget_charge_details
DELETE FROM tenantry.charge_hour_detail WHERE hour >= $1 AND hour < $2 AND tenant_id = ANY ($3);

-- name: forget_cost_details
DELETE FROM tenantry.cost_hour_detail WHERE hour >= $1 AND hour < $2 AND tenant_id = ANY ($3);
