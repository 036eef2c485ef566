-- What a tenant's admin reads and changes, run inside a unit of work of its tenant ($1, where a
-- statement takes it); the functions know the tenant by the unit of work alone.

-- name: currency
SELECT tenantry.contract_currency($1);

-- name: set_budget
SELECT tenantry.place_own_budget($1, $2, $3, $4);

-- name: remove_budget
SELECT tenantry.remove_own_budget($1, $2);

-- name: keys
SELECT api_key_id, name, hint, scopes, models_allowed, created_at, expires_at, revoked_at
FROM tenantry.api_key WHERE tenant_id = $1 AND api_key_id > $2 ORDER BY api_key_id LIMIT $3;

-- name: create_key
SELECT tenantry.create_own_key($1, $2, $3, $4, $5, $6, $7, $8, $9, $10);

-- name: revoke_key
SELECT tenantry.revoke_own_key($1, $2);
