-- Settlement: attempts end, both books are posted, holds and slots are freed.
-- The functions here are the gate's own, nobody else may call them; 0008 and 0009 have the doors.
-- Their callers hold the lock of every tenant concerned.

-- What crosses from the workers, one array of each a call.
CREATE TYPE tenantry.outcome_in AS (
  call smallint, attempt smallint, ending text, charged boolean, tokens bigint,
  cost numeric, charge numeric, service_tier text, upstream_request_id text, raw jsonb,
  normaliser_version integer, flags text[], quarantined text, error text, estimate jsonb,
  -- the lines, one for each token class
  token_classes text[], quantities bigint[], unit_costs numeric[], costs numeric[],
  unit_prices numeric[], charges numeric[]
);
CREATE TYPE tenantry.settlement_in AS (
  tenant_id text, request_id uuid, final boolean, outcomes tenantry.outcome_in[]
);

-- What an admission or settlement does to balances: amounts are added, so a release is negative.
CREATE TYPE tenantry.move AS (
  tenant_id text, subjects text[], admitted_at timestamptz,
  charge numeric, cost numeric, held_charge numeric, held_cost numeric
);
-- What a settlement gives back to the tenant's counters.
CREATE TYPE tenantry.freed AS (
  tenant_id text, admitted_at timestamptz, slots bigint, tokens bigint
);

CREATE TYPE tenantry.ended AS (
  ord bigint, ended boolean, tokens bigint, cost numeric, charge numeric
);

GRANT USAGE ON TYPE tenantry.outcome_in, tenantry.settlement_in
  TO tenantry_app, tenantry_gate, tenantry_control;
GRANT USAGE ON TYPE tenantry.move, tenantry.freed, tenantry.ended TO tenantry_gate;

GRANT CREATE ON SCHEMA tenantry TO tenantry_gate;
SET LOCAL ROLE tenantry_gate;

-- Whose budgets a request counts against; a NULL matches nothing.
CREATE FUNCTION tenantry.subjects(p_api_key_id text, p_user_hash text, p_run_id text)
RETURNS text[] LANGUAGE sql IMMUTABLE AS $$
  SELECT ARRAY['plan', 'tenant', 'api_key:' || p_api_key_id, 'user:' || p_user_hash,
               'run:' || p_run_id]
$$;

-- The rows are found once, by key, and changed by place: the tenant's lock keeps them there.
CREATE FUNCTION tenantry.apply_moves(p_moves tenantry.move[]) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
  UPDATE tenantry.budget_use u
  SET settled = u.settled + m.settled, reserved = u.reserved + m.reserved
  FROM (
    SELECT b.place,
           sum(CASE b.basis WHEN 'charge' THEN m.charge ELSE m.cost END) AS settled,
           sum(CASE b.basis WHEN 'charge' THEN m.held_charge ELSE m.held_cost END) AS reserved
    FROM unnest(p_moves) m
    CROSS JOIN LATERAL (
      SELECT b.ctid AS place, b.basis FROM tenantry.budget_use b
      WHERE b.tenant_id = m.tenant_id AND b.subject = ANY (m.subjects)
        AND b.period_end > m.admitted_at AND b.period_start <= m.admitted_at
      OFFSET 0  -- by index, whatever the statistics say
    ) b
    GROUP BY b.place
  ) m
  WHERE u.ctid = m.place;
END $$;

CREATE FUNCTION tenantry.apply_freed(p_freed tenantry.freed[]) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
  UPDATE tenantry.counter c
  SET in_flight = c.in_flight - f.slots,
      token_slots = tenantry.slots_back(c.token_slots, c.latest_slot, f.taken_in, f.tokens)
  FROM (
    SELECT tenant_id, sum(slots)::bigint AS slots,
           array_agg(tenantry.slot_of(admitted_at)) AS taken_in, array_agg(tokens) AS tokens
    FROM unnest(p_freed) GROUP BY tenant_id
  ) f
  WHERE c.tenant_id = f.tenant_id;
END $$;

-- Whether an amount that was not held takes a budget past its limit.
CREATE FUNCTION tenantry.passes_limit(
  p_tenant_id text, p_subjects text[], p_admitted_at timestamptz, p_charge numeric, p_cost numeric
) RETURNS boolean LANGUAGE sql STABLE AS $$
  SELECT EXISTS (
    SELECT FROM tenantry.budget_use u
    JOIN tenantry.tenant t ON t.tenant_id = u.tenant_id
    JOIN tenantry.plan p ON p.name = t.plan AND p.superseded_at IS NULL
    WHERE u.tenant_id = p_tenant_id AND u.subject = ANY (p_subjects)
      AND u.period_end > p_admitted_at AND u.period_start <= p_admitted_at
      AND u.settled + u.reserved + CASE u.basis WHEN 'charge' THEN p_charge ELSE p_cost END
        > CASE u.subject WHEN 'plan' THEN p.monthly_budget ELSE u.amount END
  )
