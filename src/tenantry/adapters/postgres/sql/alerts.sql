-- Alerts: raised by the worker, read and acknowledged by operators; all as tenantry_control.

-- name: moved_tenants
-- Tenants after $1 whose balances may have moved: who admitted something since the 6 s slot of $2, or
-- has something in flight. $3: a page.
SELECT tenant_id FROM tenantry.counter
WHERE tenant_id > $1 AND ($4 OR in_flight > 0
  OR latest_slot >= floor(extract(epoch FROM clock_timestamp() - $2::interval) / 6)::bigint)
ORDER BY tenant_id LIMIT $3;

-- name: crossed
-- What the tenants of $1 have settled of budgets and what was not told yet: a row an alert. What was
-- told of a limit as high or higher in the same currency is told: a key begins with the budget, its
-- period and the share, and a blank and the limit follow ('!' is what comes after a blank). A period
-- that ended lately is looked at too, because settlements come late, in the currency that it ended
-- with: no later contract converts it. $2: how lately, $3: a page, $4: the shares in per cent.
SELECT u.tenant_id, u.subject, u.period, u.basis, u.starts_at, u.ends_at, u.amount, u.hard,
       u.settled, u.reserved, u.rate, u.currency, x.percent, x.soft_alert_at
FROM (
  SELECT u.tenant_id, u.subject, u.period, u.basis, u.rate, u.settled * u.rate AS settled,
         u.reserved * u.rate AS reserved,
         coalesce((SELECT c.currency FROM tenantry.contract c
                   WHERE c.tenant_id = u.tenant_id AND c.entered_at < u.period_end
                   ORDER BY c.version DESC LIMIT 1), 'USD') AS currency,
         CASE WHEN isfinite(u.period_start) THEN u.period_start END AS starts_at,
         CASE WHEN isfinite(u.period_end) THEN u.period_end END AS ends_at,
         -- A soft alert's amount, which admission takes for a soft budget, has no shares.
         CASE u.subject WHEN 'plan' THEN (p.definition ->> 'monthly_budget')::numeric
           ELSE u.amount END AS amount,
         coalesce(CASE u.subject WHEN 'plan' THEN p.budget_hard ELSE u.hard END, true) AS hard,
         CASE u.subject WHEN 'plan' THEN (p.definition ->> 'soft_alert_at')::numeric END AS soft,
         u.period || ' ' || u.basis || ' ' || CASE WHEN isfinite(u.period_start)
           THEN to_char(u.period_start AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')
           ELSE 'ever' END AS key
  FROM tenantry.budget_use u
  JOIN tenantry.tenant t ON t.tenant_id = u.tenant_id
  JOIN tenantry.plan p ON p.name = t.plan AND p.superseded_at IS NULL
  WHERE u.tenant_id = ANY ($1::text[]) AND u.settled > 0
    AND u.period_end > now() - $2::interval  -- stable, so that the key serves it
) u
CROSS JOIN LATERAL (
  SELECT percent, NULL::numeric AS soft_alert_at, 'budget.threshold' AS kind,
         u.key || ' ' || percent AS key, u.amount AS due_of
  FROM unnest($4::integer[]) AS percent
  WHERE u.amount > 0 AND u.settled * 100 >= u.amount * percent
  UNION ALL
  SELECT NULL, u.soft, 'budget.soft_alert', u.key, u.soft WHERE u.soft > 0 AND u.settled >= u.soft
) x
WHERE NOT EXISTS (
  SELECT FROM tenantry.alert a
  WHERE a.tenant_id = u.tenant_id AND a.kind = x.kind AND a.subject = u.subject
    AND a.once_key >= x.key AND a.once_key < x.key || '!' AND a.expected >= x.due_of
    AND a.unit = CASE u.basis WHEN 'cost' THEN 'USD' ELSE u.currency END)
ORDER BY u.tenant_id, u.subject, u.period, u.basis, u.starts_at, x.percent NULLS LAST LIMIT $3;

-- name: insert_alert
-- The name of its tenant where it was not there before.
INSERT INTO tenantry.alert (tenant_id, alert_id, kind, subject, once_key, severity, starts_at,
  ends_at, observed, expected, unit, excess_tokens, excess_charge, currency, detail)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
ON CONFLICT (tenant_id, kind, subject, once_key) DO NOTHING
RETURNING (SELECT t.name FROM tenantry.tenant t WHERE t.tenant_id = $1);

-- name: due
-- Tenants after $2 with hours before $1 that nobody has judged. $3: a page.
SELECT t.tenant_id FROM tenantry.tenant t
LEFT JOIN tenantry.usage_watch w ON w.tenant_id = t.tenant_id
WHERE t.tenant_id > $2 AND (w.judged_through IS NULL OR w.judged_through < $1)
ORDER BY t.tenant_id LIMIT $3;

-- name: begin_watch
INSERT INTO tenantry.usage_watch (tenant_id)
SELECT tenant_id FROM tenantry.tenant WHERE tenant_id = $1
ON CONFLICT DO NOTHING;

-- name: idle
-- Those of $1 of whom no hour is known, and of whom neither book has anything that was admitted since
-- $2; an attempt that was throttled is in the provider's. $3: the lowest id that a request of then can
-- have, by which that book's key goes on. One look at each index a tenant, however large the books.
SELECT t.tenant_id FROM unnest($1::text[]) AS t (tenant_id)
WHERE (SELECT true FROM tenantry.watched_hour w WHERE w.tenant_id = t.tenant_id LIMIT 1) IS NULL
  AND (SELECT true FROM tenantry.charge_entry c
       WHERE c.tenant_id = t.tenant_id AND c.admitted_at >= $2 LIMIT 1) IS NULL
  AND (SELECT true FROM tenantry.cost_entry c
       WHERE c.tenant_id = t.tenant_id AND c.request_id >= $3::uuid AND c.admitted_at >= $2
       LIMIT 1) IS NULL;

-- name: begin_watches
INSERT INTO tenantry.usage_watch (tenant_id)
SELECT tenant_id FROM tenantry.tenant WHERE tenant_id = ANY ($1::text[])
ORDER BY tenant_id ON CONFLICT DO NOTHING;

-- name: end_watches
-- Sums and judgements of $1 are as far as $2, but for those that another worker holds or has taken
-- there.
UPDATE tenantry.usage_watch w
SET judged_through = $2, summed_through = greatest(w.summed_through, $2)
FROM (
  SELECT tenant_id FROM tenantry.usage_watch
  WHERE tenant_id = ANY ($1::text[]) AND (judged_through IS NULL OR judged_through < $2)
  FOR NO KEY UPDATE SKIP LOCKED
) free
WHERE w.tenant_id = free.tenant_id RETURNING w.tenant_id;

-- name: lock_watch
-- Nothing where another worker holds it, or has judged as far as $2.
SELECT w.judged_through, t.status, t.currency
FROM tenantry.usage_watch w
JOIN tenantry.tenant t ON t.tenant_id = w.tenant_id
WHERE w.tenant_id = $1 AND (w.judged_through IS NULL OR w.judged_through < $2)
FOR NO KEY UPDATE OF w SKIP LOCKED;

-- name: end_watch
UPDATE tenantry.usage_watch SET judged_through = $2 WHERE tenant_id = $1;

-- name: told_lately
SELECT kind, ends_at FROM tenantry.alert
WHERE tenant_id = $1 AND kind LIKE 'usage.%' AND ends_at >= $2;

-- name: planned
SELECT starts_at, ends_at FROM tenantry.alert_mute WHERE tenant_id = $1 AND ends_at >= $2
ORDER BY starts_at LIMIT 10000;

-- name: budget_uses
-- The balances of $1 whose period runs: the plan's first, then the tenant's. After the budget
-- ($2, $3, $4) or NULL, at most $5.
SELECT u.tenant_id, u.subject, u.period, u.basis, u.rate, u.settled * u.rate AS settled,
       u.reserved * u.rate AS reserved, tenantry.contract_currency(u.tenant_id) AS currency,
       CASE WHEN isfinite(u.period_start) THEN u.period_start END AS starts_at,
       CASE WHEN isfinite(u.period_end) THEN u.period_end END AS ends_at,
       CASE u.subject WHEN 'plan' THEN p.monthly_budget ELSE u.amount END AS amount,
       coalesce(CASE u.subject WHEN 'plan' THEN p.budget_hard ELSE u.hard END, true) AS hard
FROM tenantry.budget_use u
JOIN tenantry.tenant t ON t.tenant_id = u.tenant_id
JOIN tenantry.plan p ON p.name = t.plan AND p.superseded_at IS NULL
WHERE u.tenant_id = $1 AND u.period_start <= clock_timestamp() AND u.period_end > clock_timestamp()
  AND ($2::text IS NULL
    OR (u.subject <> 'plan', u.subject <> 'tenant', u.subject, u.period, u.basis)
     > ($2 <> 'plan', $2 <> 'tenant', $2, $3::text, $4::text))
ORDER BY u.subject <> 'plan', u.subject <> 'tenant', u.subject, u.period, u.basis LIMIT $5;

-- name: refused_use
-- The balance ($1, $2, $3, $4) of the period that ends at $5, NULL: never, with the limit $6 by which
-- it refused, at the rate $7 in the currency $8. Nothing where it is soft by now.
SELECT u.tenant_id, u.subject, u.period, u.basis, $7::numeric AS rate, u.settled * $7 AS settled,
       u.reserved * $7 AS reserved,
       CASE u.basis WHEN 'charge' THEN $8::text
         ELSE tenantry.contract_currency(u.tenant_id) END AS currency,
       CASE WHEN isfinite(u.period_start) THEN u.period_start END AS starts_at,
       CASE WHEN isfinite(u.period_end) THEN u.period_end END AS ends_at,
       $6::numeric AS amount, true AS hard
FROM tenantry.budget_use u
JOIN tenantry.tenant t ON t.tenant_id = u.tenant_id
JOIN tenantry.plan p ON p.name = t.plan AND p.superseded_at IS NULL
WHERE u.tenant_id = $1 AND u.subject = $2 AND u.period = $3 AND u.basis = $4
  AND u.period_end = coalesce($5::timestamptz, 'infinity')
  AND CASE u.subject WHEN 'plan' THEN p.budget_hard ELSE u.hard END IS NOT FALSE;

-- name: plan_by_values
-- What is not asked for is no condition then, and what is left has its index.
SET LOCAL plan_cache_mode = force_custom_plan;

-- name: alerts
-- Newest first. $1 tenant, $2 raised at or after, $3 whether acknowledged: NULL for any. $4: ids before
-- this one, $5: a page, $6: an id that is not after what was raised at $2. Names are looked up for the
-- page alone.
SELECT a.*, (SELECT t.name FROM tenantry.tenant t WHERE t.tenant_id = a.tenant_id) AS tenant_name
FROM (
  SELECT * FROM tenantry.alert
  WHERE ($1::text IS NULL OR tenant_id = $1)
    AND ($2::timestamptz IS NULL OR (raised_at >= $2 AND alert_id >= $6::text))
    AND ($3::boolean IS NULL OR (acknowledged_at IS NOT NULL) = $3)
    AND ($4::text IS NULL OR alert_id < $4)
  ORDER BY alert_id DESC LIMIT $5
) a
ORDER BY a.alert_id DESC;

-- name: acknowledge
UPDATE tenantry.alert a SET acknowledged_at = coalesce(acknowledged_at, clock_timestamp())
WHERE alert_id = $1
RETURNING a.*, (SELECT t.name FROM tenantry.tenant t WHERE t.tenant_id = a.tenant_id) AS tenant_name;

-- name: mute
INSERT INTO tenantry.alert_mute (tenant_id, mute_id, starts_at, ends_at, reason)
VALUES ($1, $2, $3, $4, $5) RETURNING *;

-- name: mutes
-- Latest start first. After ($2, $3) or NULL, at most $4.
SELECT * FROM tenantry.alert_mute
WHERE tenant_id = $1
  AND ($2::timestamptz IS NULL OR (starts_at, mute_id) < ($2, $3::text))
ORDER BY starts_at DESC, mute_id DESC LIMIT $4;

-- name: unmute
DELETE FROM tenantry.alert_mute WHERE tenant_id = $1 AND mute_id = $2;

-- name: count_raised
-- In one order, so that no two that raise wait for each other in a ring.
INSERT INTO tenantry.alert_total AS t (kind, severity, raised)
SELECT x.kind, x.severity, count(*) FROM unnest($1::text[], $2::text[]) AS x (kind, severity)
GROUP BY x.kind, x.severity ORDER BY x.kind COLLATE "C", x.severity COLLATE "C"
ON CONFLICT (kind, severity) DO UPDATE SET raised = t.raised + excluded.raised;

-- name: counts
SELECT kind, severity, raised FROM tenantry.alert_total ORDER BY kind, severity;
