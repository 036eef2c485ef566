-- name: claim
SELECT * FROM tenantry.idempotency_claim($1, $2, $3, $4, $5, $6, $7, $8, $9);

-- name: note
SELECT tenantry.idempotency_note($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11);

-- name: sweep
-- As `control`, whose policy shows expired rows alone; in the order in which claims lock.
DELETE FROM tenantry.idempotency i
USING (
  SELECT * FROM (
    SELECT tenant_id, kind, api_key_id, key_hmac FROM tenantry.idempotency
    WHERE expires_at <= statement_timestamp()
    ORDER BY expires_at LIMIT $1
  ) oldest
  ORDER BY kind, tenant_id, api_key_id, key_hmac
) old
WHERE i.tenant_id = old.tenant_id AND i.kind = old.kind AND i.api_key_id = old.api_key_id
  AND i.key_hmac = old.key_hmac;
