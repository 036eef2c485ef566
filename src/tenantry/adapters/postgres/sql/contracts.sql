-- What an operator enters and lists of a tenant's contract ($1 the tenant, $2 the length of the page)
-- and of exchange rates, as tenantry_control.

-- name: insert_contract
INSERT INTO tenantry.contract (tenant_id, version, legal_name, address, tax_id, email, currency,
  tax_rate, tax_label, payment_days, ends_on, tax_starts_on)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12);

-- name: contracts
SELECT version, legal_name, address, tax_id, email, currency, tax_rate, tax_label, payment_days,
       ends_on, tax_starts_on, entered_at
FROM tenantry.contract WHERE tenant_id = $1 AND ($3::integer IS NULL OR version < $3)
ORDER BY version DESC LIMIT $2;

-- name: customers
-- Whom the invoices of the tenants $1 are to by now.
SELECT DISTINCT ON (tenant_id) tenant_id, version, legal_name, address, tax_id, email, currency,
       tax_rate, tax_label, payment_days, ends_on, tax_starts_on
FROM tenantry.contract WHERE tenant_id = ANY ($1::text[])
ORDER BY tenant_id, version DESC;

-- name: plan_changes
SELECT plan, effective_at, entered_at, applied_at FROM tenantry.plan_change
WHERE tenant_id = $1
  AND ($3::timestamptz IS NULL OR (effective_at, entered_at) < ($3, $4::timestamptz))
ORDER BY effective_at DESC, entered_at DESC LIMIT $2;

-- name: credits
-- Newest first. After ($3, $4, $5) or NULL, at most $2.
SELECT kind, CASE 'prepaid_credit' WHEN credit THEN amount ELSE -amount END AS amount, currency,
       note, posted_at, posting_id, line, (SELECT i.number FROM tenantry.invoice i
         WHERE i.tenant_id = e.tenant_id AND i.invoice_id = e.invoice_id) AS number
FROM tenantry.billing_entry e
WHERE tenant_id = $1 AND kind IN ('credit_granted', 'credit_used', 'credit_returned')
  AND ($3::timestamptz IS NULL OR (posted_at, posting_id, line) < ($3, $4::uuid, $5::integer))
ORDER BY posted_at DESC, posting_id DESC, line DESC LIMIT $2;

-- name: credit_left
-- In each currency in which there ever was a credit.
SELECT currency,
       sum(CASE 'prepaid_credit' WHEN credit THEN amount WHEN debit THEN -amount END) AS left_over
FROM tenantry.billing_entry
WHERE tenant_id = $1 AND kind IN ('credit_granted', 'credit_used', 'credit_returned')
GROUP BY currency ORDER BY currency;

-- name: all_rates
-- Newest first within a currency. After ($2, $3, $4) or NULL, at most $1.
SELECT day, base, quote, rate, source FROM tenantry.exchange_rate
WHERE $2::text IS NULL OR (quote, base) > ($2, $3::text)
   OR ((quote, base) = ($2, $3::text) AND day < $4::date)
ORDER BY quote, base, day DESC LIMIT $1;

-- name: insert_rate
INSERT INTO tenantry.exchange_rate (base, quote, day, rate, source) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (base, quote, day) DO NOTHING RETURNING true AS yes;

-- name: rate
SELECT rate, source FROM tenantry.exchange_rate WHERE base = $1 AND quote = $2 AND day = $3;

-- name: rates_entered
SELECT max(entered_at) AS newest, clock_timestamp() AS now FROM tenantry.exchange_rate;

-- name: convert
-- Of tenants after $1, at most $2.
SELECT through, converted FROM tenantry.convert_page($1, $2);