$$;

-- Step 1 of gate_settle: intents end (or become unknown), attempts and both books are written.
-- Returns the outcomes that found their intent, with what was posted for each.
CREATE FUNCTION tenantry.end_attempts(p_at timestamptz, p_settlements tenantry.settlement_in[])
RETURNS SETOF tenantry.ended LANGUAGE plpgsql AS $$
BEGIN
  RETURN QUERY
  WITH met AS MATERIALIZED (  -- each outcome with its intent and its request, by index
    SELECT s.ord, o.*, i.place, i.state, i.began_at, i.operation, i.model, i.price_key,
           i.account, i.region, r.tenant_id, r.request_id, r.admitted_at, r.day, r.period_start,
           r.api_key_id, r.user_hash, r.run_id, r.tags, r.plan_version, r.price_version,
           r.held_cost, r.held_charge, r.flags AS request_flags,
           (o.ending = 'unknown' OR o.quarantined IS NOT NULL) AS doubtful
    FROM unnest(p_settlements) WITH ORDINALITY
           AS s (tenant_id, request_id, final, outcomes, ord)
    CROSS JOIN LATERAL unnest(s.outcomes) AS o
    CROSS JOIN LATERAL (
      SELECT i.ctid AS place, i.* FROM tenantry.intent i
      WHERE i.tenant_id = s.tenant_id AND i.request_id = s.request_id
        AND i.call = o.call AND i.attempt = o.attempt
      OFFSET 0
    ) i
    CROSS JOIN LATERAL (
      SELECT r.* FROM tenantry.open_request r
      WHERE r.tenant_id = s.tenant_id AND r.request_id = s.request_id
      OFFSET 0
    ) r
  ), doubted AS (
    UPDATE tenantry.intent i
    SET state = 'unknown', unknown_at = coalesce(i.unknown_at, p_at),
        quarantined = coalesce(m.quarantined, i.quarantined), error = coalesce(m.error, i.error),
        charged = m.charged, estimate = m.estimate
    FROM met m
    WHERE i.ctid = m.place AND m.doubtful
      AND (i.state <> 'unknown' OR i.quarantined IS DISTINCT FROM m.quarantined)
    RETURNING m.ord
  ), gone AS (
    DELETE FROM tenantry.intent i USING met m WHERE i.ctid = m.place AND NOT m.doubtful
  ), posting AS MATERIALIZED (
    SELECT m.*, t.currency,
           m.request_flags || m.flags
           || CASE m.state WHEN 'unknown' THEN '{late}'::text[] ELSE '{}' END
           || CASE WHEN sum(m.cost) OVER w <= m.held_cost
                    AND coalesce(sum(m.charge) FILTER (WHERE m.charged) OVER w, 0)
                        <= m.held_charge
                THEN '{}'
                ELSE tenantry.excess_flags(
                  m.tenant_id, tenantry.subjects(m.api_key_id, m.user_hash, m.run_id),
                  m.admitted_at,
                  coalesce(sum(m.charge) FILTER (WHERE m.charged) OVER w, 0) - m.held_charge,
                  sum(m.cost) OVER w - m.held_cost)
              END AS all_flags
    FROM met m
    CROSS JOIN LATERAL (
      SELECT t.currency FROM tenantry.tenant t WHERE t.tenant_id = m.tenant_id OFFSET 0
    ) t
    WHERE NOT m.doubtful
    WINDOW w AS (PARTITION BY m.ord)
  ), attempts AS (
    INSERT INTO tenantry.attempt
    SELECT tenant_id, request_id, call, attempt, ending,
           charged AND cardinality(token_classes) > 0, admitted_at, began_at, p_at, day,
           period_start, api_key_id, user_hash, run_id, tags, plan_version, price_version,
           operation, model, price_key, account, region, service_tier, upstream_request_id,
           tokens, raw, normaliser_version, all_flags, error
    FROM posting
  ), costs AS (
    INSERT INTO tenantry.cost_entry
    SELECT tenant_id, admitted_at, request_id, call, attempt, 'usage',
           CASE WHEN charged THEN 'cost_of_sales' ELSE 'waste' END, 'payable_provider', cost,
           token_classes, quantities, unit_costs, posting.costs, p_at, day, period_start,
           price_version, plan_version, model, account, region, service_tier, api_key_id,
           user_hash, run_id, tags, all_flags
    FROM posting WHERE cardinality(token_classes) > 0
  ), charges AS (
    INSERT INTO tenantry.charge_entry
    SELECT tenant_id, admitted_at, request_id, call, attempt, 'usage', 'receivable_unbilled',
           'revenue_usage', charge, currency, token_classes, quantities, unit_prices,
           posting.charges, p_at, day, period_start, price_version, plan_version, model,
           api_key_id, user_hash, run_id, tags, all_flags
    FROM posting WHERE charged AND cardinality(token_classes) > 0
  )
  SELECT p.ord, true, p.tokens, p.cost, CASE WHEN p.charged THEN p.charge ELSE 0 END
  FROM posting p
  UNION ALL
  SELECT d.ord, false, 0::bigint, 0::numeric, 0::numeric FROM doubted d;
