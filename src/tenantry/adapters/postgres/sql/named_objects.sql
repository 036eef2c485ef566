-- Which objects a tenant's rows name and cannot do without, in its own unit of work. A failed
-- version's original is held no longer, and what rests in another vector engine is no object.

-- name: named
SELECT 'originals' AS kind, original_id AS name FROM tenantry.document
WHERE tenant_id = $1 AND NOT (replaces IS NOT NULL AND state = 'failed')
UNION ALL
SELECT 'segments', segment_id FROM tenantry.segment
WHERE tenant_id = $1 AND segment_id LIKE 'seg\_%';
