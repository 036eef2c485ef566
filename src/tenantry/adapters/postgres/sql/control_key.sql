-- Which key of the control plane this database is used with, as tenantry_control.

-- name: lock
-- Starts that may make or note a key come one after another, until their transaction ends.
SELECT pg_advisory_xact_lock(hashtext('tenantry.control_key'));

-- name: tables
-- Which of the two there are: an older version made them later than its first one.
SELECT relname FROM pg_catalog.pg_class
WHERE relnamespace = (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = 'tenantry')
  AND relname IN ('control_key', 'api_key');

-- name: fingerprint
SELECT fingerprint FROM tenantry.control_key;

-- name: sealed
-- What only the right key opens, the likeliest first. $1 at most.
SELECT tenant_id, api_key_id, secret_sealed FROM tenantry.api_key
ORDER BY revoked_at IS NOT NULL, created_at DESC, api_key_id LIMIT $1;

-- name: note
INSERT INTO tenantry.control_key (fingerprint) VALUES ($1)
ON CONFLICT (is_only) DO UPDATE
  SET fingerprint = excluded.fingerprint, noted_at = clock_timestamp();
