-- Answers that may be given again: in a tenant's unit of work, or as tenantry_control, which sees the
-- expired ones alone.

-- name: find
SELECT object_id FROM tenantry.answer
WHERE tenant_id = $1 AND name_hmac = $2 AND expires_at > clock_timestamp();

-- name: keep
-- No row where the tenant has $6 entries, or one of that name, or where its end user was erased
-- meanwhile. An expired one is the sweep's to remove.
INSERT INTO tenantry.answer
  (tenant_id, name_hmac, object_id, account, expires_at, request_id, user_hash)
SELECT $1, $2, $3, $4, clock_timestamp() + $5::integer * interval '1 second', $7, $8
WHERE (SELECT count(*) FROM tenantry.answer WHERE tenant_id = $1) < $6
  AND tenantry.may_keep_of($8)
ON CONFLICT (tenant_id, name_hmac) DO NOTHING
RETURNING true;

-- name: take_out
-- One of the tenant's own that does not open: it would keep another of its name away.
DELETE FROM tenantry.answer WHERE tenant_id = $1 AND name_hmac = $2 AND object_id = $3;

-- name: expired
SELECT tenant_id, name_hmac, object_id, account FROM tenantry.answer
WHERE expires_at <= statement_timestamp() ORDER BY expires_at LIMIT $1;

-- name: forget
DELETE FROM tenantry.answer
WHERE tenant_id = $1 AND name_hmac = $2 AND object_id = $3 AND expires_at <= statement_timestamp();
