-- Settlement: attempts end, both books are posted, holds and slots are freed.
-- The functions here are the gate's own and nobody else may call them; 0008 and 0009 have the doors.
-- Their callers hold the lock of every tenant concerned.

-- What crosses from the workers, one array of each a call.
CREATE TYPE tenantry.line_in AS (
  token_class text, quantity bigint, unit_cost numeric, cost numeric, charge numeric
);
CREATE TYPE tenantry.outcome_in AS (
  call smallint, attempt smallint, ending text, charged boolean, tokens bigint,
  cost numeric, charge numeric, service_tier text, upstream_request_id text, raw jsonb,
  normaliser_version integer, flags text[], quarantined text, error text,
  estimate jsonb, lines tenantry.line_in[]
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

GRANT USAGE ON TYPE tenantry.line_in, tenantry.outcome_in, tenantry.settlement_in
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

CREATE FUNCTION tenantry.apply_moves(p_moves tenantry.move[]) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
  UPDATE tenantry.budget_use u
  SET settled = u.settled + m.settled, reserved = u.reserved + m.reserved
  FROM (
    SELECT b.tenant_id, b.subject, b.period_end, b.period, b.basis,
           sum(CASE b.basis WHEN 'charge' THEN m.charge ELSE m.cost END) AS settled,
           sum(CASE b.basis WHEN 'charge' THEN m.held_charge ELSE m.held_cost END) AS reserved
    FROM unnest(p_moves) m
    JOIN tenantry.budget_use b
      ON b.tenant_id = m.tenant_id AND b.subject = ANY (m.subjects)
     AND b.period_end > m.admitted_at AND b.period_start <= m.admitted_at
    GROUP BY b.tenant_id, b.subject, b.period_end, b.period, b.basis
  ) m
  WHERE u.tenant_id = m.tenant_id AND u.subject = m.subject AND u.period_end = m.period_end
    AND u.period = m.period AND u.basis = m.basis;
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
    LEFT JOIN tenantry.budget b
      ON b.tenant_id = u.tenant_id AND b.subject = u.subject AND b.period = u.period
     AND b.basis = u.basis
    WHERE u.tenant_id = p_tenant_id AND u.subject = ANY (p_subjects)
      AND u.period_end > p_admitted_at AND u.period_start <= p_admitted_at
      AND u.settled + u.reserved + CASE u.basis WHEN 'charge' THEN p_charge ELSE p_cost END
        > CASE u.subject WHEN 'plan' THEN p.monthly_budget ELSE b.amount END
  )
$$;