END $$;

-- `over_reserved`: more was used than was held; `overdraft`: and a limit was passed by it.
CREATE FUNCTION tenantry.excess_flags(
  p_tenant_id text, p_subjects text[], p_admitted_at timestamptz, p_charge numeric, p_cost numeric
) RETURNS text[] LANGUAGE sql STABLE AS $$
  SELECT CASE WHEN tenantry.passes_limit(p_tenant_id, p_subjects, p_admitted_at, p_charge, p_cost)
    THEN ARRAY['over_reserved', 'overdraft'] ELSE ARRAY['over_reserved'] END
$$;

-- Step 3, rare: usage of attempts that had been released or written off becomes an adjustment that
-- is linked by its key, posted to the period of admission. Returns the settlements that posted.
CREATE FUNCTION tenantry.adjust_late(p_at timestamptz, p_settlements tenantry.settlement_in[])
RETURNS bigint[] LANGUAGE plpgsql AS $$
DECLARE
  moves  tenantry.move[];
  posted bigint[];
BEGIN
  WITH late AS (
    SELECT s.ord, o.charged AS pays, o.cost, o.charge, o.service_tier AS tier, o.token_classes,
           o.quantities, o.unit_costs, o.costs, o.unit_prices, o.charges, a.*,
           tenantry.subjects(a.api_key_id, a.user_hash, a.run_id) AS subjects
    FROM unnest(p_settlements) WITH ORDINALITY AS s (tenant_id, request_id, final, outcomes, ord)
    CROSS JOIN LATERAL unnest(s.outcomes) AS o
    CROSS JOIN LATERAL (
      SELECT a.* FROM tenantry.attempt a
      WHERE a.tenant_id = s.tenant_id AND a.request_id = s.request_id
        AND a.call = o.call AND a.attempt = o.attempt
      OFFSET 0
    ) a
    WHERE o.ending = 'settled' AND o.quarantined IS NULL AND cardinality(o.token_classes) > 0
      AND a.ending IN ('released', 'written_off')
  ), once AS (
    INSERT INTO tenantry.adjustment
    SELECT tenant_id, request_id, call, attempt, p_at FROM late
    ON CONFLICT DO NOTHING
    RETURNING tenant_id, request_id, call, attempt
  ), posting AS MATERIALIZED (
    SELECT l.*, t.currency, l.flags || CASE
             WHEN tenantry.passes_limit(l.tenant_id, l.subjects, l.admitted_at,
                    CASE WHEN l.pays THEN l.charge ELSE 0 END, l.cost)
             THEN '{late,overdraft}'::text[] ELSE '{late}' END AS all_flags
    FROM late l
    JOIN once USING (tenant_id, request_id, call, attempt)
    JOIN tenantry.tenant t USING (tenant_id)
  ), costs AS (
    INSERT INTO tenantry.cost_entry
    SELECT tenant_id, admitted_at, request_id, call, attempt, 'adjustment',
           CASE WHEN pays THEN 'cost_of_sales' ELSE 'waste' END, 'payable_provider', cost,
           token_classes, quantities, unit_costs, posting.costs, p_at, day, period_start,
           price_version, plan_version, model, account, region, tier, api_key_id, user_hash,
           run_id, tags, all_flags
    FROM posting
  ), charges AS (
    INSERT INTO tenantry.charge_entry
    SELECT tenant_id, admitted_at, request_id, call, attempt, 'adjustment',
           'receivable_unbilled', 'revenue_usage', charge, currency, token_classes, quantities,
           unit_prices, posting.charges, p_at, day, period_start, price_version, plan_version,
           model, api_key_id, user_hash, run_id, tags, all_flags
    FROM posting WHERE pays
  )
  SELECT array_agg(ord),
         array_agg(ROW(tenant_id, subjects, admitted_at,
           CASE WHEN pays THEN charge ELSE 0 END, cost, 0, 0)::tenantry.move)
  INTO posted, moves FROM posting;
  PERFORM tenantry.apply_moves(moves);
  RETURN posted;
END $$;

