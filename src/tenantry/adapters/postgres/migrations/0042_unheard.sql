-- A worker whose call is swept while it lives is heard afterwards. What it says of an attempt that
-- nobody got an answer of stands: the attempt is our waste, also once the log tells its usage.

GRANT CREATE ON SCHEMA tenantry TO tenantry_gate;
SET LOCAL ROLE tenantry_gate;

-- As in 0007; false also where it was as little the customer's before.
CREATE OR REPLACE FUNCTION tenantry.doubt_attempt(
  p_at timestamptz, i tenantry.intent, o tenantry.outcome_in
) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
  again constant boolean :=
    i.state = 'unknown' AND i.quarantined IS NOT DISTINCT FROM o.quarantined;
BEGIN
  IF again AND (o.charged OR NOT i.charged) THEN
    RETURN false;
  END IF;
  UPDATE tenantry.later_intent x
  SET state = 'unknown', unknown_at = coalesce(x.unknown_at, p_at),
      quarantined = coalesce(o.quarantined, x.quarantined), error = coalesce(o.error, x.error),
      charged = o.charged,
      estimate = CASE WHEN again THEN x.estimate ELSE o.estimate END
  WHERE x.tenant_id = i.tenant_id AND x.request_id = i.request_id AND x.call = i.call
    AND x.attempt = i.attempt;
  IF NOT FOUND THEN
    UPDATE tenantry.open_request x
    SET state = 'unknown', unknown_at = coalesce(x.unknown_at, p_at),
        quarantined = coalesce(o.quarantined, x.quarantined), error = coalesce(o.error, x.error),
        charged = o.charged,
        estimate = CASE WHEN again THEN x.estimate ELSE o.estimate END
    WHERE x.tenant_id = i.tenant_id AND x.request_id = i.request_id;
  END IF;
  RETURN true;
END $$;

-- As in 0009; a server that has just started waits for its workers to come back before it takes
-- one for dead.
CREATE OR REPLACE FUNCTION tenantry.sweep(p_max integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, tenantry, pg_temp
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
  dead      bigint[];
  abandoned tenantry.outcome_in[];
  at        timestamptz;
BEGIN
  WITH boots AS MATERIALIZED (
    SELECT DISTINCT o.boot_id FROM tenantry.open_request o
    WHERE NOT o.final
      AND clock_timestamp() > pg_catalog.pg_postmaster_start_time() + interval '5 seconds'
  )
  SELECT array_agg(boot_id) INTO dead FROM boots WHERE pg_try_advisory_xact_lock(boot_id);

  SELECT array_agg(tenantry.given_up(x.place::integer, x.alone, x.tenant_id, x.request_id, true,
           x.call, x.attempt, CASE x.state WHEN 'reserved' THEN 'released' ELSE 'unknown' END,
           true, 'worker gone or deadline passed') ORDER BY x.place)
  INTO abandoned FROM (
    SELECT o.tenant_id, o.request_id, i.call, i.attempt, i.state,
           count(*) OVER (PARTITION BY o.tenant_id, o.request_id) = 1 AS alone,
           dense_rank() OVER (ORDER BY o.admitted_at, o.tenant_id, o.request_id) AS place
    FROM tenantry.open_request o
    LEFT JOIN tenantry.intent i
      ON i.tenant_id = o.tenant_id AND i.request_id = o.request_id AND i.state <> 'unknown'
    WHERE (NOT o.final AND o.boot_id = ANY (dead)) OR i.deadline_at < clock_timestamp()
  ) x
  WHERE x.place <= p_max;
  IF abandoned IS NULL THEN
    RETURN 0;
  END IF;
  at := tenantry.lock_tenants(ARRAY(SELECT o.tenant_id FROM unnest(abandoned) o));
  PERFORM tenantry.gate_settle(at, abandoned);
  RETURN cardinality(abandoned);
END $$;

SET LOCAL ROLE tenantry_owner;
REVOKE CREATE ON SCHEMA tenantry FROM tenantry_gate;