-- Step 1 of gate_settle: intents end (or become unknown), attempts and both books are written.
-- Returns the outcomes that found their intent, with what was posted for each.
CREATE FUNCTION tenantry.end_attempts(p_at timestamptz, p_settlements tenantry.settlement_in[])
RETURNS SETOF tenantry.ended LANGUAGE plpgsql AS $$
BEGIN
  RETURN QUERY
  WITH outcome AS MATERIALIZED (
    SELECT s.ord, s.tenant_id, s.request_id, o.*,
           (o.ending = 'unknown' OR o.quarantined IS NOT NULL) AS doubtful
    FROM unnest(p_settlements) WITH ORDINALITY
           AS s (tenant_id, request_id, final, outcomes, ord),
         unnest(s.outcomes) AS o
  ), doubted AS (
    UPDATE tenantry.intent i
    SET state = 'unknown', unknown_at = coalesce(i.unknown_at, p_at),
        quarantined = coalesce(o.quarantined, i.quarantined), error = coalesce(o.error, i.error),
        charged = o.charged, estimate = o.estimate
    FROM outcome o
    WHERE o.doubtful AND i.tenant_id = o.tenant_id AND i.request_id = o.request_id
      AND i.call = o.call AND i.attempt = o.attempt
      AND (i.state <> 'unknown' OR i.quarantined IS DISTINCT FROM o.quarantined)
    RETURNING o.ord
  ), ended AS (
    DELETE FROM tenantry.intent i USING outcome o
    WHERE NOT o.doubtful AND i.tenant_id = o.tenant_id AND i.request_id = o.request_id
      AND i.call = o.call AND i.attempt = o.attempt
    RETURNING o.ord, o.ending, o.charged, o.tokens, o.cost, o.charge, o.service_tier,
      o.upstream_request_id, o.raw, o.normaliser_version, o.error, o.lines,
      CASE i.state WHEN 'unknown' THEN o.flags || '{late}'::text[] ELSE o.flags END AS flags,
      i.tenant_id, i.request_id, i.call, i.attempt, i.began_at, i.operation, i.model,
      i.price_key, i.account, i.region
  ), sized AS (
    SELECT e.*, sum(e.cost) OVER w AS all_cost,
           sum(e.charge) FILTER (WHERE e.charged) OVER w AS all_charge
    FROM ended e WINDOW w AS (PARTITION BY e.ord)
  ), posting AS MATERIALIZED (
    SELECT e.*, r.admitted_at, r.day, r.period_start, r.api_key_id, r.user_hash, r.run_id,
           r.tags, r.plan_version, r.price_version, t.currency,
           CASE WHEN e.all_cost <= r.held_cost AND coalesce(e.all_charge, 0) <= r.held_charge
             THEN r.flags || e.flags
             ELSE r.flags || e.flags || tenantry.excess_flags(
               e.tenant_id, tenantry.subjects(r.api_key_id, r.user_hash, r.run_id),
               r.admitted_at, greatest(coalesce(e.all_charge, 0) - r.held_charge, 0),
               greatest(e.all_cost - r.held_cost, 0))
           END AS all_flags
    FROM sized e
    JOIN tenantry.open_request r ON r.tenant_id = e.tenant_id AND r.request_id = e.request_id
    JOIN tenantry.tenant t ON t.tenant_id = e.tenant_id
  ), attempts AS (
    INSERT INTO tenantry.attempt
    SELECT tenant_id, request_id, call, attempt, ending, charged AND cardinality(lines) > 0,
           admitted_at, began_at, p_at, day, period_start, api_key_id, user_hash, run_id, tags,
           plan_version, price_version, operation, model, price_key, account, region,
           service_tier, upstream_request_id, tokens, raw, normaliser_version, all_flags, error
    FROM posting
  ), costs AS (
    INSERT INTO tenantry.cost_entry
    SELECT p.tenant_id, p.admitted_at, p.request_id, p.call, p.attempt, 'usage', l.token_class,
           CASE WHEN p.charged THEN 'cost_of_sales' ELSE 'waste' END, 'payable_provider',
           l.cost, 'USD', l.quantity, l.unit_cost, p_at, p.day, p.period_start,
           p.price_version, p.plan_version, p.model, p.account, p.region, p.service_tier,
           p.api_key_id, p.user_hash, p.run_id, p.tags, p.all_flags
    FROM posting p, unnest(p.lines) l
  ), charges AS (
    INSERT INTO tenantry.charge_entry
    SELECT p.tenant_id, p.admitted_at, p.request_id, p.call, p.attempt, 'usage', l.token_class,
           'receivable_unbilled', 'revenue_usage', l.charge, p.currency, l.quantity,
           trim_scale(l.charge * 1000000 / l.quantity), p_at, p.day, p.period_start,
           p.price_version, p.plan_version, p.model, p.api_key_id, p.user_hash, p.run_id,
           p.tags, p.all_flags
    FROM posting p, unnest(p.lines) l WHERE p.charged
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
    SELECT s.ord, o.charged AS pays, o.cost, o.charge, o.service_tier AS tier, o.lines, a.*,
           t.currency, tenantry.subjects(a.api_key_id, a.user_hash, a.run_id) AS subjects
    FROM unnest(p_settlements) WITH ORDINALITY AS s (tenant_id, request_id, final, outcomes, ord),
         unnest(s.outcomes) AS o,
         tenantry.attempt a, tenantry.tenant t
    WHERE o.ending = 'settled' AND o.quarantined IS NULL AND cardinality(o.lines) > 0
      AND a.tenant_id = s.tenant_id AND a.request_id = s.request_id
      AND a.call = o.call AND a.attempt = o.attempt
      AND a.ending IN ('released', 'written_off') AND t.tenant_id = a.tenant_id
  ), once AS (
    INSERT INTO tenantry.adjustment
    SELECT tenant_id, request_id, call, attempt, p_at FROM late
    ON CONFLICT DO NOTHING
    RETURNING tenant_id, request_id, call, attempt
  ), posting AS MATERIALIZED (
    SELECT l.*, CASE WHEN tenantry.passes_limit(l.tenant_id, l.subjects, l.admitted_at,
                            CASE WHEN l.pays THEN l.charge ELSE 0 END, l.cost)
                THEN l.flags || '{late,overdraft}'::text[] ELSE l.flags || '{late}'::text[]
                END AS all_flags
    FROM late l JOIN once USING (tenant_id, request_id, call, attempt)
  ), costs AS (
    INSERT INTO tenantry.cost_entry
    SELECT p.tenant_id, p.admitted_at, p.request_id, p.call, p.attempt, 'adjustment',
           l.token_class, CASE WHEN p.pays THEN 'cost_of_sales' ELSE 'waste' END,
           'payable_provider', l.cost, 'USD', l.quantity, l.unit_cost, p_at, p.day,
           p.period_start, p.price_version, p.plan_version, p.model, p.account, p.region, p.tier,
           p.api_key_id, p.user_hash, p.run_id, p.tags, p.all_flags
    FROM posting p, unnest(p.lines) l
  ), charges AS (
    INSERT INTO tenantry.charge_entry
    SELECT p.tenant_id, p.admitted_at, p.request_id, p.call, p.attempt, 'adjustment',
           l.token_class, 'receivable_unbilled', 'revenue_usage', l.charge, p.currency,
           l.quantity, trim_scale(l.charge * 1000000 / l.quantity), p_at, p.day, p.period_start,
           p.price_version, p.plan_version, p.model, p.api_key_id, p.user_hash, p.run_id,
           p.tags, p.all_flags
    FROM posting p, unnest(p.lines) l WHERE p.pays
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

  WITH gone AS (
    DELETE FROM tenantry.open_request r
    USING unnest(p_settlements) WITH ORDINALITY AS s (tenant_id, request_id, final, outcomes, ord)
    WHERE r.tenant_id = s.tenant_id AND r.request_id = s.request_id
      AND (s.final OR r.final) AND r.open_attempts = ended[s.ord]
    RETURNING s.ord, r.*
  )
  SELECT array_agg(ROW(tenant_id, tenantry.subjects(api_key_id, user_hash, run_id), admitted_at,
           charges[ord], costs[ord], -held_charge, -held_cost)::tenantry.move),
         array_agg(ROW(tenant_id, admitted_at, has_slot::integer,
           CASE WHEN paced THEN greatest(worst_tokens - used_tokens - tokens[ord], 0) ELSE 0 END
           )::tenantry.freed),
         count(*)
  INTO moves, freed, closed FROM gone;

  IF closed < settlements THEN
    WITH kept AS (
      UPDATE tenantry.open_request r
      SET open_attempts = o.open_attempts - ended[s.ord],
          used_tokens = o.used_tokens + tokens[s.ord],
          held_cost = greatest(o.held_cost - costs[s.ord], 0),
          held_charge = greatest(o.held_charge - charges[s.ord], 0),
          final = o.final OR s.final,
          has_slot = o.has_slot AND NOT s.final
      FROM unnest(p_settlements) WITH ORDINALITY
             AS s (tenant_id, request_id, final, outcomes, ord)
      JOIN tenantry.open_request o
        ON o.tenant_id = s.tenant_id AND o.request_id = s.request_id
      WHERE r.tenant_id = o.tenant_id AND r.request_id = o.request_id
      RETURNING s.ord, r.*, o.held_cost - r.held_cost AS freed_cost,
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
