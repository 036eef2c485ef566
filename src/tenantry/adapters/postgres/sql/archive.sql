-- Archiving: reads as tenantry_control; what drops a month runs as the owner.

-- name: oldest
-- The oldest month that has a partition.
SELECT min(to_date(right(c.relname::text, 7), 'YYYY_MM')) AS month
FROM pg_catalog.pg_inherits i
JOIN pg_catalog.pg_class c ON c.oid = i.inhrelid
WHERE i.inhparent = 'tenantry.charge_entry'::regclass
  AND c.relname::text ~ '^charge_entry_[0-9]{4}_[0-9]{2}$';

-- name: obstacles
SELECT o AS reason FROM tenantry.archive_obstacles($1) o;

-- name: in_the_way
-- Whose requests, periods and adjustments these are ($1: the month): at most $2 of each, in a line, and
-- how many there are in all. Of a period it is told why it could not be invoiced.
WITH found AS (
  SELECT 1 AS place, o.request_id::text AS id,
         format('request %s of %s is open', o.request_id, o.tenant_id) AS told
  FROM tenantry.open_request o
  WHERE o.admitted_at < ($1::date + interval '1 month') AT TIME ZONE 'UTC'
  UNION ALL
  SELECT 2, a.tenant_id,
         format('%s: its period from %s is not final%s', a.tenant_id,
                to_char(a.period_start AT TIME ZONE 'UTC', 'YYYY-MM-DD'),
                CASE r.outcome WHEN 'trouble' THEN ': ' || left(r.detail, 200)
                  WHEN 'review' THEN ': its draft waits for approval' ELSE '' END)
  FROM tenantry.billing_account a
  LEFT JOIN tenantry.invoice_run r
    ON r.tenant_id = a.tenant_id AND r.period_start = a.period_start
  WHERE a.period_start < ($1::date + interval '1 month') AT TIME ZONE 'UTC'
  UNION ALL
  SELECT 3, x.tenant_id, format('%s: adjustments of the month are not invoiced', x.tenant_id)
  FROM (SELECT r.tenant_id, max(r.watermark) AS watermark FROM tenantry.invoice_run r
        WHERE r.outcome IN ('final', 'nothing') GROUP BY r.tenant_id) x
  CROSS JOIN LATERAL (
    SELECT $1::date::timestamp AT TIME ZONE 'UTC' AS since,
           ($1::date + interval '1 month') AT TIME ZONE 'UTC' AS until) m
  WHERE EXISTS (
    SELECT FROM tenantry.charge_hour c
    WHERE c.tenant_id = x.tenant_id AND c.hour >= m.since AND c.hour < m.until
      AND c.last_posted_at > x.watermark
  ) OR tenantry.mended_since(x.tenant_id, m.since, m.until, 'infinity')
), numbered AS (
  SELECT place, id, told, count(*) OVER ()::int AS total,
         row_number() OVER (PARTITION BY place ORDER BY id COLLATE "C") AS number
  FROM found
)
SELECT told, total FROM numbered WHERE number <= $2 ORDER BY place, id COLLATE "C";

-- name: sums
SELECT * FROM tenantry.month_sums($1)
ORDER BY tenant_id COLLATE "C", book COLLATE "C", currency COLLATE "C";

-- name: archived_through
SELECT tenantry.archived_through();

-- name: archived
SELECT month, manifest, manifest_sha256, archived_at FROM tenantry.ledger_archive ORDER BY month;

-- name: carried
SELECT tenant_id, book, currency, entries, amount, content, signature
FROM tenantry.carry_forward WHERE month = $1
ORDER BY tenant_id COLLATE "C", book COLLATE "C", currency COLLATE "C";

-- name: replace
SELECT tenantry.drop_archived_month($1, $2, $3, $4);

-- name: charge_rows
-- The rows of a month as they lie in the files; $1: its first day. Numerics as text, digit by digit.
SELECT tenant_id, admitted_at, request_id::text AS request_id, call, attempt, kind, debit, credit,
       amount::text AS amount, currency, token_classes, quantities, unit_prices::text[] AS
       unit_prices, amounts::text[] AS amounts, posted_at, day, period_start, price_version, plan,
       plan_version, model, api_key_id, user_hash, run_id, tags::text AS tags, flags
FROM tenantry.charge_entry
WHERE admitted_at >= $1::date::timestamp AT TIME ZONE 'UTC'
  AND admitted_at < ($1::date + interval '1 month') AT TIME ZONE 'UTC'
ORDER BY tenant_id, admitted_at, request_id, call, attempt, kind;

-- name: cost_rows
-- The rows of a month as they lie in the files; $1: its first day. Numerics as text, digit by digit.
SELECT tenant_id, admitted_at, request_id::text AS request_id, call, attempt, kind, debit, credit,
       amount::text AS amount, token_classes, quantities, unit_prices::text[] AS unit_prices,
       amounts::text[] AS amounts, posted_at, day, period_start, price_version, plan,
       plan_version, model, api_key_id, user_hash, run_id, tags::text AS tags, flags, account,
       region, service_tier, ending, charged, began_at, operation, price_key, upstream_request_id,
       tokens, raw::text AS raw, normaliser_version, error
FROM tenantry.cost_entry
WHERE admitted_at >= $1::date::timestamp AT TIME ZONE 'UTC'
  AND admitted_at < ($1::date + interval '1 month') AT TIME ZONE 'UTC'
ORDER BY tenant_id, admitted_at, request_id, call, attempt, kind;
