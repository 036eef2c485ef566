-- What invoices are made from, and what is kept of them. $1 is the tenant wherever there is one; the
-- statements of the first part run as tenantry_app inside its unit of work as well as for control.

-- name: facts
-- The tenant, and the latest version of its contract that was entered before $2.
SELECT t.tenant_id, t.name, t.zone, t.anchor_day, c.version, c.legal_name, c.address, c.tax_id,
       c.email, c.currency, c.tax_rate, c.tax_label, c.payment_days, c.ends_on, c.tax_starts_on,
       a.period_start, a.period_end
FROM tenantry.tenant t
JOIN tenantry.billing_account a ON a.tenant_id = t.tenant_id
LEFT JOIN LATERAL (
  SELECT * FROM tenantry.contract c WHERE c.tenant_id = t.tenant_id AND c.entered_at < $2
  ORDER BY c.version DESC LIMIT 1
) c ON true
WHERE t.tenant_id = $1;

-- name: taxes
-- What each version that was entered before $2 says of the tax, in their order; `moves`: whether it was
-- entered since a tax is moved by entering it again with another day. `next_day`: that of $3.
SELECT c.tax_rate, c.tax_label, c.tax_starts_on, c.entered_at >= m.applied_at AS moves,
       ($3 AT TIME ZONE t.zone)::date AS next_day
FROM tenantry.tenant t
JOIN tenantry.contract c ON c.tenant_id = t.tenant_id AND c.entered_at < $2
JOIN tenantry.schema_migrations m ON m.name = 'moved_taxes'
WHERE t.tenant_id = $1 ORDER BY c.version;

-- name: period_at
SELECT m.period_start, m.period_end
FROM tenantry.tenant t, tenantry.billing_period($2, t.zone, t.anchor_day) m
WHERE t.tenant_id = $1;

-- name: freed_periods
-- Oldest first. One that was closed with nothing in it after its void is no longer open: a run says
-- `nothing` until a later invoice of its period is final.
SELECT DISTINCT i.period_start, i.period_end FROM tenantry.invoice i
WHERE i.tenant_id = $1 AND i.kind = 'invoice' AND i.status = 'void' AND NOT EXISTS (
  SELECT FROM tenantry.invoice l
  WHERE l.tenant_id = i.tenant_id AND l.kind = 'invoice' AND l.status = 'final'
    AND l.period_start = i.period_start)
  AND NOT EXISTS (
  SELECT FROM tenantry.invoice_run r
  WHERE r.tenant_id = i.tenant_id AND r.period_start = i.period_start AND r.outcome = 'nothing')
ORDER BY i.period_start;

-- name: terms
SELECT plan, version, definition, effective_at FROM tenantry.plan_terms
WHERE tenant_id = $1 AND entered_at < $2 ORDER BY effective_at, entered_at, version;

-- name: rates
SELECT day, base, quote, rate, source FROM tenantry.exchange_rate
WHERE base = 'USD' AND quote = $1 AND entered_at < $2 ORDER BY day;

-- name: prepaid
-- What is left of the credit in the currency $2, by what was posted before $3.
SELECT coalesce(sum(CASE 'prepaid_credit' WHEN credit THEN amount WHEN debit THEN -amount
         ELSE 0 END), 0) AS left_over
FROM tenantry.billing_entry
WHERE tenant_id = $1 AND currency = $2 AND posted_at < $3
  AND kind IN ('credit_granted', 'credit_used', 'credit_returned');

