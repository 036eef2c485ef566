-- An attempt of unknown end is written off only once its account's invocation log was read over its
-- whole hold, after it had come to be in doubt, or was found not to be there for as long. How far the
-- worker has read is kept here, so that no start begins with writing off what the log tells of. The
-- attempts of a batch job that has not ended are left to who settles batches.

CREATE TABLE tenantry.log_reading (
  account    text COLLATE "C" PRIMARY KEY,
  logs       text[]      NOT NULL DEFAULT '{}',  -- by name, those that it is logged to; none: no log
  read_at    timestamptz,  -- when the last whole reading began
  -- Of attempts that began in [told_from, told_to), every record that came within the hold was read.
  told_from  timestamptz,
  told_to    timestamptz,
  away_since timestamptz,  -- since when it could not be read to its end; NULL: it can
  problem    text        NOT NULL DEFAULT '',
  CHECK ((read_at IS NULL) = (told_to IS NULL) AND (read_at IS NULL) = (told_from IS NULL))
);
COMMENT ON TABLE tenantry.log_reading IS
  'How far the invocation log of each account was read, and since when it cannot be.';
GRANT SELECT, INSERT, UPDATE, DELETE ON tenantry.log_reading TO tenantry_control;
GRANT SELECT ON tenantry.log_reading TO tenantry_gate, tenantry_operator;

-- Which jobs are open, and nothing of what they are.
GRANT SELECT (tenant_id, request_id, state) ON tenantry.batch_job TO tenantry_gate;
CREATE POLICY accounting ON tenantry.batch_job FOR SELECT TO tenantry_gate USING (true);

GRANT CREATE ON SCHEMA tenantry TO tenantry_gate;
SET LOCAL ROLE tenantry_gate;

-- Ends attempts as our waste: nothing is charged, and their hold falls free.
CREATE FUNCTION tenantry.end_as_waste(p_intents tenantry.intent[])
RETURNS TABLE (tenant_id text, request_id uuid, call smallint, attempt smallint)
LANGUAGE plpgsql AS $$
DECLARE
  old tenantry.outcome_in[];
BEGIN
  SELECT array_agg(tenantry.given_up(x.place::integer, x.alone, x.tenant_id, x.request_id, false,
           x.call, x.attempt, 'written_off', false, x.error) ORDER BY x.place)
  INTO old FROM (
    SELECT i.*, dense_rank() OVER (ORDER BY i.tenant_id, i.request_id) AS place,
           count(*) OVER (PARTITION BY i.tenant_id, i.request_id) = 1 AS alone
    FROM unnest(p_intents) i
  ) x;
  IF old IS NULL THEN
    RETURN;
  END IF;
  PERFORM tenantry.post(old);
  RETURN QUERY SELECT o.tenant_id, o.request_id, o.call, o.attempt FROM unnest(old) o;
END $$;

-- As in 0009, of those that nothing can tell of any more. A minute is far longer than the transaction
-- that brought an attempt in doubt may have been open while the log was read.
CREATE OR REPLACE FUNCTION tenantry.write_off(p_before timestamptz, p_max integer)
RETURNS TABLE (tenant_id text, request_id uuid, call smallint, attempt smallint)
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, tenantry, pg_temp
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
BEGIN
  RETURN QUERY SELECT w.* FROM tenantry.end_as_waste(ARRAY(
    SELECT i FROM tenantry.intent i
    JOIN tenantry.log_reading r ON r.account = i.account
    WHERE i.state = 'unknown' AND i.quarantined IS NULL AND i.began_at < p_before
      AND i.began_at >= r.told_from AND i.began_at < r.told_to
      AND coalesce(i.unknown_at, i.began_at) < r.read_at - interval '1 minute'
      AND NOT EXISTS (
        SELECT FROM tenantry.batch_job j
        WHERE j.tenant_id = i.tenant_id AND j.request_id = i.request_id
          AND j.state IN ('planned', 'submitting', 'running'))
    ORDER BY i.began_at LIMIT p_max)) w;
