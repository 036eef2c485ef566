-- Whose a kept answer is. The books know the end users of requests that cost something; an answer
-- may be kept of one that cost nothing, and is found, given and erased by its own row. What was kept
-- before, and by workers of before while they are rolled, has no user here: the books still say whose
-- it is where it cost something, and the rest expires after what an operator keeps answers for, seven
-- days at most. No index: it would be written with each answer, and an end user's export may read all
-- of a tenant's rows.
ALTER TABLE tenantry.idempotency ADD COLUMN user_hash text;

-- As in 0011, with the end users; the other one is for workers of before, while they are rolled. Who
-- was erased while the request ran gets nothing kept: no name would lead to it any more.
CREATE FUNCTION tenantry.idempotency_note(
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
    IF note.state = 'kept' AND EXISTS (
      SELECT FROM erased_user u WHERE u.tenant_id = note.tenant AND u.user_hash = note.of_user
    ) THEN
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
GRANT EXECUTE ON FUNCTION tenantry.idempotency_note(
  text, text[], text[], bytea[], bytea[], uuid[], text[], bytea[], text[], interval, interval
) TO tenantry_app;