-- Settles, for each settlement at most once; returns by settlement whether anything was posted.
-- A request must not occur twice in one call. Steps: 1 attempts end, 2 requests close or shrink,
-- 3 late ones are adjusted, 4 balances and counters follow.
CREATE FUNCTION tenantry.gate_settle(
  p_at timestamptz, p_settlements tenantry.settlement_in[]
) RETURNS boolean[] LANGUAGE plpgsql AS $$
DECLARE
  settlements constant integer := cardinality(p_settlements);
  posted  boolean[] := array_fill(false, ARRAY[settlements]);
  ended   integer[] := array_fill(0, ARRAY[settlements]);
  tokens  bigint[]  := array_fill(0::bigint, ARRAY[settlements]);
  costs   numeric[] := array_fill(0::numeric, ARRAY[settlements]);
  charges numeric[] := array_fill(0::numeric, ARRAY[settlements]);
  found_intents integer := 0;
  expected      integer;
  moves  tenantry.move[];
  freed  tenantry.freed[];
  closed integer;
  found  record;
BEGIN
  SELECT coalesce(sum(cardinality(s.outcomes)), 0) INTO expected FROM unnest(p_settlements) s;
  FOR found IN SELECT * FROM tenantry.end_attempts(p_at, p_settlements) LOOP
    found_intents := found_intents + 1;
    posted[found.ord] := true;
    IF found.ended THEN
      ended[found.ord] := ended[found.ord] + 1;
      tokens[found.ord] := tokens[found.ord] + found.tokens;
      costs[found.ord] := costs[found.ord] + found.cost;
      charges[found.ord] := charges[found.ord] + found.charge;
    END IF;
  END LOOP;

  WITH over AS MATERIALIZED (
    SELECT s.ord, r.*
    FROM unnest(p_settlements) WITH ORDINALITY AS s (tenant_id, request_id, final, outcomes, ord)
    CROSS JOIN LATERAL (
      SELECT r.ctid AS place, r.* FROM tenantry.open_request r
      WHERE r.tenant_id = s.tenant_id AND r.request_id = s.request_id
      OFFSET 0
    ) r
    WHERE (s.final OR r.final) AND r.open_attempts = ended[s.ord]
  ), gone AS (
    DELETE FROM tenantry.open_request r USING over WHERE r.ctid = over.place
  )
  SELECT array_agg(ROW(tenant_id, tenantry.subjects(api_key_id, user_hash, run_id), admitted_at,
           charges[ord], costs[ord], -held_charge, -held_cost)::tenantry.move),
         array_agg(ROW(tenant_id, admitted_at, has_slot::integer,
           CASE WHEN paced THEN greatest(worst_tokens - used_tokens - tokens[ord], 0) ELSE 0 END
           )::tenantry.freed),
         count(*)
  INTO moves, freed, closed FROM over;

  IF closed < settlements THEN
    WITH shrinking AS MATERIALIZED (
      SELECT s.ord, s.final AS ends, r.*
      FROM unnest(p_settlements) WITH ORDINALITY
             AS s (tenant_id, request_id, final, outcomes, ord)
      CROSS JOIN LATERAL (
        SELECT r.ctid AS place, r.* FROM tenantry.open_request r
        WHERE r.tenant_id = s.tenant_id AND r.request_id = s.request_id
        OFFSET 0
      ) r
    ), kept AS (
      UPDATE tenantry.open_request r
      SET open_attempts = o.open_attempts - ended[o.ord],
          used_tokens = o.used_tokens + tokens[o.ord],
          held_cost = greatest(o.held_cost - costs[o.ord], 0),
          held_charge = greatest(o.held_charge - charges[o.ord], 0),
          final = o.final OR o.ends,
          has_slot = o.has_slot AND NOT o.ends
      FROM shrinking o
      WHERE r.ctid = o.place
      RETURNING o.ord, r.*, o.held_cost - r.held_cost AS freed_cost,
                o.held_charge - r.held_charge AS freed_charge,
                (o.has_slot AND NOT r.has_slot)::integer AS freed_slot
    )
    SELECT moves || array_agg(ROW(tenant_id,
             tenantry.subjects(api_key_id, user_hash, run_id), admitted_at,
             charges[ord], costs[ord], -freed_charge, -freed_cost)::tenantry.move),
           freed || array_agg(ROW(tenant_id, admitted_at, freed_slot, 0)::tenantry.freed)
    INTO moves, freed FROM kept;
  END IF;

  PERFORM tenantry.apply_moves(moves);
  PERFORM tenantry.apply_freed(freed);
  IF found_intents < expected THEN
    FOR found IN SELECT unnest(tenantry.adjust_late(p_at, p_settlements)) AS ord LOOP
      posted[found.ord] := true;
    END LOOP;
  END IF;
  RETURN posted;
END $$;

SET LOCAL ROLE tenantry_owner;
REVOKE CREATE ON SCHEMA tenantry FROM tenantry_gate;
