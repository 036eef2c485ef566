-- Objects that a deletion has left, from its commit until they are gone, in the tenant's own unit of
-- work ($1).

-- name: note
-- What a user deleted, or replaced by another version.
INSERT INTO tenantry.deleted_object (tenant_id, kind, name)
SELECT $1, 'originals', o FROM unnest($2::text[]) AS o
UNION ALL
SELECT $1, 'segments', s FROM unnest($3::text[]) AS s WHERE s LIKE 'seg\_%'
ON CONFLICT DO NOTHING;

-- name: due
-- Those of $2 seconds ago and more, oldest first.
SELECT kind, name FROM tenantry.deleted_object
WHERE tenant_id = $1 AND deleted_at <= clock_timestamp() - make_interval(secs => $2)
ORDER BY deleted_at, name LIMIT $3;

-- name: of_names
SELECT name FROM tenantry.deleted_object WHERE tenant_id = $1 AND name = ANY ($2::text[]);

-- name: forget
DELETE FROM tenantry.deleted_object WHERE tenant_id = $1 AND name = ANY ($2::text[]);
