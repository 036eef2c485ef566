-- Budgets that say who set them and that can be removed; and what a tenant's admin may do by itself:
-- set and remove its own budgets, make and revoke its own API keys.
--
-- The `own` functions serve the tenant that the unit of work was made for and no other: they take no
-- tenant. What an operator has set, a tenant cannot change.

ALTER TABLE tenantry.budget ADD COLUMN set_by text NOT NULL DEFAULT 'operator'
  CHECK (set_by IN ('operator', 'tenant'));
COMMENT ON COLUMN tenantry.budget.set_by IS 'Whose it is: a tenant changes only what it set.';

-- A plan without a monthly budget that shall raise an alert has a soft one of that amount.
ALTER TABLE tenantry.plan DROP COLUMN monthly_budget, DROP COLUMN budget_hard;
ALTER TABLE tenantry.plan
  ADD COLUMN monthly_budget numeric GENERATED ALWAYS AS (coalesce(
    (definition ->> 'monthly_budget')::numeric, (definition ->> 'soft_alert_at')::numeric)) STORED,
  ADD COLUMN budget_hard boolean GENERATED ALWAYS AS (
    (definition ->> 'budget_hard')::boolean AND definition ->> 'monthly_budget' IS NOT NULL) STORED;

GRANT DELETE ON tenantry.budget, tenantry.budget_use TO tenantry_gate;
GRANT INSERT, UPDATE (revoked_at) ON tenantry.api_key TO tenantry_gate;
-- All of a key but its secrets; the row policy shows a tenant its own.
GRANT SELECT (tenant_id, api_key_id, name, hint, scopes, models_allowed, created_at, expires_at,
  revoked_at) ON tenantry.api_key TO tenantry_app;

GRANT CREATE ON SCHEMA tenantry TO tenantry_gate;
SET LOCAL ROLE tenantry_gate;

-- Sets a budget as an operator or as the tenant: `set`, or why not. At most 10,000 are kept of a
-- tenant, because the turn of a day opens a balance for each of them.
CREATE FUNCTION tenantry.put_budget(
  p_tenant_id text, p_subject text, p_period text, p_basis text, p_amount numeric, p_hard boolean,
  p_set_by text
) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  at     constant timestamptz := tenantry.lock_tenants(ARRAY[p_tenant_id]);
  setter text;
BEGIN
  IF NOT EXISTS (SELECT FROM tenantry.tenant t WHERE t.tenant_id = p_tenant_id) THEN
    RETURN 'unknown_tenant';
  END IF;
  IF p_subject LIKE 'api\_key:%' AND NOT EXISTS (
    SELECT FROM tenantry.api_key k
    WHERE k.tenant_id = p_tenant_id AND k.api_key_id = substr(p_subject, 9)
  ) THEN
    RETURN 'unknown_api_key';
  END IF;
  SELECT b.set_by INTO setter FROM tenantry.budget b
  WHERE b.tenant_id = p_tenant_id AND b.subject = p_subject AND b.period = p_period
    AND b.basis = p_basis;
  IF p_set_by = 'tenant' AND setter = 'operator' THEN
    RETURN 'operators';
  END IF;
  IF setter IS NULL
    AND (SELECT count(*) FROM tenantry.budget b WHERE b.tenant_id = p_tenant_id) >= 10000 THEN
    RETURN 'too_many';
  END IF;
  -- Only a new one has to ask the ledger what its period has spent: that takes a while.
  UPDATE tenantry.budget_use u SET amount = p_amount, hard = p_hard
  WHERE u.tenant_id = p_tenant_id AND u.subject = p_subject AND u.period = p_period
    AND u.basis = p_basis AND u.period_end > at AND setter IS NOT NULL;
  IF NOT FOUND THEN
    PERFORM tenantry.set_budget(p_tenant_id, p_subject, p_period, p_basis, p_amount, p_hard);
  END IF;
  UPDATE tenantry.budget b
  SET amount = p_amount, hard = p_hard, set_by = p_set_by, set_at = clock_timestamp()
  WHERE b.tenant_id = p_tenant_id AND b.subject = p_subject AND b.period = p_period
    AND b.basis = p_basis;
  RETURN 'set';
