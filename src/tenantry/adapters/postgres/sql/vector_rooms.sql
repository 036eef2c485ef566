-- Which vector engines hold, or ever held, passages of a tenant. The first three in its own unit of
-- work, the others as tenantry_control.

-- name: opened
INSERT INTO tenantry.vector_room (tenant_id, engine) VALUES ($1, $2)
ON CONFLICT (tenant_id, engine)
  DO UPDATE SET used_at = clock_timestamp(), ended_at = NULL, ending = NULL;

-- name: of_tenant
SELECT engine, ending FROM tenantry.vector_room WHERE tenant_id = $1 ORDER BY engine;

-- name: emptied
-- Not where a document may be on its way into it.
UPDATE tenantry.vector_room SET ended_at = clock_timestamp(), ending = 'emptied'
WHERE tenant_id = $1 AND engine = $2 AND ended_at IS NULL
  AND used_at <= clock_timestamp() - make_interval(secs => $3);

-- name: open_engines
SELECT engine, count(*) AS tenants FROM tenantry.vector_room
WHERE ended_at IS NULL GROUP BY engine ORDER BY engine;

-- name: declare_gone
UPDATE tenantry.vector_room SET ended_at = clock_timestamp(), ending = 'declared gone'
WHERE engine = $1 AND ended_at IS NULL;
