-- The ledger by hour of admission, for one tenant at a time and by index: $1 leads every key.

-- name: begin_watch
INSERT INTO tenantry.usage_watch (tenant_id)
SELECT tenant_id FROM tenantry.tenant WHERE tenant_id = $1
ON CONFLICT DO NOTHING;

-- name: lock_watch
SELECT summed_through FROM tenantry.usage_watch WHERE tenant_id = $1 FOR NO KEY UPDATE;

-- name: first_use
-- When the tenant's first use since $2 was admitted, by either book; null where there is none. Ids
-- of those are $3 at the least, and lead the provider's book in the order of the gateway's clock.
SELECT least(
  (SELECT min(admitted_at) FROM tenantry.charge_entry WHERE tenant_id = $1 AND admitted_at >= $2),
  (SELECT admitted_at FROM tenantry.cost_entry
   WHERE tenant_id = $1 AND request_id >= $3::uuid AND admitted_at >= $2
   ORDER BY request_id LIMIT 1)
);

-- name: end_sum
UPDATE tenantry.usage_watch SET summed_through = greatest(summed_through, $2)
WHERE tenant_id = $1;

-- name: forget
DELETE FROM tenantry.watched_hour WHERE tenant_id = $1 AND hour < $2;

-- name: sum_hours
-- Sums the hours of [$2, $3) anew. A throttled attempt used nothing, so no line tells of it. The key
-- of the provider's book leads by request, and ids begin with the time they were made at, so those of
-- these hours lie in [$4, $5) by the gateway's clock, however wrong it may be.
INSERT INTO tenantry.watched_hour AS w (tenant_id, hour, requests, tokens, input_tokens,
  cache_read_tokens, throttled, charge, cost)
SELECT $1, coalesce(x.hour, y.hour, z.hour), coalesce(x.requests, 0), coalesce(x.tokens, 0),
       coalesce(x.input_tokens, 0), coalesce(x.cache_read_tokens, 0), coalesce(z.throttled, 0),
       coalesce(x.charge, 0), coalesce(y.cost, 0)
FROM (
  SELECT date_trunc('hour', admitted_at, 'UTC') AS hour, count(DISTINCT request_id) AS requests,
         greatest(sum(quantity) FILTER (WHERE token_class IN (
           'uncached_in', 'cache_read', 'cache_write_5m', 'cache_write_1h', 'out', 'embedding')
           ), 0)::bigint AS tokens,
         greatest(sum(quantity) FILTER (WHERE token_class IN (
           'uncached_in', 'cache_read', 'cache_write_5m', 'cache_write_1h')), 0)::bigint
           AS input_tokens,
         greatest(sum(quantity) FILTER (WHERE token_class = 'cache_read'), 0)::bigint
           AS cache_read_tokens,
         greatest(sum(amount), 0) AS charge
  FROM tenantry.customer_ledger
  WHERE tenant_id = $1 AND admitted_at >= $2 AND admitted_at < $3
  GROUP BY 1
) x
FULL JOIN (
  SELECT date_trunc('hour', admitted_at, 'UTC') AS hour, greatest(sum(amount), 0) AS cost
  FROM tenantry.provider_ledger
  WHERE tenant_id = $1 AND request_id >= $4::uuid AND request_id < $5::uuid
    AND admitted_at >= $2 AND admitted_at < $3
  GROUP BY 1
) y ON y.hour = x.hour
FULL JOIN (
  SELECT date_trunc('hour', admitted_at, 'UTC') AS hour, count(*) AS throttled
  FROM tenantry.attempt
  WHERE tenant_id = $1 AND request_id >= $4::uuid AND request_id < $5::uuid
    AND admitted_at >= $2 AND admitted_at < $3
    AND ending = 'released' AND error ILIKE 'throttl%'
  GROUP BY 1
) z ON z.hour = coalesce(x.hour, y.hour)
ON CONFLICT (tenant_id, hour) DO UPDATE
  SET requests = excluded.requests, tokens = excluded.tokens,
      input_tokens = excluded.input_tokens, cache_read_tokens = excluded.cache_read_tokens,
      throttled = excluded.throttled, charge = excluded.charge, cost = excluded.cost
  WHERE (w.requests, w.tokens, w.input_tokens, w.cache_read_tokens, w.throttled, w.charge, w.cost)
    IS DISTINCT FROM (excluded.requests, excluded.tokens, excluded.input_tokens,
      excluded.cache_read_tokens, excluded.throttled, excluded.charge, excluded.cost);

-- name: hours
SELECT hour, requests, tokens, input_tokens, cache_read_tokens, throttled, charge, cost
FROM tenantry.watched_hour WHERE tenant_id = $1 AND hour >= $2 AND hour < $3 ORDER BY hour;
