-- Idempotency: which keys were used, and the sealed answers that they replay. Keys and bodies are
-- here only as HMACs under a subkey of the tenant key, answers only as ciphertext.

-- kind `given`: the client's Idempotency-Key, kept 24 h and durable. `implied`: made of an AWS
-- SDK's invocation id, kept 15 minutes in a table without WAL, so that claiming waits for no disk.
-- No foreign key: it would lock the row of a hot tenant, and write WAL for the implied ones.
CREATE TABLE tenantry.idempotency (
  tenant_id   text COLLATE "C" NOT NULL,
  kind        text        NOT NULL CHECK (kind IN ('given', 'implied')),
  api_key_id  text COLLATE "C" NOT NULL,
  key_hmac    bytea       NOT NULL CHECK (octet_length(key_hmac) = 32),
  body_hmac   bytea       NOT NULL CHECK (octet_length(body_hmac) = 32),
  request_id  uuid        NOT NULL,  -- of the run that holds the key
  state       text        NOT NULL CHECK (state IN ('running', 'kept', 'lost', 'free')),
  lease_until timestamptz NOT NULL,  -- past it a `running` worker is dead
  expires_at  timestamptz NOT NULL,
  sealed      bytea,
  PRIMARY KEY (tenant_id, kind, api_key_id, key_hmac),
  CHECK ((state = 'kept') = (sealed IS NOT NULL))
) PARTITION BY LIST (kind);
COMMENT ON TABLE tenantry.idempotency IS
  'Used idempotency keys. `lost`: it ran and its answer is not kept. `free`: refused before it ran.';
CREATE TABLE tenantry.idempotency_given PARTITION OF tenantry.idempotency FOR VALUES IN ('given');
CREATE UNLOGGED TABLE tenantry.idempotency_implied
  PARTITION OF tenantry.idempotency FOR VALUES IN ('implied')
  WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 20000);
CREATE INDEX idempotency_expired ON tenantry.idempotency (expires_at);
ALTER TABLE tenantry.idempotency_given ALTER COLUMN sealed SET STORAGE EXTERNAL;  -- ciphertext
ALTER TABLE tenantry.idempotency_implied ALTER COLUMN sealed SET STORAGE EXTERNAL;

-- A crash of the server empties tables without WAL. This row goes with them, so that it is known
-- since when implied keys are complete. It is of no tenant.
CREATE UNLOGGED TABLE tenantry.implied_keys_known (
  one_row boolean   PRIMARY KEY DEFAULT true CHECK (one_row),
  since timestamptz NOT NULL
);
COMMENT ON TABLE tenantry.implied_keys_known IS 'Since when no implied key has been forgotten.';
INSERT INTO tenantry.implied_keys_known (since) VALUES ('-infinity');

DO $$
DECLARE
  table_name text;
BEGIN
  FOREACH table_name IN ARRAY ARRAY['idempotency', 'idempotency_given', 'idempotency_implied'] LOOP
    EXECUTE format('ALTER TABLE tenantry.%I ENABLE ROW LEVEL SECURITY', table_name);
    EXECUTE format('ALTER TABLE tenantry.%I FORCE ROW LEVEL SECURITY', table_name);
    EXECUTE format('CREATE POLICY own_tenant ON tenantry.%I TO tenantry_app '
      'USING (tenant_id = current_setting(''tenantry.tenant'', true)) '
      'WITH CHECK (tenant_id = current_setting(''tenantry.tenant'', true))', table_name);
  END LOOP;
END $$;
GRANT SELECT, INSERT, UPDATE ON tenantry.idempotency TO tenantry_app;
GRANT SELECT, INSERT ON tenantry.implied_keys_known TO tenantry_app;

-- The sweep sees what has expired and nothing else, and never what was sealed.
CREATE POLICY expired ON tenantry.idempotency FOR ALL TO tenantry_control
  USING (expires_at <= statement_timestamp()) WITH CHECK (false);
GRANT SELECT (tenant_id, kind, api_key_id, key_hmac, expires_at), DELETE
  ON tenantry.idempotency TO tenantry_control;

-- Claims keys of one kind for many requests in one round trip; the i-th answer is of the i-th
-- request. It runs with the rights of its caller: each claim sees its own tenant's rows only.
--
--   claimed   the caller runs it           running   somebody else does
--   kept      `sealed` is the answer       lost      it may have run; there is no answer
CREATE FUNCTION tenantry.idempotency_claim(
  p_kind text, p_tenants text[], p_api_keys text[], p_keys bytea[], p_bodies bytea[],
  p_requests uuid[], p_resent boolean[], p_lease interval, p_keep interval
) RETURNS TABLE (number bigint, outcome text, body_hmac bytea, request_id uuid, sealed bytea)
LANGUAGE plpgsql SET search_path = pg_catalog, tenantry, pg_temp AS $$
#variable_conflict use_column
DECLARE
  at    constant timestamptz := clock_timestamp();
  known timestamptz := '-infinity';
  claim record;
  found_row record;