-- name: usage
-- Usage admitted in [$2, $3) and posted up to $4, less what invoices hold of it that were live at $5
-- ('infinity': now); by model, class and price, with what each price was asked for: by what stands,
-- and (`posted_…`) by all that was ever posted, as invoices of before edition 6 have it. What a reversal
-- takes back stands no longer; one of the customer's book alone names neither tier nor price key.
-- `held_as`: what the invoices say of what they hold.
WITH part AS (
  SELECT e.model, e.token_class, e.unit_price, e.price_version, e.service_tier, e.price_key, e.plan,
         e.plan_version, NULL::jsonb AS held_as, sum(e.quantity) AS quantity, sum(e.amount) AS charge
  FROM tenantry.priced_usage($1, $2, $3, $4) e
  GROUP BY 1, 2, 3, 4, 5, 6, 7, 8
  UNION ALL
  SELECT u.model, u.token_class, u.unit_price, NULL, NULL, NULL, NULL, NULL,
         coalesce(u.priced_as - 'posted', '{}'), -sum(u.quantity), -sum(u.charge)
  FROM tenantry.invoice_usage u
  JOIN tenantry.invoice i ON i.tenant_id = u.tenant_id AND i.invoice_id = u.invoice_id
  WHERE u.tenant_id = $1 AND u.period_start = $2 AND i.issued_at < $5
    AND (i.voided_at IS NULL OR i.voided_at >= $5)
  GROUP BY 1, 2, 3, 9
), x AS (
  SELECT p.*, v.effective_from,
         (p.quantity <> 0 OR p.charge <> 0)
           AND (sum(p.quantity) OVER of_price <> 0 OR sum(p.charge) OVER of_price <> 0) AS stands
  FROM part p
  LEFT JOIN tenantry.price_edition v ON v.version = p.price_version
  WINDOW of_price AS (
    PARTITION BY p.model, p.token_class, p.unit_price, p.price_version, p.plan, p.plan_version)
)
SELECT x.model, x.token_class, x.unit_price, sum(x.quantity)::bigint AS quantity,
       sum(x.charge) AS charge,
       array_agg(DISTINCT x.price_version) FILTER (WHERE x.stands AND x.price_version IS NOT NULL)
         AS price_versions,
       jsonb_build_object(
         'service_tiers',
           jsonb_agg(DISTINCT x.service_tier) FILTER (WHERE x.stands AND x.service_tier <> ''),
         'price_keys', jsonb_agg(DISTINCT x.price_key) FILTER (WHERE x.stands AND x.price_key <> ''),
         'plans', jsonb_agg(DISTINCT x.plan || '/' || x.plan_version)
           FILTER (WHERE x.stands AND x.plan IS NOT NULL),
         'since', min(x.effective_from) FILTER (WHERE x.stands)) AS priced_as,
       array_agg(DISTINCT x.held_as) FILTER (WHERE x.stands AND x.held_as <> '{}') AS held_as,
       array_agg(DISTINCT x.price_version) FILTER (WHERE x.price_version IS NOT NULL)
         AS posted_versions,
       jsonb_build_object(
         'service_tiers', jsonb_agg(DISTINCT x.service_tier) FILTER (WHERE x.service_tier <> ''),
         'price_keys', jsonb_agg(DISTINCT x.price_key) FILTER (WHERE x.price_key <> ''),
         'plans', jsonb_agg(DISTINCT x.plan || '/' || x.plan_version)
           FILTER (WHERE x.plan IS NOT NULL),
         'since', min(x.effective_from)) AS posted_as
FROM x
GROUP BY x.model, x.token_class, x.unit_price
HAVING sum(x.quantity) <> 0 OR sum(x.charge) <> 0
ORDER BY x.model, x.token_class, x.unit_price;

-- name: is_past
-- Whether `usage` cannot tell any more what there was at $5: it would need rows of archived months, which
-- lie in files (the roll-ups, which stay, hold what was posted after $4 as well, and those of before do
-- not say what prices were asked for), or was mended since, or is about to be.
SELECT EXISTS (
  SELECT FROM tenantry.charge_hour c
  WHERE c.tenant_id = $1 AND c.hour > $2::timestamptz - interval '1 hour' AND c.hour < $3
    AND c.hour < tenantry.archived_through()
    AND (c.last_posted_at > $4 OR c.service_tier IS NULL)
) OR tenantry.mended_since($1, $2, $3, $5) AS yes;

-- name: usage_held
-- What the invoice that was issued at $3 holds of the period from $2. Which prices its own period
-- had stands in its document.
SELECT u.model, u.token_class, u.unit_price, u.quantity, u.charge, u.priced_as - 'posted' AS priced_as,
       NULL::jsonb[] AS held_as, coalesce(u.priced_as -> 'posted', u.priced_as) AS posted_as,
       d.versions AS price_versions, d.versions AS posted_versions
FROM tenantry.invoice_usage u
JOIN tenantry.invoice i ON i.tenant_id = u.tenant_id AND i.invoice_id = u.invoice_id
CROSS JOIN LATERAL (
  SELECT ARRAY(SELECT jsonb_array_elements_text(
    convert_from(i.document, 'UTF8')::jsonb -> 'price_versions')::integer) AS versions
) d
WHERE u.tenant_id = $1 AND u.period_start = $2 AND i.kind = 'invoice' AND i.issued_at = $3
ORDER BY u.model, u.token_class, u.unit_price;

-- name: invoiced_usage
-- What invoices that were live at $3 hold of the period from $2.
SELECT u.model, u.token_class, u.unit_price, sum(u.quantity)::bigint AS quantity,
       sum(u.charge) AS charge, NULL::jsonb AS priced_as, NULL::jsonb[] AS held_as,
       NULL::jsonb AS posted_as