END $$;

-- Removes a budget with the balance of its present period; those of past periods stay. What is
-- settled later finds no balance, and one that is set again begins with what the ledger says.
CREATE FUNCTION tenantry.drop_budget(
  p_tenant_id text, p_subject text, p_period text, p_basis text, p_set_by text
) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  at     constant timestamptz := tenantry.lock_tenants(ARRAY[p_tenant_id]);
  setter text;
BEGIN
  SELECT b.set_by INTO setter FROM tenantry.budget b
  WHERE b.tenant_id = p_tenant_id AND b.subject = p_subject AND b.period = p_period
    AND b.basis = p_basis;
  IF setter IS NULL THEN
    RETURN 'unknown';
  END IF;
  IF p_set_by = 'tenant' AND setter = 'operator' THEN
    RETURN 'operators';
  END IF;
  DELETE FROM tenantry.budget b
  WHERE b.tenant_id = p_tenant_id AND b.subject = p_subject AND b.period = p_period
    AND b.basis = p_basis;
  DELETE FROM tenantry.budget_use u
  WHERE u.tenant_id = p_tenant_id AND u.subject = p_subject AND u.period_end > at
    AND u.period = p_period AND u.basis = p_basis;
  RETURN 'removed';
END $$;

CREATE FUNCTION tenantry.place_budget(
  p_tenant_id text, p_subject text, p_period text, p_basis text, p_amount numeric, p_hard boolean
) RETURNS text LANGUAGE sql SECURITY DEFINER
SET search_path = pg_catalog, tenantry, pg_temp AS $$
  SELECT tenantry.put_budget(
    p_tenant_id, p_subject, p_period, p_basis, p_amount, p_hard, 'operator')
$$;
COMMENT ON FUNCTION tenantry.place_budget IS
  'Writes balances, to which control has no grant; sets one budget of one tenant.';
GRANT EXECUTE ON FUNCTION tenantry.place_budget TO tenantry_control;

CREATE FUNCTION tenantry.remove_budget(
  p_tenant_id text, p_subject text, p_period text, p_basis text
) RETURNS text LANGUAGE sql SECURITY DEFINER
SET search_path = pg_catalog, tenantry, pg_temp AS $$
  SELECT tenantry.drop_budget(p_tenant_id, p_subject, p_period, p_basis, 'operator')
$$;
COMMENT ON FUNCTION tenantry.remove_budget IS
  'Deletes a balance, to which control has no grant; removes one budget of one tenant.';
GRANT EXECUTE ON FUNCTION tenantry.remove_budget TO tenantry_control;

CREATE FUNCTION tenantry.place_own_budget(
  p_subject text, p_period text, p_amount numeric, p_hard boolean
) RETURNS text LANGUAGE sql SECURITY DEFINER
SET search_path = pg_catalog, tenantry, pg_temp AS $$
  SELECT tenantry.put_budget(current_setting('tenantry.tenant', true), p_subject, p_period,
    'charge', p_amount, p_hard, 'tenant')
$$;
COMMENT ON FUNCTION tenantry.place_own_budget IS
  'Writes balances, to which app has no grant; of the tenant of the unit of work, in its charge.';
GRANT EXECUTE ON FUNCTION tenantry.place_own_budget TO tenantry_app;

CREATE FUNCTION tenantry.remove_own_budget(p_subject text, p_period text)
RETURNS text LANGUAGE sql SECURITY DEFINER
SET search_path = pg_catalog, tenantry, pg_temp AS $$
  SELECT tenantry.drop_budget(
    current_setting('tenantry.tenant', true), p_subject, p_period, 'charge', 'tenant')
