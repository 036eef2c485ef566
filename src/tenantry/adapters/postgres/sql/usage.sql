-- Usage and charge of one tenant by groups, run inside its unit of work. $1 is the tenant.
-- $2, $3: [start, end). $4: what to group by. $5: the tenant's zone. One row per group with its
-- totals (token_class NULL), one per group and class.

-- name: period
-- The running billing period.
SELECT m.period_start, m.period_end
FROM tenantry.tenant t, tenantry.billing_period(clock_timestamp(), t.zone, t.anchor_day) m
WHERE t.tenant_id = $1;

-- name: usage
-- By model, day and hour: from the small roll-up.
SELECT grouping(e.token_class) = 1 AS is_total, e.token_class,
       CASE WHEN 'model' = ANY ($4::text[]) THEN e.model END AS model,
       CASE WHEN 'day' = ANY ($4) THEN e.day END AS day,
       CASE WHEN 'hour' = ANY ($4) THEN date_trunc('hour', e.at, $5) END AS hour,
       e.currency,
       sum(CASE WHEN 'model' = ANY ($4) THEN e.model_requests ELSE e.requests END)::bigint
         AS requests,
       sum(e.quantity)::bigint AS quantity, sum(e.amount) AS charge
FROM tenantry.charged_usage(
  $1, $2, $3, 'infinity', CASE WHEN 'hour' = ANY ($4) THEN $5::text END) e
GROUP BY GROUPING SETS ((3, 4, 5, e.currency), (3, 4, 5, e.currency, e.token_class))
ORDER BY 3, 4, 5, e.currency, is_total DESC, e.token_class;

-- name: usage_in_detail
-- Also by API key, user, tag and run; $6, $7: of one user or run alone. A request with several tags
-- counts under each of them.
SELECT grouping(e.token_class) = 1 AS is_total, e.token_class,
       CASE WHEN 'model' = ANY ($4::text[]) THEN e.model END AS model,
       CASE WHEN 'day' = ANY ($4) THEN e.day END AS day,
       CASE WHEN 'hour' = ANY ($4) THEN date_trunc('hour', e.at, $5) END AS hour,
       CASE WHEN 'key' = ANY ($4) THEN e.api_key_id END AS key,
       CASE WHEN 'user' = ANY ($4) THEN e.user_hash END AS "user",
       CASE WHEN 'run' = ANY ($4) THEN e.run_id END AS run,
       t.tag, e.currency,
       sum(CASE WHEN 'model' = ANY ($4) THEN e.model_requests ELSE e.requests END)::bigint
         AS requests,
       sum(e.quantity)::bigint AS quantity, sum(e.amount) AS charge
FROM tenantry.charged_detail(
  $1, $2, $3, CASE WHEN 'hour' = ANY ($4) THEN $5::text END) e
CROSS JOIN LATERAL (
  SELECT x.key || '=' || x.value AS tag FROM jsonb_each_text(e.tags) x
  WHERE 'tag' = ANY ($4)
  UNION ALL
  SELECT '' WHERE 'tag' = ANY ($4) AND e.tags = '{}'
  UNION ALL
  SELECT NULL WHERE 'tag' <> ALL ($4)
) t
WHERE ($6::text IS NULL OR e.user_hash = $6) AND ($7::text IS NULL OR e.run_id = $7)
GROUP BY GROUPING SETS (
  (3, 4, 5, 6, 7, 8, t.tag, e.currency),
  (3, 4, 5, 6, 7, 8, t.tag, e.currency, e.token_class)
)
ORDER BY 3, 4, 5, 6, 7, 8, t.tag, e.currency, is_total DESC, e.token_class;
