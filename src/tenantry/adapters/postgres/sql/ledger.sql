-- What a tenant reads of itself, run inside its unit of work. $1 is the tenant in every statement,
-- as it is in the row policy, which is the wall behind a filter that someone forgets.

-- name: counters
-- What the counters say now; of a day or minute that has passed they say nothing.
SELECT p.requests_per_day, p.requests_per_minute, p.tokens_per_minute, p.concurrent_requests,
       CASE WHEN c.day_end > clock_timestamp() THEN c.day_requests ELSE 0 END AS day_requests,
       c.day_end, c.in_flight, c.latest_slot, c.request_slots, c.token_slots,
       floor(extract(epoch FROM clock_timestamp()) / 6)::bigint AS now_slot,
       coalesce(k.documents, 0) AS documents, coalesce(k.original_bytes, 0) AS stored_bytes
FROM tenantry.tenant t
JOIN tenantry.plan p ON p.name = t.plan AND p.superseded_at IS NULL
JOIN tenantry.counter c ON c.tenant_id = t.tenant_id
LEFT JOIN tenantry.knowledge_partition k ON k.tenant_id = t.tenant_id
WHERE t.tenant_id = $1;

-- name: budgets
-- The plan's budget and those of the subjects $2 (NULL: all), after ($3, $4), at most $5. A guard in
-- provider cost is the operator's, and no tenant's to see.
SELECT * FROM tenantry.budget_now b
WHERE b.tenant_id = $1
  AND b.basis = 'charge' AND ($2::text[] IS NULL OR b.subject = ANY ($2) OR b.subject = 'plan')
  AND (b.subject, b.period COLLATE "C") > ($3::text, $4::text)
ORDER BY b.subject, b.period COLLATE "C" LIMIT $5;
