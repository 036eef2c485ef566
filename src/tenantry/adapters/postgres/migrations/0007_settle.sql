-- Settlement: attempts end, both books are posted, holds and slots are freed.
-- The functions here are the gate's own, nobody else may call them; 0008 and 0009 have the doors.
-- Their callers hold the lock of every tenant concerned.

-- What crosses from the workers, one array of each a call.
CREATE TYPE tenantry.outcome_in AS (
  call smallint, attempt smallint, ending text, charged boolean, tokens bigint,
  cost numeric, charge numeric, service_tier text, upstream_request_id text, raw jsonb,
  normaliser_version integer, flags text[], quarantined text, error text, estimate jsonb,
  -- The lines, one for each token class, as text of six arrays: a driver encodes an array inside a
  -- row element by element, which took two thirds of a settlement's time on the client.
  token_classes text, quantities text, unit_costs text, costs text, unit_prices text, charges text
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

-- What the attempts of one settlement came to that ended now.
CREATE TYPE tenantry.ended AS (
  ord bigint, attempts bigint, tokens numeric, cost numeric, charge numeric
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

-- Balances and counters follow. Each row is found once, by key, and changed by place: the tenant's
-- lock keeps it there.
CREATE FUNCTION tenantry.apply_moves(p_moves tenantry.move[], p_freed tenantry.freed[])
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  WITH balances AS (
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
    WHERE u.ctid = m.place
  )
  UPDATE tenantry.counter c
  SET in_flight = c.in_flight - f.slots,
      token_slots = f.token_slots,
      tokens_minute = CASE WHEN f.tokens > 0 THEN tenantry.slots_sum(f.token_slots)
                           ELSE c.tokens_minute END
  FROM (
    SELECT g.slots, g.tokens, c.place,
           CASE WHEN g.tokens > 0
             THEN tenantry.slots_back(c.token_slots, c.latest_slot, g.taken_in, g.amounts)
             ELSE c.token_slots END AS token_slots
    FROM (
      SELECT tenant_id, sum(slots)::bigint AS slots, sum(tokens) AS tokens,
             array_agg(tenantry.slot_of(admitted_at)) AS taken_in, array_agg(tokens) AS amounts
      FROM unnest(p_freed) GROUP BY tenant_id
    ) g
    CROSS JOIN LATERAL (
      SELECT c.ctid AS place, c.token_slots, c.latest_slot FROM tenantry.counter c
      WHERE c.tenant_id = g.tenant_id OFFSET 0
    ) c
  ) f
  WHERE c.ctid = f.place;
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

-- Step 1 of gate_settle, one statement: intents end or become unknown, attempts and both books are
-- written, and requests with nothing left open are over. Returns what follows for balances and
-- counters, what ended of settlements whose requests stay open, how many requests are over, which
-- settlements changed anything, and whether every outcome met its intent.
CREATE FUNCTION tenantry.end_attempts(
  p_at timestamptz, p_settlements tenantry.settlement_in[],
  OUT moves tenantry.move[], OUT freed tenantry.freed[], OUT staying tenantry.ended[],
  OUT over bigint, OUT posted bigint[], OUT all_met boolean
) LANGUAGE plpgsql AS $$
DECLARE
  outcomes constant bigint := (
    SELECT coalesce(sum(cardinality(s.outcomes)), 0) FROM unnest(p_settlements) s);
  met_intents bigint;
BEGIN
  WITH met AS MATERIALIZED (  -- each outcome with its intent and its request, by index
    SELECT s.ord, s.final AS ends, o.*, i.place, i.state, i.began_at, i.operation, i.model,
           i.price_key, i.account, i.region, r.place AS request_place, r.tenant_id,
           r.request_id, r.admitted_at, r.day, r.period_start, r.api_key_id, r.user_hash,
           r.run_id, r.tags, r.currency, r.plan_version, r.price_version, r.worst_tokens,
           r.used_tokens, r.held_cost, r.held_charge, r.open_attempts, r.has_slot, r.final,
           r.paced, r.flags AS request_flags,
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
      SELECT r.ctid AS place, r.* FROM tenantry.open_request r
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
  ), summed AS (  -- and with what its whole settlement comes to
    SELECT m.*, m.token_classes::text[] AS classes, m.quantities::bigint[] AS counts,
           row_number() OVER w AS number, count(*) OVER w AS all_attempts,
           sum(m.tokens) OVER w AS all_tokens, sum(m.cost) OVER w AS all_cost,
           sum(CASE WHEN m.charged THEN m.charge ELSE 0 END) OVER w AS all_charge
    FROM met m
    WHERE NOT m.doubtful
    WINDOW w AS (PARTITION BY m.ord ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING)
  ), posting AS MATERIALIZED (
    SELECT m.*, (m.ends OR m.final) AND m.open_attempts = m.all_attempts AS is_over,
           tenantry.subjects(m.api_key_id, m.user_hash, m.run_id) AS subjects,
           m.request_flags || m.flags
           || CASE m.state WHEN 'unknown' THEN '{late}'::text[] ELSE '{}' END
           || CASE WHEN m.all_cost <= m.held_cost AND m.all_charge <= m.held_charge
                THEN '{}'
                ELSE tenantry.excess_flags(
                  m.tenant_id, tenantry.subjects(m.api_key_id, m.user_hash, m.run_id),
                  m.admitted_at, m.all_charge - m.held_charge, m.all_cost - m.held_cost)
              END AS all_flags
    FROM summed m
  ), attempts AS (
    INSERT INTO tenantry.attempt
    SELECT tenant_id, request_id, call, attempt, ending, charged AND cardinality(classes) > 0,
           admitted_at, began_at, p_at, day, period_start, api_key_id, user_hash, run_id, tags,
           plan_version, price_version, operation, model, price_key, account, region,
           service_tier, upstream_request_id, tokens, raw, normaliser_version, all_flags, error
    FROM posting
  ), costs AS (
    INSERT INTO tenantry.cost_entry
    SELECT tenant_id, admitted_at, request_id, call, attempt, 'usage',
           CASE WHEN charged THEN 'cost_of_sales' ELSE 'waste' END, 'payable_provider', cost,
           classes, counts, unit_costs::numeric[], posting.costs::numeric[], p_at, day,
           period_start, price_version, plan_version, model, account, region, service_tier,
           api_key_id, user_hash, run_id, tags, all_flags
    FROM posting WHERE cardinality(classes) > 0
  ), charges AS (
    INSERT INTO tenantry.charge_entry
    SELECT tenant_id, admitted_at, request_id, call, attempt, 'usage', 'receivable_unbilled',
           'revenue_usage', charge, currency, classes, counts, unit_prices::numeric[],
           posting.charges::numeric[], p_at, day, period_start, price_version, plan_version,
           model, api_key_id, user_hash, run_id, tags, all_flags
    FROM posting WHERE charged AND cardinality(classes) > 0
  ), ended_requests AS (
    DELETE FROM tenantry.open_request r USING posting p
    WHERE r.ctid = p.request_place AND p.is_over AND p.number = 1
  )
  SELECT array_agg(ROW(tenant_id, subjects, admitted_at, all_charge, all_cost, -held_charge,
           -held_cost)::tenantry.move) FILTER (WHERE is_over),
         array_agg(ROW(tenant_id, admitted_at, has_slot::integer,
           CASE WHEN paced THEN greatest(worst_tokens - used_tokens - all_tokens, 0) ELSE 0 END
           )::tenantry.freed) FILTER (WHERE is_over),
         array_agg(ROW(ord, all_attempts, all_tokens, all_cost, all_charge)::tenantry.ended)
           FILTER (WHERE NOT is_over),
         count(*) FILTER (WHERE is_over), array_agg(ord), coalesce(sum(all_attempts), 0)
  INTO moves, freed, staying, over, posted, met_intents
  FROM posting WHERE number = 1;

  IF met_intents < outcomes THEN
    SELECT posted || array_agg(s.ord), met_intents + count(*) INTO posted, met_intents
    FROM unnest(p_settlements) WITH ORDINALITY AS s (tenant_id, request_id, final, outcomes, ord)
    CROSS JOIN LATERAL unnest(s.outcomes) AS o
    CROSS JOIN LATERAL (
      SELECT FROM tenantry.intent i
      WHERE i.tenant_id = s.tenant_id AND i.request_id = s.request_id AND i.call = o.call
        AND i.attempt = o.attempt AND i.unknown_at = p_at
      OFFSET 0
    ) i;
  END IF;
  all_met := met_intents = outcomes;
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
    SELECT s.ord, o.charged AS pays, o.cost, o.charge, o.service_tier AS tier,
           o.token_classes::text[] AS classes, o.quantities::bigint[] AS counts, o.unit_costs,
           o.costs, o.unit_prices, o.charges, a.*,
           tenantry.subjects(a.api_key_id, a.user_hash, a.run_id) AS subjects
    FROM unnest(p_settlements) WITH ORDINALITY AS s (tenant_id, request_id, final, outcomes, ord)
    CROSS JOIN LATERAL unnest(s.outcomes) AS o
    CROSS JOIN LATERAL (
      SELECT a.* FROM tenantry.attempt a
      WHERE a.tenant_id = s.tenant_id AND a.request_id = s.request_id
        AND a.call = o.call AND a.attempt = o.attempt
      OFFSET 0
    ) a
    WHERE o.ending = 'settled' AND o.quarantined IS NULL AND o.token_classes <> '{}'
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
           classes, counts, unit_costs::numeric[], posting.costs::numeric[], p_at, day,
           period_start, price_version, plan_version, model, account, region, tier, api_key_id,
           user_hash, run_id, tags, all_flags
    FROM posting
  ), charges AS (
    INSERT INTO tenantry.charge_entry
    SELECT tenant_id, admitted_at, request_id, call, attempt, 'adjustment',
           'receivable_unbilled', 'revenue_usage', charge, currency, classes, counts,
           unit_prices::numeric[], posting.charges::numeric[], p_at, day, period_start,
           price_version, plan_version, model, api_key_id, user_hash, run_id, tags, all_flags
    FROM posting WHERE pays
  )
  SELECT array_agg(ord),
         array_agg(ROW(tenant_id, subjects, admitted_at,
           CASE WHEN pays THEN charge ELSE 0 END, cost, 0, 0)::tenantry.move)
  INTO posted, moves FROM posting;
  PERFORM tenantry.apply_moves(moves, '{}');
  RETURN posted;
END $$;

-- Step 2, for settlements that leave their request open: it holds less, or its slot falls free.
CREATE FUNCTION tenantry.shrink_requests(
  p_settlements tenantry.settlement_in[], p_ended tenantry.ended[],
  INOUT moves tenantry.move[], INOUT freed tenantry.freed[]
) LANGUAGE plpgsql AS $$
BEGIN
  WITH shrinking AS MATERIALIZED (
    SELECT s.ord, s.final AS ends, r.*, coalesce(e.attempts, 0) AS attempts,
           coalesce(e.tokens, 0) AS tokens, coalesce(e.cost, 0) AS cost,
           coalesce(e.charge, 0) AS charge
    FROM unnest(p_settlements) WITH ORDINALITY AS s (tenant_id, request_id, final, outcomes, ord)
    CROSS JOIN LATERAL (
      SELECT r.ctid AS place, r.* FROM tenantry.open_request r
      WHERE r.tenant_id = s.tenant_id AND r.request_id = s.request_id
      OFFSET 0
    ) r
    LEFT JOIN unnest(p_ended) e ON e.ord = s.ord
  ), kept AS (
    UPDATE tenantry.open_request r
    SET open_attempts = o.open_attempts - o.attempts,
        used_tokens = o.used_tokens + o.tokens,
        held_cost = greatest(o.held_cost - o.cost, 0),
        held_charge = greatest(o.held_charge - o.charge, 0),
        final = o.final OR o.ends,
        has_slot = o.has_slot AND NOT o.ends
    FROM shrinking o
    WHERE r.ctid = o.place AND NOT ((o.final OR o.ends) AND o.open_attempts = o.attempts)
    RETURNING o.tenant_id, o.api_key_id, o.user_hash, o.run_id, o.admitted_at, o.charge, o.cost,
      o.held_cost - r.held_cost AS freed_cost, o.held_charge - r.held_charge AS freed_charge,
      (o.has_slot AND NOT r.has_slot)::integer AS freed_slot, 0::bigint AS freed_tokens
  ), gone AS (  -- nothing had been open any more
    DELETE FROM tenantry.open_request r USING shrinking o
    WHERE r.ctid = o.place AND (o.final OR o.ends) AND o.open_attempts = o.attempts
    RETURNING o.tenant_id, o.api_key_id, o.user_hash, o.run_id, o.admitted_at, o.charge, o.cost,
      o.held_cost AS freed_cost, o.held_charge AS freed_charge,
      o.has_slot::integer AS freed_slot,
      CASE WHEN o.paced THEN greatest(o.worst_tokens - o.used_tokens, 0) ELSE 0 END
        AS freed_tokens
  )
  SELECT moves || array_agg(ROW(x.tenant_id,
           tenantry.subjects(x.api_key_id, x.user_hash, x.run_id), x.admitted_at, x.charge,
           x.cost, -x.freed_charge, -x.freed_cost)::tenantry.move),
         freed || array_agg(ROW(x.tenant_id, x.admitted_at, x.freed_slot, x.freed_tokens
           )::tenantry.freed)
  INTO moves, freed FROM (SELECT * FROM kept UNION ALL SELECT * FROM gone) x;
END $$;

-- Settles, for each settlement at most once; returns by settlement whether anything was posted.
-- A request must not occur twice in one call. Steps: 1 attempts end, 2 open requests shrink, 3 late
-- ones are adjusted, 4 balances and counters follow.
CREATE FUNCTION tenantry.gate_settle(
  p_at timestamptz, p_settlements tenantry.settlement_in[]
) RETURNS boolean[] LANGUAGE plpgsql AS $$
DECLARE
  settlements constant integer := cardinality(p_settlements);
  result boolean[] := array_fill(false, ARRAY[settlements]);
  ended  record;
  place  bigint;
BEGIN
  SELECT * INTO ended FROM tenantry.end_attempts(p_at, p_settlements);
  IF ended.over < settlements THEN
    SELECT s.moves, s.freed INTO ended.moves, ended.freed
    FROM tenantry.shrink_requests(p_settlements, ended.staying, ended.moves, ended.freed) s;
  END IF;
  PERFORM tenantry.apply_moves(ended.moves, ended.freed);
  FOREACH place IN ARRAY coalesce(ended.posted, '{}') LOOP
    result[place] := true;
  END LOOP;
  IF NOT ended.all_met THEN
    FOREACH place IN ARRAY coalesce(tenantry.adjust_late(p_at, p_settlements), '{}') LOOP
      result[place] := true;
    END LOOP;
  END IF;
  RETURN result;
END $$;

SET LOCAL ROLE tenantry_owner;
REVOKE CREATE ON SCHEMA tenantry FROM tenantry_gate;
