-- Shreds and the register of processes that may hold keys, as tenantry_control. A tenant's content
-- in a unit of work of its own.

-- name: lock_billing
-- As whoever else gives contracts their versions.
SELECT tenantry.lock_billing($1);

-- name: refuse_tenant
UPDATE tenantry.tenant SET status = 'shredded' WHERE tenant_id = $1 RETURNING true;

-- name: revoke_keys
UPDATE tenantry.api_key SET revoked_at = clock_timestamp()
WHERE tenant_id = $1 AND revoked_at IS NULL;

-- name: begin
INSERT INTO tenantry.shred (tenant_id, asked_by) VALUES ($1, $2) ON CONFLICT DO NOTHING;

-- name: end_contract
-- With the civil day of the shred, unless it had ended: no fee and no minimum is owed for what comes
-- after. What was used until then is still billed.
INSERT INTO tenantry.contract (tenant_id, version, legal_name, address, tax_id, email, currency,
  tax_rate, tax_label, payment_days, ends_on, tax_starts_on)
SELECT t.tenant_id, coalesce(c.version, 0) + 1, coalesce(c.legal_name, t.name),
       coalesce(c.address, '{}'), c.tax_id, c.email, coalesce(c.currency, 'USD'),
       coalesce(c.tax_rate, 0), coalesce(c.tax_label, 'Tax'), coalesce(c.payment_days, 30), d.day,
       c.tax_starts_on
FROM tenantry.shred s
JOIN tenantry.tenant t ON t.tenant_id = s.tenant_id
CROSS JOIN LATERAL (SELECT (s.asked_at AT TIME ZONE t.zone)::date + 1 AS day) d
LEFT JOIN LATERAL (
  SELECT * FROM tenantry.contract x WHERE x.tenant_id = t.tenant_id
  ORDER BY x.version DESC LIMIT 1
) c ON true
WHERE s.tenant_id = $1 AND (c.ends_on IS NULL OR c.ends_on > d.day);

-- name: get
SELECT * FROM tenantry.shred WHERE tenant_id = $1;

-- name: unfinished
SELECT tenant_id FROM tenantry.shred WHERE certificate IS NULL ORDER BY asked_at LIMIT $1;

-- name: kms_retired
UPDATE tenantry.shred SET kms_key = $2, kms_deletion_at = greatest(kms_deletion_at, $3)
WHERE tenant_id = $1 AND certificate IS NULL;

-- name: kms_left
UPDATE tenantry.shred s
SET kms_left = ARRAY(SELECT DISTINCT arn FROM unnest(s.kms_left || $2::text[]) AS arn ORDER BY arn)
WHERE s.tenant_id = $1 AND s.certificate IS NULL;

-- name: troubled
UPDATE tenantry.shred SET trouble = $2
WHERE tenant_id = $1 AND certificate IS NULL AND trouble IS DISTINCT FROM $2;

-- name: keys_destroyed
UPDATE tenantry.shred SET keys_destroyed_at = clock_timestamp()
WHERE tenant_id = $1 AND keys_destroyed_at IS NULL;

-- name: processes_ended
UPDATE tenantry.shred SET processes_at = clock_timestamp()
WHERE tenant_id = $1 AND processes_at IS NULL;

-- name: found
UPDATE tenantry.shred SET found = $2 WHERE tenant_id = $1 AND found IS NULL;

-- name: erased
-- With the notes of its keys: nothing is left that they could be wanted for.
WITH forgotten AS (DELETE FROM tenantry.tenant_key WHERE tenant_id = $1)
UPDATE tenantry.shred SET erased_at = clock_timestamp()
WHERE tenant_id = $1 AND erased_at IS NULL;

-- name: certified
UPDATE tenantry.shred SET certificate = $2, signature = $3, trouble = NULL
WHERE tenant_id = $1 AND certificate IS NULL;

-- name: keys_revoked
SELECT count(*) FROM tenantry.api_key WHERE tenant_id = $1 AND revoked_at IS NOT NULL;

-- name: patiently
SELECT set_config('statement_timeout', $1, true);

-- name: ledger_accounts
-- Where calls of the tenant were answered, or may have been.
SELECT account FROM tenantry.cost_entry WHERE tenant_id = $1
UNION
SELECT account FROM tenantry.intent WHERE tenant_id = $1
UNION
SELECT definition -> 'upstream' ->> 'account' FROM tenantry.batch_job WHERE tenant_id = $1;

-- name: register
-- The process that registers is in the place of whatever had its pid before.
WITH gone AS (
  UPDATE tenantry.key_holder SET ended_at = clock_timestamp(), ending = 'ended'
  WHERE host = $1 AND pid = $3 AND ended_at IS NULL
), forgotten AS (
  DELETE FROM tenantry.key_holder WHERE ended_at < clock_timestamp() - interval '90 days'
)
INSERT INTO tenantry.key_holder (host, host_name, pid, born, kind) VALUES ($1, $2, $3, $4, $5)
RETURNING holder_id;

-- name: leave
UPDATE tenantry.key_holder SET ended_at = clock_timestamp(), ending = 'ended'
WHERE holder_id = $1 AND ended_at IS NULL;

-- name: open_of_host
-- `rolls`: it began before the last destruction of a key, or one was given up meanwhile, and has to
-- make place for another.
SELECT h.holder_id, h.pid, h.born,
       h.makes_place OR h.began_at <= coalesce(s.at, '-infinity') AS rolls
FROM tenantry.key_holder h, (SELECT max(keys_destroyed_at) AS at FROM tenantry.shred) s
WHERE h.host = $1 AND h.ended_at IS NULL;

-- name: end_holders
UPDATE tenantry.key_holder SET ended_at = clock_timestamp(), ending = 'ended'
WHERE holder_id = ANY ($1::uuid[]) AND ended_at IS NULL;

-- name: seen_holders
UPDATE tenantry.key_holder SET seen_at = clock_timestamp()
WHERE holder_id = ANY ($1::uuid[]) AND ended_at IS NULL
  AND seen_at < clock_timestamp() - interval '10 seconds';

-- name: holders_before
-- Those that began up to $1 and still were there at $2.
SELECT host_name, pid, kind, began_at, seen_at, ended_at, ending FROM tenantry.key_holder
WHERE began_at <= $1 AND (ended_at IS NULL OR ended_at >= $2)
ORDER BY host_name, began_at, pid;

-- name: declare_gone
-- Not those that were seen a moment ago: they answer, and will roll.
UPDATE tenantry.key_holder SET ended_at = clock_timestamp(), ending = 'declared gone'
WHERE host_name = $1 AND ended_at IS NULL AND seen_at < clock_timestamp() - interval '60 seconds';

-- name: count_content
-- With its budgets and their balances; those of the plan stay, which name nobody.
SELECT content, rows_found FROM tenantry.own_content(false)
UNION ALL
SELECT 'budget', count(*) FROM tenantry.budget WHERE tenant_id = $1
UNION ALL
SELECT 'budget_use', count(*) FROM tenantry.budget_use WHERE tenant_id = $1 AND subject <> 'plan';

-- name: erase_content
SELECT content, rows_found FROM tenantry.own_content(true);

-- name: erase_budgets
SELECT tenantry.erase_own_budgets();

-- name: content_accounts
SELECT account FROM tenantry.answer WHERE tenant_id = $1
UNION
SELECT account FROM tenantry.session WHERE tenant_id = $1;
