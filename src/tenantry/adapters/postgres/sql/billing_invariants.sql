-- The invariants of the billing book, read by tenantry_operator in one snapshot.

-- name: billing_violations
-- Entries sum to 0, and charges + adjustments = invoiced + unbilled. What an hour was mended by is
-- unbilled until the next invoice has looked at it.
-- $1: a prepaid credit is an account of this name.
WITH live AS NOT MATERIALIZED (  -- by the index of a tenant's, wherever it is asked for
  SELECT i.* FROM tenantry.invoice i WHERE i.status = 'final'
), held AS (  -- what live invoices hold of the ledger, by period
  SELECT u.tenant_id, u.period_start, u.model, u.token_class, u.unit_price,
         sum(u.quantity) AS quantity, sum(u.charge) AS charge
  FROM tenantry.invoice_usage u
  JOIN live i ON i.tenant_id = u.tenant_id AND i.invoice_id = u.invoice_id
  GROUP BY u.tenant_id, u.period_start, u.model, u.token_class, u.unit_price
), closed AS (  -- periods with a live invoice, and up to when they were looked at
  SELECT * FROM (
    SELECT i.tenant_id, i.period_start, i.period_end,
           (SELECT max(x.watermark) FROM live x WHERE x.tenant_id = i.tenant_id
              AND x.kind = 'invoice' AND x.period_start >= i.period_start) AS watermark
    FROM live i WHERE i.kind = 'invoice'
  ) c
  WHERE NOT tenantry.mended_since(c.tenant_id, c.period_start, c.period_end, 'infinity')
), posted AS (  -- what the ledger holds of them
  SELECT c.tenant_id, c.period_start, e.model, e.token_class, e.unit_price,
         sum(e.quantity) AS quantity, sum(e.amount) AS charge
  FROM closed c
  CROSS JOIN LATERAL tenantry.charged_usage(
    c.tenant_id, c.period_start, c.period_end, c.watermark, NULL) e
  GROUP BY c.tenant_id, c.period_start, e.model, e.token_class, e.unit_price
), series AS (
  SELECT s.series, s.last, count(i.number) AS numbers, count(DISTINCT i.series_number) AS apart,
         coalesce(max(i.series_number), 0) AS highest, g.told, g.told_to,
         count(i.number) FILTER (WHERE EXISTS (
           SELECT FROM tenantry.invoice_gap x WHERE x.series = i.series
             AND i.series_number BETWEEN x.first AND x.last)) AS within
  FROM tenantry.invoice_series s
  LEFT JOIN tenantry.invoice i ON i.series = s.series
  CROSS JOIN LATERAL (  -- what an operator told of a restored database
    SELECT coalesce(sum(x.last - x.first + 1), 0) AS told, coalesce(max(x.last), 0) AS told_to
    FROM tenantry.invoice_gap x WHERE x.series = s.series
  ) g
  GROUP BY s.series, s.last, g.told, g.told_to
)
SELECT 'transaction_sums_to_zero' AS invariant,
       format('%s posting %s %s %s', tenant_id, posting_id, currency, sum(amount)) AS detail
FROM tenantry.billing_ledger
GROUP BY tenant_id, posting_id, currency HAVING sum(amount) <> 0
UNION ALL
-- The billing book takes out of `receivable_unbilled` what live invoices hold, and nothing else.
SELECT 'charges_and_adjustments_equal_invoiced_and_unbilled',
       format('%s %s: the billing book moves %s, live invoices hold %s', x.tenant_id, x.currency,
              x.moved, x.held)
FROM (
  SELECT b.tenant_id, b.currency, b.moved, coalesce(h.charge, 0) AS held
  FROM (
    SELECT tenant_id, currency, sum(amount) AS moved FROM tenantry.billing_ledger
    WHERE account = 'receivable_unbilled' GROUP BY tenant_id, currency
  ) b
  LEFT JOIN (
    SELECT tenant_id, 'USD' AS currency, sum(charge) AS charge FROM held GROUP BY tenant_id
  ) h USING (tenant_id, currency)
) x
WHERE x.moved + x.held <> 0
UNION ALL
SELECT 'usage_is_invoiced_once',
       format('%s from %s, %s %s at %s: the ledger has %s for %s, invoices %s for %s',
              coalesce(p.tenant_id, h.tenant_id), coalesce(p.period_start, h.period_start),
              coalesce(p.model, h.model), coalesce(p.token_class, h.token_class),
              coalesce(p.unit_price, h.unit_price), p.quantity, p.charge, h.quantity, h.charge)
FROM posted p
FULL JOIN (
  SELECT h.* FROM held h
  JOIN closed c ON c.tenant_id = h.tenant_id AND c.period_start = h.period_start
) h ON h.tenant_id = p.tenant_id AND h.period_start = p.period_start AND h.model = p.model
   AND h.token_class = p.token_class AND h.unit_price = p.unit_price
WHERE coalesce(p.quantity, 0) <> coalesce(h.quantity, 0)
   OR coalesce(p.charge, 0) <> coalesce(h.charge, 0)
UNION ALL
SELECT 'what_is_due_is_receivable',
       format('%s %s: postings %s, documents %s', x.tenant_id, x.currency, x.posted, x.due)
FROM (
  SELECT i.tenant_id, i.currency, sum(i.due) FILTER (WHERE i.status = 'final') AS due,
         (SELECT sum(b.amount) FROM tenantry.billing_ledger b WHERE b.tenant_id = i.tenant_id
            AND b.currency = i.currency AND b.account = 'receivable') AS posted
  FROM tenantry.invoice i GROUP BY i.tenant_id, i.currency
) x
WHERE coalesce(x.posted, 0) <> coalesce(x.due, 0)
UNION ALL
SELECT 'numbers_have_no_gap',
       format('%s: last %s, %s documents up to %s, told gaps of %s up to %s with %s documents',
              series, last, numbers, highest, told, told_to, within)
FROM series
WHERE last <> numbers + told OR numbers <> apart OR last <> greatest(highest, told_to)
   OR within > 0
UNION ALL
SELECT 'a_document_is_what_was_hashed', format('%s %s', tenant_id, number)
FROM tenantry.invoice WHERE sha256 <> pg_catalog.sha256(document)
UNION ALL
SELECT 'a_credit_is_not_overdrawn', format('%s %s %s', tenant_id, currency, -sum(amount))
FROM tenantry.billing_ledger WHERE account = $1
GROUP BY tenant_id, currency HAVING sum(amount) > 0
LIMIT 1000;
