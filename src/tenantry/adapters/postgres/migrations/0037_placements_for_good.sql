-- A tenant's placement is its own from its creation on: one that is made later moves nobody. Those
-- that were in whichever pool came first keep the one that they are in now.

ALTER TABLE tenantry.tenant NO FORCE ROW LEVEL SECURITY;
UPDATE tenantry.tenant t SET placement_id = (
  SELECT x.placement_id FROM tenantry.placement x WHERE x.kind = 'pool'
  ORDER BY x.placement_id LIMIT 1)
FROM tenantry.plan p
WHERE t.placement_id IS NULL
  AND p.name = t.plan AND p.superseded_at IS NULL AND p.placement_kind = 'pool';
ALTER TABLE tenantry.tenant FORCE ROW LEVEL SECURITY;
