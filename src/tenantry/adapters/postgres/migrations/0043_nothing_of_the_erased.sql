-- Who is erased leaves nothing behind that a request of theirs writes later, whatever it is; and a
-- shredded tenant leaves no budgets.

-- Whose an answer is that may be given again. NULL: nobody's in particular, or kept by a worker of
-- before; then the books say whose request made it. No index: a tenant has a thousand of them at most.
ALTER TABLE tenantry.answer ADD COLUMN user_hash text;

-- Whether something may be kept of an end user of the unit of work's tenant: of nobody in particular
-- always, of who was erased never. Where it may, an erasure waits for this transaction, and then finds
-- what it has kept; so the answer holds until its end.
CREATE FUNCTION tenantry.may_keep_of(p_user_hash text) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, tenantry, pg_temp AS $$
DECLARE
  own constant text := current_setting('tenantry.tenant');
BEGIN
  IF p_user_hash IS NULL THEN
    RETURN true;
  END IF;
  PERFORM pg_advisory_xact_lock_shared(hashtext('tenantry.erased_user'), hashtext(own));
  RETURN NOT EXISTS (
    SELECT FROM erased_user u WHERE u.tenant_id = own AND u.user_hash = p_user_hash
  );
END $$;
GRANT EXECUTE ON FUNCTION tenantry.may_keep_of TO tenantry_app;

-- As in 0039.
CREATE OR REPLACE FUNCTION tenantry.idempotency_note(
  p_kind text, p_tenants text[], p_api_keys text[], p_keys bytea[], p_bodies bytea[],
  p_requests uuid[], p_states text[], p_sealed bytea[], p_users text[], p_lease interval,
  p_keep interval
) RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, tenantry, pg_temp AS $$
DECLARE
  at   constant timestamptz := clock_timestamp();
  note record;
BEGIN
  FOR note IN
    SELECT * FROM unnest(p_tenants, p_api_keys, p_keys, p_bodies, p_requests, p_states, p_sealed,
                         p_users)
      AS n (tenant, api_key, key, body, request, state, sealed, of_user)
    ORDER BY n.tenant COLLATE "C", n.api_key COLLATE "C", n.key
  LOOP
    PERFORM set_config('tenantry.tenant', note.tenant, true);
    IF note.state = 'kept' AND NOT tenantry.may_keep_of(note.of_user) THEN
      note.state := 'lost';
      note.sealed := NULL;
    END IF;
    INSERT INTO idempotency AS i (tenant_id, kind, api_key_id, key_hmac, body_hmac, request_id,
                                  state, lease_until, expires_at, sealed, user_hash)
    VALUES (note.tenant, p_kind, note.api_key, note.key, note.body, note.request,
            note.state, at + p_lease, at + p_keep, note.sealed, note.of_user)
    ON CONFLICT (tenant_id, kind, api_key_id, key_hmac) DO UPDATE
      SET state = excluded.state, lease_until = excluded.lease_until,
          expires_at = excluded.expires_at, sealed = excluded.sealed,
          user_hash = excluded.user_hash
      -- A renewal that comes late must not open again what has ended.
      WHERE i.request_id = excluded.request_id AND i.state = 'running';
  END LOOP;
END $$;

-- Certificates of before did not say that budgets remain, whose subjects may be a user's hash or a run
-- label: they go. Balances of the plan itself stay, which name nobody and go on with the calendar.
CREATE POLICY for_0043 ON tenantry.shred FOR SELECT TO tenantry_gate USING (true);
GRANT SELECT (tenant_id, certificate) ON tenantry.shred TO tenantry_gate;
GRANT CREATE ON SCHEMA tenantry TO tenantry_gate;
SET LOCAL ROLE tenantry_gate;
DELETE FROM tenantry.budget_use u USING tenantry.shred s
WHERE u.tenant_id = s.tenant_id AND s.certificate IS NOT NULL AND u.subject <> 'plan';
DELETE FROM tenantry.budget b USING tenantry.shred s
WHERE b.tenant_id = s.tenant_id AND s.certificate IS NOT NULL;

CREATE FUNCTION tenantry.erase_own_budgets() RETURNS void LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, tenantry, pg_temp AS $$
DECLARE
  own constant text := current_setting('tenantry.tenant', true);
BEGIN
  IF NOT EXISTS (
    SELECT FROM tenantry.tenant t WHERE t.tenant_id = own AND t.status = 'shredded'
  ) THEN
    RAISE EXCEPTION 'the tenant is not shredded'
      USING ERRCODE = 'object_not_in_prerequisite_state';
  END IF;
  PERFORM tenantry.lock_tenants(ARRAY[own]);
  DELETE FROM tenantry.budget_use u WHERE u.tenant_id = own AND u.subject <> 'plan';
  DELETE FROM tenantry.budget b WHERE b.tenant_id = own;
END $$;
COMMENT ON FUNCTION tenantry.erase_own_budgets IS
  'Deletes balances, to which app has no grant; of the shredded tenant of the unit of work.';
GRANT EXECUTE ON FUNCTION tenantry.erase_own_budgets TO tenantry_app;

SET LOCAL ROLE tenantry_owner;
REVOKE CREATE ON SCHEMA tenantry FROM tenantry_gate;
REVOKE SELECT (tenant_id, certificate) ON tenantry.shred FROM tenantry_gate;
DROP POLICY for_0043 ON tenantry.shred;
