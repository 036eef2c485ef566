-- A tenant's placement is one fact: its row says it, and nobody else supposes one. And what is
-- shredded gets no webhook and no budget any more, as it gets no API key.

-- Who was in no placement of its own went with the first pool by id, and stayed there with 0037,
-- though its keys and documents lie where its requests went before that pool was made: the ledger's
-- first says where. Who was in none because its plan wants a silo is in that pool too, and suspended:
-- its operator decides.
-- The ledger is read before anything is locked: workers of before go on meanwhile.
DO $$
DECLARE
  first_pool constant text := (
    SELECT x.placement_id FROM tenantry.placement x WHERE x.kind = 'pool'
    ORDER BY x.placement_id LIMIT 1);
  began      jsonb;
BEGIN
  SET LOCAL ROLE tenantry_gate;  -- who may read the ledger
  SELECT coalesce(jsonb_object_agg(t.tenant_id, x.placement_id), '{}') INTO began
  FROM tenantry.tenant t
  CROSS JOIN LATERAL (
    SELECT e.request_id, e.admitted_at FROM tenantry.charge_entry e
    WHERE e.tenant_id = t.tenant_id ORDER BY e.admitted_at LIMIT 1
  ) e
  CROSS JOIN LATERAL (
    SELECT c.account FROM tenantry.cost_entry c
    WHERE c.tenant_id = t.tenant_id AND c.request_id = e.request_id
      AND c.admitted_at = e.admitted_at
    ORDER BY c.began_at LIMIT 1
  ) c
  CROSS JOIN LATERAL (
    SELECT p.placement_id FROM tenantry.placement p
    WHERE p.kind = 'pool' AND p.definition ->> 'account' = c.account
    ORDER BY p.placement_id LIMIT 1
  ) x
  WHERE coalesce(t.placement_id, first_pool) = first_pool
    AND c.account <> (SELECT f.definition ->> 'account' FROM tenantry.placement f
                      WHERE f.placement_id = first_pool);
  SET LOCAL ROLE tenantry_owner;
  ALTER TABLE tenantry.tenant NO FORCE ROW LEVEL SECURITY;
  IF first_pool IS NULL AND EXISTS (SELECT FROM tenantry.tenant WHERE placement_id IS NULL) THEN
    INSERT INTO tenantry.placement (placement_id, kind, definition)
    VALUES ('pool', 'pool', '{"kind": "pool", "account": "000000000000", "region": "us-east-1",
      "regions": ["us-east-1"]}');
  END IF;
  UPDATE tenantry.tenant t
  SET placement_id = coalesce(began ->> t.tenant_id, first_pool, 'pool'),
      status = CASE WHEN t.placement_id IS NULL AND t.status = 'active' THEN 'suspended'
        ELSE t.status END
  WHERE t.placement_id IS NULL OR began ? t.tenant_id;
END $$;
ALTER TABLE tenantry.tenant FORCE ROW LEVEL SECURITY;
ALTER TABLE tenantry.tenant ALTER COLUMN placement_id SET NOT NULL;
COMMENT ON COLUMN tenantry.tenant.placement_id IS 'Where it is answered, from its creation on.';

CREATE TRIGGER refuse_shredded BEFORE INSERT ON tenantry.webhook_endpoint FOR EACH ROW
  EXECUTE FUNCTION tenantry.refuse_shredded();
CREATE TRIGGER refuse_shredded BEFORE INSERT OR UPDATE ON tenantry.budget FOR EACH ROW
  EXECUTE FUNCTION tenantry.refuse_shredded();

GRANT CREATE ON SCHEMA tenantry TO tenantry_gate;
SET LOCAL ROLE tenantry_gate;

-- As in 0009, of the placement that the tenant's row says.
CREATE OR REPLACE FUNCTION tenantry.authenticate(p_bearer_hmac bytea, p_access_key_id text)
RETURNS TABLE (
  at timestamptz, tenant_id text, tenant_name text, status text, zone text, anchor_day integer,
  currency text, regions_allowed text[], plan text, plan_version integer, plan_definition jsonb,
  placement_id text, placement_kind text, placement_definition jsonb, api_key_id text,
  bearer_hmac bytea, access_key_id text, secret_sealed bytea, scopes text[], models_allowed text[],
  expires_at timestamptz, revoked_at timestamptz
) LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, tenantry, pg_temp AS $$
  SELECT clock_timestamp(), t.tenant_id, t.name, t.status, t.zone, t.anchor_day, t.currency,
         t.regions_allowed, p.name, p.version, p.definition, l.placement_id, l.kind,
         l.definition, k.api_key_id, k.bearer_hmac, k.access_key_id, k.secret_sealed, k.scopes,
         k.models_allowed, k.expires_at, k.revoked_at
  FROM (
    SELECT * FROM tenantry.api_key WHERE bearer_hmac = p_bearer_hmac
    UNION ALL
    SELECT * FROM tenantry.api_key WHERE access_key_id = p_access_key_id
  ) k
  JOIN tenantry.tenant t ON t.tenant_id = k.tenant_id
  JOIN tenantry.plan p ON p.name = t.plan AND p.superseded_at IS NULL
  JOIN tenantry.placement l ON l.placement_id = t.placement_id
$$;

SET LOCAL ROLE tenantry_owner;
REVOKE CREATE ON SCHEMA tenantry FROM tenantry_gate;
