-- Which KMS keys may wrap a tenant key, so that one that is damaged or lost holds up the shreds of
-- those tenants alone whose KMS key it may need.
ALTER TABLE tenantry.tenant_key ADD COLUMN kms_arns text[];
COMMENT ON COLUMN tenantry.tenant_key.kms_arns IS
  'ARNs of keys in AWS KMS that wrap it or did, each noted before it does. NULL: nobody can tell.';
GRANT UPDATE (kms_arns) ON tenantry.tenant_key TO tenantry_gate;

-- As before; and what it may be wrapped by is added, never taken away, where it is this key. Workers
-- of before say nothing of that: it stays unknown until one that does opens the key.
GRANT CREATE ON SCHEMA tenantry TO tenantry_gate;
SET LOCAL ROLE tenantry_gate;
DROP FUNCTION tenantry.note_own_key(integer, bytea);
CREATE FUNCTION tenantry.note_own_key(
  p_version integer, p_fingerprint bytea, p_kms_arns text[] DEFAULT NULL
) RETURNS bytea
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, tenantry, pg_temp AS $$
DECLARE
  own constant text := current_setting('tenantry.tenant', true);
  noted bytea;
  known text[];
BEGIN
  SELECT k.fingerprint, k.kms_arns INTO noted, known FROM tenant_key k
  WHERE k.tenant_id = own AND k.version = p_version;
  IF noted IS NULL THEN
    INSERT INTO tenant_key AS k (tenant_id, version, fingerprint, kms_arns)
    SELECT t.tenant_id, p_version, p_fingerprint, p_kms_arns FROM tenant t
    WHERE t.tenant_id = own AND t.status <> 'shredded'
    ON CONFLICT (tenant_id, version) DO UPDATE
      SET fingerprint = excluded.fingerprint, noted_at = excluded.noted_at,
          kms_arns = excluded.kms_arns
      WHERE k.fingerprint IS NULL;
    SELECT k.fingerprint, k.kms_arns INTO noted, known FROM tenant_key k
    WHERE k.tenant_id = own AND k.version = p_version;
  END IF;
  IF noted = p_fingerprint AND p_kms_arns IS NOT NULL
     AND NOT coalesce(known @> p_kms_arns, false) THEN
    UPDATE tenant_key k
    SET kms_arns = ARRAY(
      SELECT DISTINCT arn FROM unnest(k.kms_arns || p_kms_arns) AS arn ORDER BY arn)
    WHERE k.tenant_id = own AND k.version = p_version AND k.fingerprint = p_fingerprint;
  END IF;
  RETURN noted;
END $$;
COMMENT ON FUNCTION tenantry.note_own_key IS
  'Writes a fingerprint and adds KMS keys, to which app has no grant; of the tenant of the unit of work.';
GRANT EXECUTE ON FUNCTION tenantry.note_own_key TO tenantry_app;
SET LOCAL ROLE tenantry_owner;
REVOKE CREATE ON SCHEMA tenantry FROM tenantry_gate;
