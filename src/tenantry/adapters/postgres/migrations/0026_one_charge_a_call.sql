-- A worker that dies leaves every attempt of a call unknown, and each could still be the one that the
-- customer pays for. The first that the log brings is; whoever posts the next may have read the
-- ledger before, in another process even. So it is decided here, under the tenant's lock.

GRANT CREATE ON SCHEMA tenantry TO tenantry_gate;
SET LOCAL ROLE tenantry_gate;

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
      EXISTS (
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
