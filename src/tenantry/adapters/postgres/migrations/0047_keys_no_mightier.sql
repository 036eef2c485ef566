-- A key that a tenant's admin makes is no mightier than its maker in any of what bounds one: its models
-- (since 0016), how long it is good, and what the operator lets it spend. An admin's scopes are all
-- there are, so that any may be given.

GRANT CREATE ON SCHEMA tenantry TO tenantry_gate;
SET LOCAL ROLE tenantry_gate;

-- As in 0016. A key without an expiry has its maker's; none is good for longer. A key on which the
-- operator has set a budget makes none: what another one spends would not count against it. Whether
-- the budget is hard, and in whose money, makes no difference, so that a refusal says nothing of it.
CREATE OR REPLACE FUNCTION tenantry.create_own_key(
  p_by text, p_api_key_id text, p_name text, p_hint text, p_bearer_hmac bytea,
  p_access_key_id text, p_secret_sealed bytea, p_scopes text[], p_models text[],
  p_expires_at timestamptz
) RETURNS text LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, tenantry, pg_temp AS $$
DECLARE
  own constant text := current_setting('tenantry.tenant', true);
  creator tenantry.api_key;
BEGIN
  SELECT * INTO creator FROM tenantry.admin_key(own, p_by);
  IF creator.api_key_id IS NULL THEN
    RETURN 'not_admin';
  END IF;
  IF EXISTS (
    SELECT FROM tenantry.budget b
    WHERE b.tenant_id = own AND b.subject = 'api_key:' || p_by AND b.set_by = 'operator'
  ) THEN
    RETURN 'capped';
  END IF;
  IF creator.models_allowed IS NOT NULL
    AND NOT coalesce(p_models <@ creator.models_allowed, false) THEN
    RETURN 'models';
  END IF;
  IF p_expires_at <= clock_timestamp() THEN
    RETURN 'expired';
  END IF;
  IF p_expires_at > creator.expires_at THEN
    RETURN 'outlives';
  END IF;
  IF (SELECT count(*) FROM tenantry.api_key k WHERE k.tenant_id = own) >= 10000 THEN
    RETURN 'too_many';
  END IF;
  INSERT INTO tenantry.api_key (tenant_id, api_key_id, name, hint, bearer_hmac, access_key_id,
    secret_sealed, scopes, models_allowed, expires_at)
  VALUES (own, p_api_key_id, p_name, p_hint, p_bearer_hmac, p_access_key_id, p_secret_sealed,
    p_scopes, p_models, coalesce(p_expires_at, creator.expires_at));
  RETURN 'created';
END $$;

SET LOCAL ROLE tenantry_owner;
REVOKE CREATE ON SCHEMA tenantry FROM tenantry_gate;
