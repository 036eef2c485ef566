-- Corrections of prices, as tenantry_control. $1 is the tenant.

-- name: still_open
-- Of requests admitted in [$2, $3) by the edition $4: how many attempts each has open, of the model $5
-- or any, and how many there are in all; the oldest $6. One that may still begin a call has one at
-- least, of whatever model that will be.
SELECT x.request_id, x.attempts, (sum(x.attempts) OVER ())::bigint AS in_all
FROM (
  SELECT o.request_id, o.admitted_at,
         greatest(count(i.request_id), (NOT o.final)::integer) AS attempts
  FROM tenantry.open_request o
  LEFT JOIN tenantry.intent i
    ON i.tenant_id = o.tenant_id AND i.request_id = o.request_id
   AND ($5::text IS NULL OR i.model = $5)
  WHERE o.tenant_id = $1 AND o.admitted_at >= $2 AND o.admitted_at < $3 AND o.price_version = $4
  GROUP BY o.tenant_id, o.request_id
) x
WHERE x.attempts > 0
ORDER BY x.admitted_at, x.request_id LIMIT $6;

-- name: correctable
-- Attempts that were admitted in [$2, $3), of the model $5 or any, whose latest posting was rated by
-- the edition $4: what stands of them, what rated them first and, where a line has no cost, the plan
-- that charged it. After the attempt ($6, $7, $8), at most $9, in the order of the provider's book, so
-- that each page begins where the one before ended.
SELECT a.admitted_at, a.request_id, a.call, a.attempt, a.price_key, s.step, (s.cost).region,
       (s.cost).service_tier, (s.cost).token_classes, (s.cost).quantities,
       (s.cost).unit_prices AS unit_costs, (s.cost).amounts AS costs,
       (s.charge).unit_prices, (s.charge).amounts AS charges, a.model, (s.charge).plan,
       (s.charge).plan_version,
       CASE WHEN 0 = ANY ((s.cost).unit_prices) THEN (
         SELECT p.definition - 'preamble' FROM tenantry.plan p
         WHERE p.name = (s.charge).plan AND p.version = (s.charge).plan_version
       ) END AS definition,
       o.token_classes AS first_classes, o.unit_costs AS first_costs,
       o.unit_prices AS first_prices
FROM (
  SELECT a.tenant_id, a.admitted_at, a.request_id, a.call, a.attempt, a.price_key,
         a.model
  FROM tenantry.cost_entry a
  WHERE a.tenant_id = $1 AND a.admitted_at >= $2 AND a.admitted_at < $3 AND a.kind = 'usage'
    AND ($5::text IS NULL OR a.model = $5)
    AND (a.request_id, a.call, a.attempt) > ($6::uuid, $7::smallint, $8::smallint)
    AND $4 = (
      SELECT x.price_version FROM tenantry.cost_entry x
      WHERE x.tenant_id = a.tenant_id AND x.admitted_at = a.admitted_at
        AND x.request_id = a.request_id AND x.call = a.call AND x.attempt = a.attempt
        AND x.kind NOT LIKE 'reversal%' AND x.token_classes <> '{}'
      ORDER BY tenantry.step_of(x.kind) DESC LIMIT 1)
  ORDER BY a.request_id, a.call, a.attempt LIMIT $9
) a
CROSS JOIN LATERAL tenantry.standing(
  a.tenant_id, a.admitted_at, a.request_id, a.call, a.attempt) s
CROSS JOIN LATERAL (
  SELECT x.token_classes, x.unit_prices AS unit_costs, h.unit_prices
  FROM tenantry.cost_entry x
  LEFT JOIN tenantry.charge_entry h
    ON h.tenant_id = x.tenant_id AND h.admitted_at = x.admitted_at
   AND h.request_id = x.request_id AND h.call = x.call AND h.attempt = x.attempt
   AND h.kind = x.kind
  WHERE x.tenant_id = a.tenant_id AND x.admitted_at = a.admitted_at
    AND x.request_id = a.request_id AND x.call = a.call AND x.attempt = a.attempt
    AND x.kind NOT LIKE 'reversal%' AND x.token_classes <> '{}'
  ORDER BY tenantry.step_of(x.kind) LIMIT 1
) o
ORDER BY a.request_id, a.call, a.attempt;

-- name: correct
SELECT tenantry.correct($1, $2) AS places;