BEGIN
  IF p_kind = 'implied' THEN
    SELECT k.since INTO known FROM implied_keys_known k;
    IF NOT FOUND THEN
      known := at;
      INSERT INTO implied_keys_known (since) VALUES (at) ON CONFLICT DO NOTHING;
    END IF;
  END IF;
  -- In one order, so that no two batches can wait for each other.
  FOR claim IN
    SELECT * FROM unnest(p_tenants, p_api_keys, p_keys, p_bodies, p_requests, p_resent)
      WITH ORDINALITY AS c (tenant, api_key, key, body, request, resent, nr)
    ORDER BY c.tenant COLLATE "C", c.api_key COLLATE "C", c.key
  LOOP
    PERFORM set_config('tenantry.tenant', claim.tenant, true);
    number := claim.nr;
    IF claim.resent AND known > at - p_keep AND NOT EXISTS (
      SELECT FROM idempotency i
      WHERE i.tenant_id = claim.tenant AND i.kind = p_kind
        AND i.api_key_id = claim.api_key AND i.key_hmac = claim.key
    ) THEN
      outcome := 'lost';  -- an earlier attempt may be among what was forgotten
      RETURN NEXT;
      CONTINUE;
    END IF;
    INSERT INTO idempotency AS i (tenant_id, kind, api_key_id, key_hmac, body_hmac, request_id,
                                  state, lease_until, expires_at)
    VALUES (claim.tenant, p_kind, claim.api_key, claim.key, claim.body, claim.request,
            'running', at + p_lease, at + p_keep)
    ON CONFLICT (tenant_id, kind, api_key_id, key_hmac) DO UPDATE
      SET body_hmac = excluded.body_hmac, request_id = excluded.request_id, state = 'running',
          lease_until = excluded.lease_until, expires_at = excluded.expires_at, sealed = NULL
      WHERE i.state = 'free' OR i.expires_at <= at;
    IF FOUND THEN
      outcome := 'claimed';
      body_hmac := claim.body;
      request_id := claim.request;
      sealed := NULL;
    ELSE
      SELECT i.* INTO STRICT found_row FROM idempotency i
      WHERE i.tenant_id = claim.tenant AND i.kind = p_kind
        AND i.api_key_id = claim.api_key AND i.key_hmac = claim.key;
      outcome := CASE WHEN found_row.state = 'running' AND found_row.lease_until <= at
                      THEN 'lost' ELSE found_row.state END;
      body_hmac := found_row.body_hmac;
      request_id := found_row.request_id;
      sealed := found_row.sealed;
    END IF;
    RETURN NEXT;
  END LOOP;
END $$;
GRANT EXECUTE ON FUNCTION tenantry.idempotency_claim TO tenantry_app;

-- Ends or prolongs what the callers run, many in one round trip; `sealed` is set where the state
-- is `kept`. A row that a crash took away comes back; one that somebody else holds stays as it is.
CREATE FUNCTION tenantry.idempotency_note(
  p_kind text, p_tenants text[], p_api_keys text[], p_keys bytea[], p_bodies bytea[],
  p_requests uuid[], p_states text[], p_sealed bytea[], p_lease interval, p_keep interval
) RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, tenantry, pg_temp AS $$
DECLARE
  at   constant timestamptz := clock_timestamp();
  note record;
BEGIN
  FOR note IN
    SELECT * FROM unnest(p_tenants, p_api_keys, p_keys, p_bodies, p_requests, p_states, p_sealed)
      AS n (tenant, api_key, key, body, request, state, sealed)
    ORDER BY n.tenant COLLATE "C", n.api_key COLLATE "C", n.key
  LOOP
    PERFORM set_config('tenantry.tenant', note.tenant, true);
    INSERT INTO idempotency AS i (tenant_id, kind, api_key_id, key_hmac, body_hmac, request_id,
                                  state, lease_until, expires_at, sealed)
    VALUES (note.tenant, p_kind, note.api_key, note.key, note.body, note.request,
            note.state, at + p_lease, at + p_keep, note.sealed)
    ON CONFLICT (tenant_id, kind, api_key_id, key_hmac) DO UPDATE
      SET state = excluded.state, lease_until = excluded.lease_until,
          expires_at = excluded.expires_at, sealed = excluded.sealed
      -- A renewal that comes late must not open again what has ended.
      WHERE i.request_id = excluded.request_id AND i.state = 'running';
  END LOOP;
END $$;
GRANT EXECUTE ON FUNCTION tenantry.idempotency_note TO tenantry_app;
