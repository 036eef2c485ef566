-- Idempotency keys of the control plane, as tenantry_control.

-- name: forget_expired
DELETE FROM tenantry.operator_key WHERE key_hmac IN (
  SELECT key_hmac FROM tenantry.operator_key WHERE expires_at <= clock_timestamp() LIMIT 100
);

-- name: claim
-- $1 the key, $2 the body, $3 the run, $4 the lease, $5 how long the key is kept. A row: claimed.
INSERT INTO tenantry.operator_key AS k (key_hmac, body_hmac, run_id, lease_until, expires_at)
VALUES ($1, $2, $3, clock_timestamp() + $4::interval, clock_timestamp() + $5::interval)
ON CONFLICT (key_hmac) DO UPDATE
  SET body_hmac = excluded.body_hmac, run_id = excluded.run_id, sealed = NULL,
      lease_until = excluded.lease_until, expires_at = excluded.expires_at
  WHERE k.expires_at <= clock_timestamp()
RETURNING true;

-- name: holder
SELECT body_hmac, sealed, lease_until <= clock_timestamp() AS lapsed
FROM tenantry.operator_key WHERE key_hmac = $1;

-- name: keep
UPDATE tenantry.operator_key SET sealed = $3 WHERE key_hmac = $1 AND run_id = $2;

-- name: free
DELETE FROM tenantry.operator_key WHERE key_hmac = $1 AND run_id = $2 AND sealed IS NULL;
