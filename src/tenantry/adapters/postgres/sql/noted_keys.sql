-- Which tenant keys were ever used. By a tenant's unit of work as tenantry_app; of all tenants, as
-- tenantry_control.

-- name: versions
SELECT version FROM tenantry.tenant_key WHERE tenant_id = $1;

-- name: wrapped_by
SELECT version, kms_arns FROM tenantry.tenant_key WHERE tenant_id = $1;

-- name: note
SELECT tenantry.note_own_key($2, $3, $4) AS fingerprint
FROM pg_catalog.set_config('tenantry.tenant', $1, true);

-- name: of_tenants
SELECT tenant_id, array_agg(version) AS versions FROM tenantry.tenant_key
WHERE tenant_id = ANY ($1::text[]) GROUP BY tenant_id;

-- name: give_up
-- Who may have the key, or know users by it, makes place for another process. What budgets of users
-- there are holds for nobody then.
WITH forgotten AS (DELETE FROM tenantry.tenant_key WHERE tenant_id = $1),
told AS (UPDATE tenantry.key_holder SET makes_place = true WHERE ended_at IS NULL)
SELECT count(*) AS budgets FROM tenantry.budget WHERE tenant_id = $1 AND subject LIKE 'user:%';
