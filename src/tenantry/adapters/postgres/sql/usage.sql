-- Usage and charge of one tenant by groups, run inside its unit of work. $1 is the tenant.
-- $2, $3: [start, end). $4: what to group by. $5: the tenant's zone. One row per group with its
-- totals (token_class NULL), one per group and class. A page is of so many groups (NULL: of all) behind
-- one, whose values and currency are given (NULL: from the first).
-- An hour begins where the zone's clock shows a full hour. Where the clock was moved by a part of an
-- hour, the full hour behind an instant lies before that, as the clock shows it now: such an hour
-- begins when the clock was moved, which it is at a full minute.

-- name: period
-- The running billing period.
SELECT m.period_start, m.period_end
FROM tenantry.tenant t, tenantry.billing_period(clock_timestamp(), t.zone, t.anchor_day) m
WHERE t.tenant_id = $1;

-- name: usage
-- By model, day and hour: from the small roll-up. $6 to $9: model, day, hour and currency of the group
-- before the page; $10: groups of a page.
WITH grouped AS (
SELECT grouping(e.token_class) = 1 AS is_total, e.token_class,
       CASE WHEN 'model' = ANY ($4::text[]) THEN e.model END AS model,
       CASE WHEN 'day' = ANY ($4) THEN e.day END AS day,
       h.hour,
       e.currency,
       sum(CASE WHEN 'model' = ANY ($4) THEN e.model_requests ELSE e.requests END)::bigint
         AS requests,
       sum(e.quantity)::bigint AS quantity, sum(e.amount) AS charge
FROM tenantry.charged_usage(
  $1, $2, $3, 'infinity', CASE WHEN 'hour' = ANY ($4) THEN $5::text END) e
CROSS JOIN LATERAL (
  SELECT CASE WHEN 'hour' = ANY ($4) THEN date_trunc('hour', e.at, $5) END AS mark
) m
CROSS JOIN LATERAL (
  SELECT CASE WHEN date_trunc('hour', m.mark, $5) <> m.mark THEN (
    SELECT min(moved) FROM generate_series(m.mark, e.at, interval '1 minute') moved
    WHERE date_trunc('hour', moved, $5) = m.mark
  ) ELSE m.mark END AS hour
) h
GROUP BY GROUPING SETS ((3, 4, 5, e.currency), (3, 4, 5, e.currency, e.token_class))
), page AS (
  SELECT g.*, dense_rank() OVER (ORDER BY model, day, hour, currency) AS place FROM grouped g
  WHERE $9::text IS NULL OR (
    coalesce(model, ''), coalesce(day, '-infinity'), coalesce(hour, '-infinity'), currency
  ) > (
    coalesce($6::text, ''), coalesce($7::date, '-infinity'),
    coalesce($8::timestamptz, '-infinity'), $9)
)
SELECT * FROM page WHERE $10::bigint IS NULL OR place <= $10
ORDER BY place, is_total DESC, token_class;

-- name: usage_in_detail
-- Also by API key, user, tag and run; $6, $7: of one user or run alone. A request with several tags
-- counts under each of them. $8 to $15: model, day, hour, key, user, run, tag and currency of the group
-- before the page; $16: groups of a page.
WITH grouped AS (
SELECT grouping(e.token_class) = 1 AS is_total, e.token_class,
       CASE WHEN 'model' = ANY ($4::text[]) THEN e.model END AS model,
       CASE WHEN 'day' = ANY ($4) THEN e.day END AS day,
       h.hour,
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
  SELECT CASE WHEN 'hour' = ANY ($4) THEN date_trunc('hour', e.at, $5) END AS mark
) m
CROSS JOIN LATERAL (
  SELECT CASE WHEN date_trunc('hour', m.mark, $5) <> m.mark THEN (
    SELECT min(moved) FROM generate_series(m.mark, e.at, interval '1 minute') moved
    WHERE date_trunc('hour', moved, $5) = m.mark
  ) ELSE m.mark END AS hour
) h
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
), page AS (
  SELECT g.*, dense_rank() OVER (ORDER BY model, day, hour, key, "user", run, tag, currency) AS place
  FROM grouped g
  WHERE $15::text IS NULL OR (
    coalesce(model, ''), coalesce(day, '-infinity'), coalesce(hour, '-infinity'),
    coalesce(key, ''), coalesce("user", ''), coalesce(run, ''), coalesce(tag, ''), currency
  ) > (
    coalesce($8::text, ''), coalesce($9::date, '-infinity'),
    coalesce($10::timestamptz, '-infinity'), coalesce($11::text, ''), coalesce($12::text, ''),
    coalesce($13::text, ''), coalesce($14::text, ''), $15)
)
SELECT * FROM page WHERE $16::bigint IS NULL OR place <= $16
ORDER BY place, is_total DESC, token_class;
