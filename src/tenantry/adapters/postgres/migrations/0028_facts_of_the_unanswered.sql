-- An attempt that ended without usage may still be billed: its worker died, or its answer was lost,
-- and the log says so late. The log does not tell the service tier nor for how long a prefix was
-- cached; the intent did, and goes with the attempt. So its facts stay with the attempt's end.

GRANT CREATE ON SCHEMA tenantry TO tenantry_gate;
SET LOCAL ROLE tenantry_gate;

-- What is kept as `raw` of an attempt: the numbers of its answer, or what was pinned for want of one.
CREATE FUNCTION tenantry.kept_facts(p_ending text, p_pinned jsonb, p_raw jsonb) RETURNS jsonb
LANGUAGE sql IMMUTABLE AS $$
  SELECT CASE WHEN p_ending = 'settled' OR p_pinned = '{}' THEN p_raw
              ELSE p_raw || jsonb_build_object('pinned', p_pinned) END
$$;

-- As in 0007, with what is kept of a whole settlement without usage.
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
  )
  SELECT array_agg(place),
         array_agg((tenant_id, tenantry.subjects(api_key_id, user_hash, run_id), admitted_at,
           charge, cost, -held_charge, -held_cost, has_slot::integer, unused_tokens
           )::tenantry.move)
  INTO places, moves FROM gone;
END $$;

-- As in 0007, with what is kept of an attempt that ends without usage.
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
END $$;

-- As in 0007, with what the log's reader says of what it posts.
CREATE OR REPLACE FUNCTION tenantry.adjust_late(p_at timestamptz, o tenantry.outcome_in)
RETURNS tenantry.move LANGUAGE plpgsql AS $$
DECLARE
  e        tenantry.cost_entry;
  subjects text[];
  charge   numeric;
  currency text;
BEGIN
  SELECT x.* INTO e FROM tenantry.cost_entry x
  WHERE x.tenant_id = o.tenant_id AND x.request_id = o.request_id AND x.call = o.call
    AND x.attempt = o.attempt
  ORDER BY x.kind = 'adjustment' DESC LIMIT 1;
  IF e.ending = 'settled' AND e.charged AND NOT o.charged AND 'undelivered' = ANY (o.flags) THEN
    RETURN tenantry.reverse_charge(p_at, e);
  END IF;
  IF e.kind IS DISTINCT FROM 'usage' OR e.ending = 'settled' OR o.ending <> 'settled'
     OR o.quarantined IS NOT NULL OR o.token_classes = '{}' THEN
    RETURN NULL;
  END IF;

  subjects := tenantry.subjects(e.api_key_id, e.user_hash, e.run_id);
  charge := CASE WHEN o.charged THEN o.charge::numeric ELSE 0 END;
  currency := (SELECT t.currency FROM tenantry.tenant t WHERE t.tenant_id = e.tenant_id);
  e.flags := e.flags || o.flags || CASE
    WHEN tenantry.passes_limit(e.tenant_id, subjects, e.admitted_at, charge, o.cost::numeric)
    THEN '{late,overdraft}'::text[] ELSE '{late}' END;
  e.kind := 'adjustment';
  e.ending := 'settled';
  e.charged := o.charged;
  e.debit := CASE WHEN o.charged THEN 'cost_of_sales' ELSE 'waste' END;
  e.amount := o.cost::numeric;
  e.token_classes := o.token_classes::text[];
  e.quantities := o.quantities::bigint[];
  e.unit_prices := o.unit_costs::numeric[];
  e.amounts := o.costs::numeric[];
  e.posted_at := p_at;
  e.service_tier := o.service_tier;
  e.upstream_request_id := coalesce(o.upstream_request_id, e.upstream_request_id);
  e.tokens := o.tokens;
  e.raw := o.raw;
  e.normaliser_version := o.normaliser_version;
  PERFORM tenantry.post_entry(
    e, currency, charge, o.unit_prices::numeric[], o.charges::numeric[]);
  RETURN (e.tenant_id, subjects, e.admitted_at, charge, e.amount, 0, 0, 0, 0)::tenantry.move;
END $$;

SET LOCAL ROLE tenantry_owner;
REVOKE CREATE ON SCHEMA tenantry FROM tenantry_gate;
