-- Which invoices price a period's usage as what came before, or after, that of another one. $1 is the
-- tenant.

-- name: issued
-- When the live invoice $2 was.
SELECT issued_at FROM tenantry.invoice
WHERE tenant_id = $1 AND number = $2 AND kind = 'invoice' AND status = 'final';

-- name: first_holder
-- When the oldest live invoice was issued that holds usage of the period from $2; NULL: there is none.
SELECT min(i.issued_at) AS issued_at FROM tenantry.invoice_usage u
JOIN tenantry.invoice i ON i.tenant_id = u.tenant_id AND i.invoice_id = u.invoice_id
WHERE u.tenant_id = $1 AND u.period_start = $2 AND i.status = 'final';

-- name: holdings
-- Live invoices that were issued from $2 on, oldest first, with their own period: a row for each
-- period of which they hold usage, with what that is in tokens, of the classes $3; one with NULL where
-- they hold none. `credited`: live credit notes are on it.
SELECT i.number, i.period_start AS own_start, h.period_start, h.tokens, EXISTS (
  SELECT FROM tenantry.invoice n
  WHERE n.tenant_id = i.tenant_id AND n.credits_number = i.number AND n.status = 'final') AS credited
FROM tenantry.invoice i
LEFT JOIN LATERAL (
  SELECT u.period_start,
         coalesce(sum(u.quantity) FILTER (WHERE u.token_class = ANY ($3::text[])), 0) AS tokens
  FROM tenantry.invoice_usage u
  WHERE u.tenant_id = i.tenant_id AND u.invoice_id = i.invoice_id
  GROUP BY u.period_start
) h ON true
WHERE i.tenant_id = $1 AND i.kind = 'invoice' AND i.status = 'final' AND i.issued_at >= $2
ORDER BY i.issued_at, i.number;

-- name: zone
SELECT zone FROM tenantry.tenant WHERE tenant_id = $1;

-- name: ends
-- All that were ever agreed; NULL among them.
SELECT NULL::date AS ends_on UNION SELECT ends_on FROM tenantry.contract WHERE tenant_id = $1;