FROM tenantry.invoice_usage u
JOIN tenantry.invoice i ON i.tenant_id = u.tenant_id AND i.invoice_id = u.invoice_id
WHERE u.tenant_id = $1 AND u.period_start = $2 AND i.issued_at < $3
  AND (i.voided_at IS NULL OR i.voided_at >= $3)
GROUP BY u.model, u.token_class, u.unit_price
HAVING sum(u.quantity) <> 0 OR sum(u.charge) <> 0
ORDER BY u.model, u.token_class, u.unit_price;

-- name: late_periods
-- Periods before $2 that were closed by $5, and when, to which something was posted up to $3 after
-- they had been read, or that were mended since, of which a void invoice has given something back, or
-- of which the invoice that was issued at $5 holds something. Adjustments, reversals and mended hours
-- are looked for without a bound, by their own index; usage within $4 days.
WITH closed AS (
  SELECT i.period_start, i.period_end, i.watermark, i.issued_at AS closed_at
  FROM tenantry.invoice i
  WHERE i.tenant_id = $1 AND i.kind = 'invoice' AND i.period_start < $2 AND i.issued_at < $5
    AND (i.voided_at IS NULL OR i.voided_at >= $5)
  UNION ALL
  SELECT r.period_start, r.period_end, r.watermark, r.tried_at FROM tenantry.invoice_run r
  WHERE r.tenant_id = $1 AND r.outcome = 'nothing' AND r.period_start < $2 AND r.tried_at < $5
), late AS (
  SELECT e.admitted_at, e.posted_at FROM tenantry.charge_entry e
  WHERE e.tenant_id = $1 AND e.kind <> 'usage' AND e.admitted_at < $2 AND e.posted_at <= $3
  UNION ALL
  SELECT h.hour, h.last_posted_at FROM tenantry.charge_hour h
  WHERE h.tenant_id = $1 AND h.hour < $2
    AND h.hour >= $2::timestamptz - $4::integer * interval '1 day'
  UNION ALL
  SELECT e.admitted_at, e.posted_at FROM tenantry.charge_entry e
  WHERE e.tenant_id = $1 AND e.kind = 'usage' AND e.admitted_at < $2 AND e.posted_at <= $3
    AND e.admitted_at >= $2::timestamptz - $4::integer * interval '1 day'
    AND e.admitted_at >= (SELECT r.through FROM tenantry.rollup r)
)
SELECT c.period_start, c.period_end, c.closed_at FROM closed c
WHERE EXISTS (
  SELECT FROM late l
  WHERE l.admitted_at > c.period_start - interval '1 hour' AND l.admitted_at < c.period_end
    AND l.posted_at > c.watermark
) OR tenantry.mended_since($1, c.period_start, c.period_end, $5) OR EXISTS (
  SELECT FROM tenantry.invoice_usage u
  JOIN tenantry.invoice i ON i.tenant_id = u.tenant_id AND i.invoice_id = u.invoice_id
  WHERE u.tenant_id = $1 AND u.period_start = c.period_start
    AND (i.status = 'void' OR i.issued_at = $5)
)
ORDER BY c.period_start;

-- name: goes_by_closed
-- Whether an invoice of $1 takes earlier periods as they were closed: those of before do not, and are
-- made again as they were made.
SELECT m.applied_at <= $1 AS yes FROM tenantry.schema_migrations m WHERE m.number = 41;

-- name: documents
-- $2: the number before which the page begins, or NULL; $3: its length. Newest first.
SELECT number, kind, status, issued_at, due_at, period_start, period_end, currency, total, credit,
       due, credits_number, encode(sha256, 'hex') AS sha256, voided_at, void_reason
FROM tenantry.invoice
WHERE tenant_id = $1 AND ($2::text IS NULL OR (issued_at, number) < (
  SELECT b.issued_at, b.number FROM tenantry.invoice b WHERE b.tenant_id = $1 AND b.number = $2))
ORDER BY issued_at DESC, number DESC LIMIT $3;

-- name: document
SELECT invoice_id, number, kind, status, issued_at, period_start, period_end, watermark, document,
       encode(sha256, 'hex') AS sha256, voided_at, void_reason, credits_number, currency,
       contract_version
FROM tenantry.invoice WHERE tenant_id = $1 AND number = $2;

-- name: credited
-- What live credit notes have given back of the invoice $2: before tax, of tax, and how much of both
-- to the prepaid credit.
SELECT coalesce(sum(-e.amount) FILTER (WHERE e.kind = 'invoiced'), 0) AS net,
       coalesce(sum(-e.amount) FILTER (WHERE e.kind = 'tax'), 0) AS tax,
       coalesce(sum(e.amount) FILTER (WHERE e.kind = 'credit_returned'), 0) AS prepaid
