-- The provider's book in the grain of the provider's bill, as tenantry_operator.

-- name: day_costs
-- Of attempts sent on the days [$1, $2) of UTC. $3: how many seconds before a day's end are late; $5: of
-- the tier $4. The bill goes by the time of the call, not of its admission, which may be up to a day
-- earlier.
SELECT (a.began_at AT TIME ZONE 'UTC')::date AS day, l.account, l.region, l.tenant_id, l.model,
       a.price_key, l.service_tier, l.token_class,
       sum(l.quantity)::bigint AS quantity, sum(l.amount) AS cost,
       coalesce(sum(l.quantity) FILTER (WHERE x.late), 0)::bigint AS late_quantity,
       coalesce(sum(l.amount) FILTER (WHERE x.late), 0) AS late_cost
FROM tenantry.provider_ledger l
JOIN tenantry.attempt a
  ON a.tenant_id = l.tenant_id AND a.request_id = l.request_id AND a.call = l.call
 AND a.attempt = l.attempt
CROSS JOIN LATERAL (
  SELECT extract(epoch FROM a.began_at)::bigint % 86400
      >= 86400 - CASE l.service_tier WHEN $4 THEN $5::integer ELSE $3::integer END AS late
) x
WHERE l.admitted_at >= $1::date - interval '1 day' AND l.admitted_at < $2::date
  AND a.began_at >= $1::date AND a.began_at < $2::date
GROUP BY 1, 2, 3, 4, 5, 6, 7, 8;

-- name: tenant_names
SELECT tenant_id, name FROM tenantry.tenant;
