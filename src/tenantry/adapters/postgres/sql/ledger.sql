-- What a tenant reads of itself, run inside its unit of work. $1 is the tenant in every statement,
-- as it is in the row policy, which is the wall behind a filter that someone forgets.

-- name: usage
-- $2, $3: [start, end). $4: what to group by. One row per group with its totals (token_class
-- NULL), one per group and class. A request with several tags counts under each of them.
SELECT grouping(e.token_class) = 1 AS is_total, e.token_class,
       CASE WHEN 'model' = ANY ($4::text[]) THEN e.model END AS model,
       CASE WHEN 'day' = ANY ($4) THEN e.day END AS day,
       CASE WHEN 'hour' = ANY ($4) THEN date_trunc('hour', e.admitted_at, $5) END AS hour,
       CASE WHEN 'key' = ANY ($4) THEN e.api_key_id END AS key,
       CASE WHEN 'user' = ANY ($4) THEN coalesce(e.user_hash, '') END AS "user",
       CASE WHEN 'run' = ANY ($4) THEN coalesce(e.run_id, '') END AS run,
       t.tag, e.currency,
       count(DISTINCT e.request_id) AS requests, sum(e.quantity)::bigint AS quantity,
       sum(e.amount) AS charge
FROM tenantry.customer_ledger e
CROSS JOIN LATERAL (
  SELECT x.key || '=' || x.value AS tag FROM jsonb_each_text(e.tags) x
  WHERE 'tag' = ANY ($4)
  UNION ALL
  SELECT '' WHERE 'tag' = ANY ($4) AND e.tags = '{}'
  UNION ALL
  SELECT NULL WHERE 'tag' <> ALL ($4)
) t
WHERE e.tenant_id = $1 AND e.admitted_at >= $2 AND e.admitted_at < $3
GROUP BY GROUPING SETS (
  (3, 4, 5, 6, 7, 8, t.tag, e.currency),
  (3, 4, 5, 6, 7, 8, t.tag, e.currency, e.token_class)
)
ORDER BY 3, 4, 5, 6, 7, 8, t.tag, e.currency, is_total DESC, e.token_class;

-- name: counters
-- What the counters say now; of a day or minute that has passed they say nothing.
SELECT p.requests_per_day, p.requests_per_minute, p.tokens_per_minute, p.concurrent_requests,
       CASE WHEN c.day_end > clock_timestamp() THEN c.day_requests ELSE 0 END AS day_requests,
       c.day_end, c.in_flight, c.latest_slot, c.request_slots, c.token_slots,
       floor(extract(epoch FROM clock_timestamp()) / 6)::bigint AS now_slot
FROM tenantry.tenant t
JOIN tenantry.plan p ON p.name = t.plan AND p.superseded_at IS NULL
JOIN tenantry.counter c ON c.tenant_id = t.tenant_id
WHERE t.tenant_id = $1;

-- name: budgets
-- The plan's budget, the tenant's, and those of the API key $2.
SELECT u.subject, u.period, u.basis, u.settled, u.reserved,
       nullif(u.period_end, 'infinity') AS resets_at,
       CASE u.subject WHEN 'plan' THEN p.monthly_budget ELSE u.amount END AS amount,
       CASE u.subject WHEN 'plan' THEN p.budget_hard ELSE u.hard END AS hard
FROM tenantry.budget_use u
JOIN tenantry.tenant t ON t.tenant_id = u.tenant_id
JOIN tenantry.plan p ON p.name = t.plan AND p.superseded_at IS NULL
WHERE u.tenant_id = $1 AND u.subject IN ('plan', 'tenant', 'api_key:' || $2::text)
  AND u.basis = 'charge'  -- a guard in provider cost is the operator's, and no tenant's to see
  AND u.period_start <= clock_timestamp() AND u.period_end > clock_timestamp()
ORDER BY u.subject, u.period;

-- name: invoice_lines
SELECT model, token_class, sum(quantity)::bigint AS quantity, sum(amount) AS charge
FROM tenantry.customer_ledger
WHERE tenant_id = $1 AND admitted_at >= $2 AND admitted_at < $3
GROUP BY model, token_class ORDER BY model, token_class;
