-- The operator's view over both books; no other role can run these.

-- name: costs
-- The provider's book of what was admitted in [$1, $2), by tenant, model or the tag $4 ($3 says
-- which). Waste beside an attempt that the customer paid for is a retry; other waste nobody pays.
-- A request is counted once a group, and an attempt without usage not at all. $6: with what the name
-- and the plan of an audit's canaries begin; what they used is one group beside the others.
SELECT t.is_audit, g.name, sum(c.amount) FILTER (WHERE c.retried IS NULL) AS cost,
       sum(c.amount) FILTER (WHERE c.retried) AS retries,
       sum(c.amount) FILTER (WHERE NOT c.retried) AS abandoned,
       sum(CASE WHEN $3::text = 'model' AND NOT t.is_audit THEN c.model_requests
                ELSE c.requests END)::bigint
         AS requests,
       coalesce(sum(c.quantity) FILTER (WHERE c.token_class = ANY ($5::text[])), 0)::bigint
         AS tokens
FROM tenantry.cost_between($1, $2) c
JOIN (
  SELECT tenant_id, starts_with(name, $6) AND starts_with(plan, $6) AS is_audit FROM tenantry.tenant
) t ON t.tenant_id = c.tenant_id
CROSS JOIN LATERAL (
  SELECT CASE WHEN t.is_audit THEN '' WHEN $3::text = 'tenant' THEN c.tenant_id
              WHEN $3::text = 'model' THEN c.model
              ELSE coalesce(c.tags ->> $4::text, '') END AS name
) g
GROUP BY t.is_audit, g.name;

-- name: charges
-- Without the canaries', whose plan has no price.
SELECT g.name, e.currency, sum(e.amount) AS charge
FROM tenantry.charge_between($1, $2) e
JOIN tenantry.tenant t ON t.tenant_id = e.tenant_id
CROSS JOIN LATERAL (
  SELECT CASE $3::text WHEN 'tenant' THEN e.tenant_id WHEN 'model' THEN e.model
                       ELSE coalesce(e.tags ->> $4::text, '') END AS name
) g
WHERE NOT (starts_with(t.name, $5) AND starts_with(t.plan, $5))
GROUP BY g.name, e.currency;

-- name: invoiced
-- What invoices of periods that begin in [$1, $2) brought beyond list charges, by tenant: fees,
-- allowances, overage, minimums, rounding, credit notes; a void takes it back. A period begins on a
-- civil day of its tenant, also where that day begins before or after the same day in UTC.
SELECT e.tenant_id, e.currency,
       sum(CASE WHEN starts_with(e.credit, 'revenue_') THEN e.amount ELSE -e.amount END) AS amount
FROM tenantry.billing_entry e
JOIN tenantry.tenant t ON t.tenant_id = e.tenant_id
WHERE e.period_start AT TIME ZONE t.zone >= $1::timestamptz AT TIME ZONE 'UTC'
  AND e.period_start AT TIME ZONE t.zone < $2::timestamptz AT TIME ZONE 'UTC'
  AND (starts_with(e.credit, 'revenue_') OR starts_with(e.debit, 'revenue_'))
GROUP BY e.tenant_id, e.currency;

-- name: names
SELECT tenant_id, name FROM tenantry.tenant WHERE tenant_id = ANY ($1::text[]);

-- name: months
SELECT b.tenant_id, t.name AS tenant, b.month, sum(b.cost) AS cost, sum(b.charge) AS charges,
       CASE WHEN count(DISTINCT b.currency) > 1 THEN ''
            ELSE coalesce(max(b.currency), 'USD') END AS currency,
       EXISTS (
         SELECT FROM tenantry.placement p
         WHERE p.placement_id = t.placement_id AND p.kind = 'silo'
       ) AS silo
FROM (
  SELECT tenant_id, date_trunc('month', at, 'UTC') AS month, sum(amount) AS cost, 0 AS charge,
         NULL AS currency
  FROM tenantry.cost_between($1, $2) GROUP BY 1, 2
  UNION ALL
  SELECT tenant_id, date_trunc('month', at, 'UTC'), 0, sum(amount), currency
  FROM tenantry.charge_between($1, $2) GROUP BY 1, 2, currency
) b
JOIN tenantry.tenant t ON t.tenant_id = b.tenant_id
WHERE NOT (starts_with(t.name, $3) AND starts_with(t.plan, $3))
GROUP BY b.tenant_id, t.name, t.placement_id, b.month
ORDER BY b.tenant_id, b.month;