$$;
COMMENT ON FUNCTION tenantry.remove_own_budget IS
  'Deletes a balance, to which app has no grant; of the tenant of the unit of work.';
GRANT EXECUTE ON FUNCTION tenantry.remove_own_budget TO tenantry_app;

-- The API key that asks, where it is an admin's and good; locks the tenant's keys against others
-- that make or revoke some. No row: it may not.
CREATE FUNCTION tenantry.admin_key(p_tenant_id text, p_api_key_id text)
RETURNS SETOF tenantry.api_key LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_advisory_xact_lock(hashtext('tenantry.api_key'), hashtext(p_tenant_id));
  RETURN QUERY SELECT k.* FROM tenantry.api_key k
  WHERE k.tenant_id = p_tenant_id AND k.api_key_id = p_api_key_id AND 'admin' = ANY (k.scopes)
    AND k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > clock_timestamp());
END $$;

-- Makes an API key that may do no more than the one that asks: `created`, or why not. At most
-- 10,000 are kept of a tenant, revoked ones among them.
CREATE FUNCTION tenantry.create_own_key(
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
  IF creator.models_allowed IS NOT NULL
    AND NOT coalesce(p_models <@ creator.models_allowed, false) THEN
    RETURN 'models';
  END IF;
  IF p_expires_at <= clock_timestamp() THEN
    RETURN 'expired';
  END IF;
  IF (SELECT count(*) FROM tenantry.api_key k WHERE k.tenant_id = own) >= 10000 THEN
    RETURN 'too_many';
  END IF;
  INSERT INTO tenantry.api_key (tenant_id, api_key_id, name, hint, bearer_hmac, access_key_id,
    secret_sealed, scopes, models_allowed, expires_at)
  VALUES (own, p_api_key_id, p_name, p_hint, p_bearer_hmac, p_access_key_id, p_secret_sealed,
    p_scopes, p_models, p_expires_at);
  RETURN 'created';
END $$;
COMMENT ON FUNCTION tenantry.create_own_key IS
  'Writes keys, to which app has no grant; of the tenant of the unit of work, no mightier than p_by.';
GRANT EXECUTE ON FUNCTION tenantry.create_own_key TO tenantry_app;

-- Revokes an API key: `revoked`, also the second time, or why not. One admin's key that is good
-- always stays, or nobody of the tenant could ever make another.
CREATE FUNCTION tenantry.revoke_own_key(p_by text, p_api_key_id text) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, tenantry, pg_temp AS $$
DECLARE
  own constant text := current_setting('tenantry.tenant', true);
BEGIN
  IF NOT EXISTS (SELECT FROM tenantry.admin_key(own, p_by)) THEN
    RETURN 'not_admin';
  END IF;
  IF NOT EXISTS (
    SELECT FROM tenantry.api_key k WHERE k.tenant_id = own AND k.api_key_id = p_api_key_id
  ) THEN
    RETURN 'unknown';
  END IF;
  IF p_by = p_api_key_id AND NOT EXISTS (
    SELECT FROM tenantry.api_key k
    WHERE k.tenant_id = own AND k.api_key_id <> p_by AND 'admin' = ANY (k.scopes)
      AND k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > clock_timestamp())
  ) THEN
    RETURN 'last_admin';
  END IF;
  UPDATE tenantry.api_key k SET revoked_at = coalesce(k.revoked_at, clock_timestamp())
  WHERE k.tenant_id = own AND k.api_key_id = p_api_key_id;
  RETURN 'revoked';
END $$;
COMMENT ON FUNCTION tenantry.revoke_own_key IS
  'Writes keys, to which app has no grant; of the tenant of the unit of work, by one of its admins.';
GRANT EXECUTE ON FUNCTION tenantry.revoke_own_key TO tenantry_app;

SET LOCAL ROLE tenantry_owner;
REVOKE CREATE ON SCHEMA tenantry FROM tenantry_gate;