END $$;

-- The same by an operator's word, of one account or (NULL) of all: whatever was read, and of batch
-- jobs that have not ended, too.
CREATE FUNCTION tenantry.give_up(p_account text, p_before timestamptz, p_max integer)
RETURNS TABLE (tenant_id text, request_id uuid, call smallint, attempt smallint)
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, tenantry, pg_temp
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
BEGIN
  RETURN QUERY SELECT w.* FROM tenantry.end_as_waste(ARRAY(
    SELECT i FROM tenantry.intent i
    WHERE i.state = 'unknown' AND i.quarantined IS NULL AND i.began_at < p_before
      AND (p_account IS NULL OR i.account = p_account)
    ORDER BY i.began_at LIMIT p_max)) w;
END $$;
COMMENT ON FUNCTION tenantry.give_up IS
  'Crosses tenants because many are served by one account; ends attempts by an operator''s word.';
GRANT EXECUTE ON FUNCTION tenantry.give_up TO tenantry_control;

-- Records of one batch job that will not end by itself.
CREATE FUNCTION tenantry.give_up_request(p_tenant_id text, p_request_id uuid, p_max integer)
RETURNS TABLE (tenant_id text, request_id uuid, call smallint, attempt smallint)
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, tenantry, pg_temp
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
BEGIN
  RETURN QUERY SELECT w.* FROM tenantry.end_as_waste(ARRAY(
    SELECT i FROM tenantry.intent i
    WHERE i.tenant_id = p_tenant_id AND i.request_id = p_request_id
      AND i.state = 'unknown' AND i.quarantined IS NULL
    ORDER BY i.call LIMIT p_max)) w;
END $$;
COMMENT ON FUNCTION tenantry.give_up_request IS
  'Writes both books, which control may only read; ends attempts of one request of one tenant.';
GRANT EXECUTE ON FUNCTION tenantry.give_up_request TO tenantry_control;

-- As in 0026. Whether an attempt is the customer's is what it is now, under the tenant's lock: since
-- who posts has read it, it may have been written off, or its worker heard.
CREATE OR REPLACE FUNCTION tenantry.post(p_outcomes tenantry.outcome_in[]) RETURNS boolean[]
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, tenantry, pg_temp
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
  at constant timestamptz := tenantry.lock_tenants(
    ARRAY(SELECT o.tenant_id FROM unnest(p_outcomes) o));
BEGIN
  IF cardinality(p_outcomes) = 0 THEN
    RETURN '{}';
  END IF;
  FOR i IN 1 .. cardinality(p_outcomes) LOOP
    IF p_outcomes[i].charged AND (
      NOT EXISTS (
        SELECT FROM tenantry.intent n
        WHERE n.tenant_id = p_outcomes[i].tenant_id AND n.request_id = p_outcomes[i].request_id
          AND n.call = p_outcomes[i].call AND n.attempt = p_outcomes[i].attempt AND n.charged)
      OR EXISTS (
        SELECT FROM tenantry.cost_entry a
        WHERE a.tenant_id = p_outcomes[i].tenant_id AND a.request_id = p_outcomes[i].request_id
          AND a.call = p_outcomes[i].call AND a.attempt <> p_outcomes[i].attempt AND a.charged)
      OR EXISTS (
        SELECT FROM unnest(p_outcomes[: i - 1]) b
        WHERE b.tenant_id = p_outcomes[i].tenant_id AND b.request_id = p_outcomes[i].request_id
          AND b.call = p_outcomes[i].call AND b.charged AND b.ending = 'settled')
    ) THEN
      p_outcomes[i].charged := false;
    END IF;
  END LOOP;
  RETURN tenantry.gate_settle(at, p_outcomes);
END $$;

SET LOCAL ROLE tenantry_owner;
REVOKE CREATE ON SCHEMA tenantry FROM tenantry_gate;
