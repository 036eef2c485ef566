-- Which invoices price a period's usage as what came before, or after, that of another one. $1 is the
-- tenant.

-- name: own_periods
-- The period of the live invoice $2, and the earlier ones of which it holds usage.
SELECT i.issued_at, i.period_start FROM tenantry.invoice i
WHERE i.tenant_id = $1 AND i.number = $2 AND i.kind = 'invoice' AND i.status = 'final'
UNION
SELECT i.issued_at, u.period_start FROM tenantry.invoice i
JOIN tenantry.invoice_usage u ON u.tenant_id = i.tenant_id AND u.invoice_id = i.invoice_id
WHERE i.tenant_id = $1 AND i.number = $2 AND i.kind = 'invoice' AND i.status = 'final';

-- name: holders
-- Live invoices that hold usage of the periods from $2, newest first; those issued after $3, or NULL:
-- all.
SELECT DISTINCT i.issued_at, i.number, u.period_start FROM tenantry.invoice_usage u
JOIN tenantry.invoice i ON i.tenant_id = u.tenant_id AND i.invoice_id = u.invoice_id
WHERE u.tenant_id = $1 AND u.period_start = ANY($2::timestamptz[]) AND i.status = 'final'
  AND ($3::timestamptz IS NULL OR i.issued_at > $3)
ORDER BY i.issued_at DESC, u.period_start;

-- name: zone
SELECT zone FROM tenantry.tenant WHERE tenant_id = $1;

-- name: ends
-- All that were ever agreed; NULL among them.
SELECT NULL::date AS ends_on UNION SELECT ends_on FROM tenantry.contract WHERE tenant_id = $1;
