-- The roll-ups' own statements, as tenantry_control. $1, $2: the hours [since, until); $3: of some
-- tenants, NULL: of all.

-- name: next_hours
-- What is to be rolled up next, at most $1 hours of it; an hour waits for 10 minutes after its end.
-- The first time it is all that there was before the first tenant, from an instant that a driver can
-- tell.
SELECT greatest(r.through, '0001-01-02 00:00:00+00') AS since, least(
  date_trunc('hour', clock_timestamp() - interval '10 minutes', 'UTC'),
  CASE r.through WHEN '-infinity'
    THEN (SELECT date_trunc('hour', min(t.created_at), 'UTC') FROM tenantry.tenant t)
    ELSE r.through + $1::integer * interval '1 hour' END) AS until
FROM tenantry.rollup r FOR NO KEY UPDATE;

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

-- name: advance
UPDATE tenantry.rollup SET through = $1;

-- name: late_hours
-- The oldest hours before $1 that have marks, at most $2, with the tenants concerned.
SELECT l.hour, array_agg(DISTINCT l.tenant_id) AS tenants FROM tenantry.late_hour l
WHERE l.hour < $1 GROUP BY l.hour ORDER BY l.hour LIMIT $2;

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
