-- Which tenant keys were ever used. By a tenant's unit of work as tenantry_app; of all tenants, as
-- tenantry_control.

-- name: versions
SELECT version FROM tenantry.tenant_key WHERE tenant_id = $1;

-- name: note
SELECT tenantry.note_own_key($2, $3) AS fingerprint
FROM pg_catalog.set_config('tenantry.tenant', $1, true);

-- name: of_tenants
SELECT tenant_id, array_agg(version) AS versions FROM tenantry.tenant_key
WHERE tenant_id = ANY ($1::text[]) GROUP BY tenant_id;

-- name: forget
DELETE FROM tenantry.tenant_key WHERE tenant_id = $1;
