-- What is posted to an hour that is rolled up leaves a mark, however soon after its admission: the clock
-- that told when the hour was over may have been ahead, or that of the posting is behind. The
-- trigger of 0023 cannot know: its condition costs next to nothing because it asks no table. Here one
-- question is asked for a whole batch.

GRANT CREATE ON SCHEMA tenantry TO tenantry_gate;
SET LOCAL ROLE tenantry_gate;

-- As in 0028, with those marks.
CREATE OR REPLACE FUNCTION tenantry.settle_whole(
  p_at timestamptz, p_outcomes tenantry.outcome_in[],
  OUT places integer[], OUT moves tenantry.move[]
) LANGUAGE plpgsql AS $$
BEGIN
  WITH gone AS (
    DELETE FROM tenantry.open_request r USING unnest(p_outcomes) o
    WHERE r.tenant_id = o.tenant_id AND r.request_id = o.request_id
      AND r.open_attempts = 1 AND r.state IS NOT NULL AND (r.final OR o.final)
      AND o.alone AND o.call = 0 AND o.attempt = 1
      AND o.ending <> 'unknown' AND o.quarantined IS NULL
    RETURNING o.place, r.tenant_id, r.request_id, r.admitted_at, r.day, r.period_start,
      r.api_key_id, r.user_hash, r.run_id, r.tags, r.currency, r.plan, r.plan_version,
      r.price_version, r.held_cost, r.held_charge, r.has_slot, r.operation, r.model, r.price_key,
      r.account, r.region,
      CASE WHEN r.paced THEN greatest(r.worst_tokens - r.used_tokens - o.tokens, 0) ELSE 0 END
        AS unused_tokens,
      o.ending, o.charged, o.charged AND o.token_classes <> '{}' AS pays, o.tokens,
      o.cost::tenantry.held AS cost,
      CASE WHEN o.charged THEN o.charge ELSE '0' END::tenantry.held AS charge,
      o.service_tier, o.upstream_request_id,
      tenantry.kept_facts(o.ending, r.pinned, o.raw) AS raw, o.normaliser_version, o.error,
      o.token_classes::text[] AS classes, o.quantities::bigint[] AS counts, o.unit_costs,
      o.costs, o.unit_prices, o.charges,
      r.flags || o.flags || CASE r.state WHEN 'unknown' THEN '{late}'::text[] ELSE '{}' END
        || CASE WHEN o.cost::numeric <= r.held_cost
                 AND (NOT o.charged OR o.charge::numeric <= r.held_charge) THEN '{}'
             ELSE tenantry.excess_flags(
               r, CASE WHEN o.charged THEN o.charge::numeric ELSE 0 END, o.cost::numeric)
           END AS all_flags
  ), costs AS (
    INSERT INTO tenantry.cost_entry
    SELECT tenant_id, admitted_at, request_id, 0, 1, 'usage',
           CASE WHEN charged THEN 'cost_of_sales' ELSE 'waste' END, 'payable_provider', cost,
           classes, counts, unit_costs::numeric[], gone.costs::numeric[], p_at, day,
           period_start, price_version, plan, plan_version, model, account, region, service_tier,
           api_key_id, user_hash, run_id, tags, all_flags, ending, pays, admitted_at, operation,
           price_key, upstream_request_id, tokens, raw, normaliser_version, error
    FROM gone
  ), charges AS (
    INSERT INTO tenantry.charge_entry
    SELECT tenant_id, admitted_at, request_id, 0, 1, 'usage', 'receivable_unbilled',
           'revenue_usage', charge, currency, classes, counts, unit_prices::numeric[],
           gone.charges::numeric[], p_at, day, period_start, price_version, plan, plan_version,
           model, api_key_id, user_hash, run_id, tags, all_flags
    FROM gone WHERE pays
  ), late AS (
    INSERT INTO tenantry.late_hour (tenant_id, hour)
    SELECT DISTINCT tenant_id, date_trunc('hour', admitted_at, 'UTC') FROM gone
    WHERE admitted_at < (SELECT r.through FROM tenantry.rollup r)
  )
  SELECT array_agg(place),
         array_agg((tenant_id, tenantry.subjects(api_key_id, user_hash, run_id), admitted_at,
           charge, cost, -held_charge, -held_cost, has_slot::integer, unused_tokens
           )::tenantry.move)
  INTO places, moves FROM gone;
END $$;

-- As in 0028, with its mark.
CREATE OR REPLACE FUNCTION tenantry.end_attempt(
  p_at timestamptz, r tenantry.open_request, i tenantry.intent, o tenantry.outcome_in,
  p_flags text[]
) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  DELETE FROM tenantry.later_intent x
  WHERE x.tenant_id = i.tenant_id AND x.request_id = i.request_id AND x.call = i.call
    AND x.attempt = i.attempt;
  IF NOT FOUND THEN
    UPDATE tenantry.open_request x SET state = NULL
    WHERE x.tenant_id = i.tenant_id AND x.request_id = i.request_id;
  END IF;
  PERFORM tenantry.post_entry(
    (r.tenant_id, r.admitted_at, r.request_id, o.call, o.attempt, 'usage',
     CASE WHEN o.charged THEN 'cost_of_sales' ELSE 'waste' END, 'payable_provider',
     o.cost::tenantry.held, o.token_classes, o.quantities, o.unit_costs, o.costs, p_at, r.day, r.period_start,
     r.price_version, r.plan, r.plan_version, i.model, i.account, i.region, o.service_tier,
     r.api_key_id, r.user_hash, r.run_id, r.tags,
     r.flags || o.flags || CASE i.state WHEN 'unknown' THEN '{late}'::text[] ELSE '{}' END
       || p_flags,
     o.ending, o.charged AND o.token_classes <> '{}', i.began_at, i.operation, i.price_key,
     o.upstream_request_id, o.tokens, tenantry.kept_facts(o.ending, i.pinned, o.raw),
     o.normaliser_version, o.error
    )::tenantry.cost_entry,
    r.currency, o.charge::tenantry.held, o.unit_prices::numeric[], o.charges::numeric[]);
  INSERT INTO tenantry.late_hour (tenant_id, hour)
  SELECT r.tenant_id, date_trunc('hour', r.admitted_at, 'UTC')
  FROM tenantry.rollup u WHERE r.admitted_at < u.through;
END $$;

SET LOCAL ROLE tenantry_owner;
REVOKE CREATE ON SCHEMA tenantry FROM tenantry_gate;