FROM tenantry.invoice i
JOIN tenantry.billing_entry e
  ON e.tenant_id = i.tenant_id AND e.posting_id = i.posting_id
WHERE i.tenant_id = $1 AND i.credits_number = $2 AND i.status = 'final';

-- name: credited_parts
-- What they have given back of each tax of an invoice that has several.
SELECT p.part ->> 'rate' AS rate, p.part ->> 'label' AS label,
       -sum((p.part ->> 'net')::numeric) AS net, -sum((p.part ->> 'amount')::numeric) AS amount
FROM tenantry.invoice i,
  LATERAL jsonb_array_elements(convert_from(i.document, 'UTF8')::jsonb #> '{tax,parts}') AS p (part)
WHERE i.tenant_id = $1 AND i.credits_number = $2 AND i.status = 'final'
GROUP BY 1, 2;

-- name: period_closing
SELECT * FROM tenantry.period_closing($1, $2, $3);

-- name: lock_billing
SELECT * FROM tenantry.lock_billing($1);

-- name: live
-- The number of the live invoice of a period.
SELECT number FROM tenantry.invoice
WHERE tenant_id = $1 AND period_start = $2 AND kind = 'invoice' AND status = 'final';

-- name: pending_plan
SELECT plan, effective_at FROM tenantry.plan_change
WHERE tenant_id = $1 AND applied_at IS NULL AND effective_at < $2;

-- name: next_number
-- Of the series of the calendar year in the zone $2.
SELECT * FROM tenantry.next_number($1, $2);

-- name: finalise
SELECT tenantry.finalise($1, $2, $3, $4);

-- name: close_period
SELECT tenantry.close_period($1, $2, $3);

-- name: void_invoice
SELECT tenantry.void_invoice($1, $2, $3);

-- name: post_credit
SELECT tenantry.post_credit($1, $2, $3) AS left_over;

-- name: store_draft
INSERT INTO tenantry.invoice_draft AS d
  (tenant_id, period_start, period_end, document, content_sha256)
VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (tenant_id, period_start)
  DO UPDATE SET period_end = excluded.period_end, document = excluded.document,
                content_sha256 = excluded.content_sha256, stored_at = clock_timestamp();

-- name: draft
SELECT content_sha256, document, stored_at FROM tenantry.invoice_draft
WHERE tenant_id = $1 AND period_start = $2;

-- name: drop_draft
DELETE FROM tenantry.invoice_draft WHERE tenant_id = $1 AND period_start = $2;

-- name: record_run
-- What is closed stays so, whatever a slower worker met.
INSERT INTO tenantry.invoice_run AS r
  (tenant_id, period_start, period_end, outcome, detail, watermark)
VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (tenant_id, period_start)
  DO UPDATE SET outcome = excluded.outcome, detail = excluded.detail,
                watermark = excluded.watermark, tried_at = clock_timestamp()
  WHERE r.outcome NOT IN ('final', 'nothing') OR excluded.outcome IN ('final', 'nothing');

-- name: tell_freed
-- Each period whose invoice is void, and that is not closed again: once after the void, then where it
-- has not been told since $1. What a void period's record said of its last invoice is over.
INSERT INTO tenantry.invoice_run AS r (tenant_id, period_start, period_end, outcome, detail)
SELECT DISTINCT ON (i.tenant_id, i.period_start) i.tenant_id, i.period_start, i.period_end,
       'trouble', i.number || ' is void, and the period is not invoiced again.'
FROM tenantry.invoice i
WHERE i.kind = 'invoice' AND i.status = 'void' AND NOT EXISTS (
  SELECT FROM tenantry.invoice l
  WHERE l.tenant_id = i.tenant_id AND l.kind = 'invoice' AND l.status = 'final'
    AND l.period_start = i.period_start)
ORDER BY i.tenant_id, i.period_start, i.issued_at DESC
ON CONFLICT (tenant_id, period_start)
  DO UPDATE SET outcome = excluded.outcome, detail = excluded.detail,
                tried_at = clock_timestamp()
  WHERE (r.outcome = 'final' AND starts_with(excluded.detail, r.detail || ' '))
     OR (r.outcome IN ('review', 'trouble') AND r.tried_at < $1)
RETURNING true AS yes;

-- name: due
-- Tenants whose next period has ended, and that have not been tried for it since $3.
SELECT a.tenant_id, a.period_start, a.period_end, r.outcome
FROM tenantry.billing_account a
LEFT JOIN tenantry.invoice_run r
  ON r.tenant_id = a.tenant_id AND r.period_start = a.period_start
WHERE a.period_end <= clock_timestamp() - $4::integer * interval '1 second'
  AND a.tenant_id > $1 AND (r.tried_at IS NULL OR r.tried_at < $3)
  AND ($5 OR r.outcome IS DISTINCT FROM 'review')
ORDER BY a.tenant_id LIMIT $2;

-- name: plan_by_values
-- What is not asked for is no condition then, and what is left has its index.
SET LOCAL plan_cache_mode = force_custom_plan;

-- name: runs
-- What came of the periods that were due, the latest first; $1 a tenant or NULL, $2 an outcome or NULL,
-- $6 the first civil day of their tenants' zones or NULL. After ($4, $5) or NULL, at most $3.
SELECT r.tenant_id, t.name, r.period_start, r.period_end, r.outcome, r.detail, r.tried_at
FROM tenantry.invoice_run r
JOIN tenantry.tenant t ON t.tenant_id = r.tenant_id
WHERE ($1::text IS NULL OR r.tenant_id = $1) AND ($2::text IS NULL OR r.outcome = $2)
  AND ($4::timestamptz IS NULL OR (r.period_start <= $4
    AND (r.period_start < $4 OR r.tenant_id > $5::text)))
  AND ($6::date IS NULL OR (r.period_start >= $6::timestamp AT TIME ZONE 'UTC' - interval '1 day'
    AND (r.period_start AT TIME ZONE t.zone)::date >= $6))
ORDER BY r.period_start DESC, r.tenant_id LIMIT $3;

-- name: tenant_of
-- Whose document a number is; an operator asks.
SELECT tenant_id FROM tenantry.invoice WHERE number = $1;

-- name: has_invoices
SELECT EXISTS (SELECT FROM tenantry.invoice WHERE tenant_id = $1) AS yes;

-- name: last_closed
-- The first civil day, in the tenant's zone, after all that has been invoiced, or NULL.
SELECT (max(i.period_end) AT TIME ZONE t.zone)::date AS next_day
FROM tenantry.tenant t
LEFT JOIN tenantry.invoice i
  ON i.tenant_id = t.tenant_id AND i.kind = 'invoice' AND i.status = 'final'
WHERE t.tenant_id = $1
GROUP BY t.zone;

-- name: plan_now
-- A change at once: billed and admitted by from this instant on.
WITH change AS (
  INSERT INTO tenantry.plan_change (tenant_id, effective_at, plan, applied_at)
  SELECT $1, c.at, $2, c.at FROM clock_timestamp() AS c (at)
  RETURNING tenant_id, plan, effective_at
), changed AS (
  UPDATE tenantry.tenant t SET plan = c.plan FROM change c WHERE t.tenant_id = c.tenant_id
)
SELECT effective_at FROM change;

-- name: plan_later
INSERT INTO tenantry.plan_change (tenant_id, effective_at, plan) VALUES ($1, $3, $2)
RETURNING effective_at;

-- name: apply_plan_changes
-- Applies what is due, at most $1 entries; of several for one tenant the latest stays, unless a
-- later one was applied before.
WITH due AS (
  SELECT c.tenant_id, c.effective_at, c.entered_at, c.plan FROM tenantry.plan_change c
  WHERE c.applied_at IS NULL AND c.effective_at <= clock_timestamp()
  ORDER BY c.effective_at, c.entered_at LIMIT $1
), applied AS (
  UPDATE tenantry.plan_change c SET applied_at = clock_timestamp()
  FROM due d
  WHERE c.tenant_id = d.tenant_id AND c.effective_at = d.effective_at
    AND c.entered_at = d.entered_at
), latest AS (
  SELECT DISTINCT ON (d.tenant_id) d.tenant_id, d.plan, d.effective_at FROM due d
  ORDER BY d.tenant_id, d.effective_at DESC, d.entered_at DESC
), changed AS (
  UPDATE tenantry.tenant t SET plan = l.plan FROM latest l
  WHERE t.tenant_id = l.tenant_id AND NOT EXISTS (
    SELECT FROM tenantry.plan_change x
    WHERE x.tenant_id = l.tenant_id AND x.applied_at IS NOT NULL
      AND x.effective_at > l.effective_at)
  RETURNING t.tenant_id
)
SELECT (SELECT count(*) FROM due) AS entries, count(*) AS tenants FROM changed;

-- name: lock_plans
-- Changes of plans come one after the other.
SELECT pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtext('tenantry.plans'));
