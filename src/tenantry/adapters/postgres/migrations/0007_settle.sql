-- Settlement: attempts end, both books are posted, holds and slots are freed.
-- The functions here are the gate's own, nobody else may call them; 0008 and 0009 have the doors.
-- Their callers hold the lock of every tenant concerned.

-- What crosses from the workers, one array a call: a row for each outcome of each settlement.
-- Amounts are text, which a driver encodes three times as fast; so are the lines, one for each
-- token class, as six arrays: it would encode an array inside a row element by element.
CREATE TYPE tenantry.outcome_in AS (
  place integer,  -- of its settlement in the call, from 1; the rows of one stand together
  alone boolean,  -- it is its settlement's only one
  tenant_id text, request_id uuid, final boolean,
  call smallint,  -- NULL: the settlement has no outcome, it only ends its request
  attempt smallint, ending text, charged boolean, tokens bigint, cost text, charge text,
  service_tier text, upstream_request_id text, raw jsonb, normaliser_version integer,
  flags text[], quarantined text, error text, estimate jsonb,
  token_classes text, quantities text, unit_costs text, costs text, unit_prices text, charges text
);

GRANT USAGE ON TYPE tenantry.outcome_in TO tenantry_app, tenantry_gate, tenantry_control;

GRANT CREATE ON SCHEMA tenantry TO tenantry_gate;
SET LOCAL ROLE tenantry_gate;

-- `over_reserved`: more was used than was held; `overdraft`: and a limit was passed by it.
CREATE FUNCTION tenantry.excess_flags(
  p_request tenantry.open_request, p_charge numeric, p_cost numeric
) RETURNS text[] LANGUAGE plpgsql STABLE AS $$
BEGIN
  IF p_cost <= p_request.held_cost AND p_charge <= p_request.held_charge THEN
    RETURN '{}';
  END IF;
  IF tenantry.passes_limit(p_request.tenant_id,
       tenantry.subjects(p_request.api_key_id, p_request.user_hash, p_request.run_id),
       p_request.admitted_at, p_charge - p_request.held_charge, p_cost - p_request.held_cost) THEN
    RETURN '{over_reserved,overdraft}';
  END IF;
  RETURN '{over_reserved}';
END $$;

-- The way of nearly all settlements, one statement for all of them: the only attempt of a request
-- ends, and the request with it. `held`, here and in end_attempt: usage is never a credit, whatever
-- a worker says. Returns which settlements it took, and what follows for balances
-- and counters.
CREATE FUNCTION tenantry.settle_whole(
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
      o.service_tier, o.upstream_request_id, o.raw, o.normaliser_version, o.error,
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

-- One posting in both books. `p_cost` is the row of the provider's book; the customer's has the
-- same but for its amounts, where the customer pays.
CREATE FUNCTION tenantry.post_entry(
  p_cost tenantry.cost_entry, p_currency text, p_charge numeric, p_unit_prices numeric[],
  p_charges numeric[]
) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO tenantry.cost_entry VALUES (p_cost.*);
  IF p_cost.charged THEN
    INSERT INTO tenantry.charge_entry VALUES (p_cost.tenant_id, p_cost.admitted_at,
      p_cost.request_id, p_cost.call, p_cost.attempt, p_cost.kind, 'receivable_unbilled',
      'revenue_usage', p_charge, p_currency, p_cost.token_classes, p_cost.quantities,
      p_unit_prices, p_charges, p_cost.posted_at, p_cost.day, p_cost.period_start,
      p_cost.price_version, p_cost.plan, p_cost.plan_version, p_cost.model, p_cost.api_key_id,
      p_cost.user_hash, p_cost.run_id, p_cost.tags, p_cost.flags);
  END IF;
END $$;

-- Ends one attempt: its intent goes, and what it came to is posted.
CREATE FUNCTION tenantry.end_attempt(
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
     o.upstream_request_id, o.tokens, o.raw, o.normaliser_version, o.error
    )::tenantry.cost_entry,
    r.currency, o.charge::tenantry.held, o.unit_prices::numeric[], o.charges::numeric[]);
END $$;

-- An attempt becomes unknown and keeps its hold; false where it was, and for the same reason.
CREATE FUNCTION tenantry.doubt_attempt(
  p_at timestamptz, i tenantry.intent, o tenantry.outcome_in
) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
  IF i.state = 'unknown' AND i.quarantined IS NOT DISTINCT FROM o.quarantined THEN
    RETURN false;
  END IF;
  UPDATE tenantry.later_intent x
  SET state = 'unknown', unknown_at = coalesce(x.unknown_at, p_at),
      quarantined = coalesce(o.quarantined, x.quarantined), error = coalesce(o.error, x.error),
      charged = o.charged, estimate = o.estimate
  WHERE x.tenant_id = i.tenant_id AND x.request_id = i.request_id AND x.call = i.call
    AND x.attempt = i.attempt;
  IF NOT FOUND THEN
    UPDATE tenantry.open_request x
    SET state = 'unknown', unknown_at = coalesce(x.unknown_at, p_at),
        quarantined = coalesce(o.quarantined, x.quarantined), error = coalesce(o.error, x.error),
        charged = o.charged, estimate = o.estimate
    WHERE x.tenant_id = i.tenant_id AND x.request_id = i.request_id;
  END IF;
  RETURN true;
END $$;

-- Any other settlement: some of a request's attempts end or become unknown, the request stays open
-- and holds less, or it ends. `posted`: whether anything changed; `met`: whether each outcome found
-- its intent.
CREATE FUNCTION tenantry.settle_steps(
  p_at timestamptz, p_outcomes tenantry.outcome_in[],
  OUT posted boolean, OUT met boolean, OUT move tenantry.move
) LANGUAGE plpgsql AS $$
DECLARE
  ends     constant boolean := p_outcomes[1].final;
  r        tenantry.open_request;
  o        tenantry.outcome_in;
  i        tenantry.intent;
  ended    integer;  -- how many attempts, and what they come to together
  used     bigint;
  cost     numeric;
  charge   numeric;
  excess   text[];
  is_over  boolean;
BEGIN
  posted := false;
  met := true;
  SELECT x.* INTO r FROM tenantry.open_request x
  WHERE x.tenant_id = p_outcomes[1].tenant_id AND x.request_id = p_outcomes[1].request_id;
  IF NOT FOUND THEN
    met := p_outcomes[1].call IS NULL;
    RETURN;
  END IF;

  -- What the whole settlement comes to, before any of it is posted: its flags depend on that.
  SELECT count(*), coalesce(sum(x.tokens), 0), coalesce(sum(x.cost::numeric), 0),
         coalesce(sum(x.charge::numeric) FILTER (WHERE x.charged), 0)
  INTO ended, used, cost, charge
  FROM unnest(p_outcomes) x
  JOIN tenantry.intent y ON y.tenant_id = r.tenant_id AND y.request_id = r.request_id
    AND y.call = x.call AND y.attempt = x.attempt
  WHERE x.ending <> 'unknown' AND x.quarantined IS NULL;
  excess := tenantry.excess_flags(r, charge, cost);

  FOREACH o IN ARRAY p_outcomes LOOP
    CONTINUE WHEN o.call IS NULL;
    SELECT y.* INTO i FROM tenantry.intent y
    WHERE y.tenant_id = r.tenant_id AND y.request_id = r.request_id AND y.call = o.call
      AND y.attempt = o.attempt;
    IF NOT FOUND THEN
      met := false;
    ELSIF o.ending = 'unknown' OR o.quarantined IS NOT NULL THEN
      posted := tenantry.doubt_attempt(p_at, i, o) OR posted;
    ELSE
      PERFORM tenantry.end_attempt(p_at, r, i, o, excess);
      posted := true;
    END IF;
  END LOOP;

  is_over := (r.final OR ends) AND r.open_attempts = ended;
  move := (r.tenant_id, tenantry.subjects(r.api_key_id, r.user_hash, r.run_id), r.admitted_at,
    charge, cost, -least(r.held_charge, charge), -least(r.held_cost, cost),
    (r.has_slot AND ends)::integer, 0)::tenantry.move;
  IF is_over THEN
    DELETE FROM tenantry.open_request x
    WHERE x.tenant_id = r.tenant_id AND x.request_id = r.request_id;
    move.held_charge := -r.held_charge;
    move.held_cost := -r.held_cost;
    move.slots := r.has_slot::integer;
    IF r.paced THEN
      move.tokens := greatest(r.worst_tokens - r.used_tokens - used, 0);
    END IF;
  ELSE
    UPDATE tenantry.open_request x
    SET open_attempts = x.open_attempts - ended,
        used_tokens = x.used_tokens + used,
        held_cost = greatest(x.held_cost - cost, 0),
        held_charge = greatest(x.held_charge - charge, 0),
        final = x.final OR ends,
        has_slot = x.has_slot AND NOT ends
    WHERE x.tenant_id = r.tenant_id AND x.request_id = r.request_id;
  END IF;
END $$;

-- The customer never got the answer, and the settlement whose commit nobody knew of did charge it:
-- a linked reversal in the customer's book alone, at most once.
CREATE FUNCTION tenantry.reverse_charge(p_at timestamptz, p_cost tenantry.cost_entry)
RETURNS tenantry.move LANGUAGE plpgsql AS $$
DECLARE
  e tenantry.charge_entry;
BEGIN
  SELECT x.* INTO e FROM tenantry.charge_entry x
  WHERE x.tenant_id = p_cost.tenant_id AND x.admitted_at = p_cost.admitted_at
    AND x.request_id = p_cost.request_id AND x.call = p_cost.call AND x.attempt = p_cost.attempt
  ORDER BY x.kind = 'reversal' DESC LIMIT 1;
  IF e.kind = 'reversal' THEN
    RETURN NULL;
  END IF;
  e.kind := 'reversal';
  e.amount := -e.amount;
  e.quantities := ARRAY(SELECT -x.n FROM unnest(e.quantities) WITH ORDINALITY x (n, at) ORDER BY at);
  e.amounts := ARRAY(SELECT -x.n FROM unnest(e.amounts) WITH ORDINALITY x (n, at) ORDER BY at);
  e.posted_at := p_at;
  e.flags := e.flags || '{undelivered}';
  INSERT INTO tenantry.charge_entry VALUES (e.*);
  RETURN (e.tenant_id, tenantry.subjects(e.api_key_id, e.user_hash, e.run_id), e.admitted_at,
    e.amount, 0, 0, 0, 0, 0)::tenantry.move;
END $$;

-- What comes for an attempt that has ended, rare: usage of a released or written off one becomes an
-- adjustment that is linked by its key, posted to the period of admission, at most once; of a
-- settled one, word that its answer was never delivered. Returns what follows for balances.
CREATE FUNCTION tenantry.adjust_late(p_at timestamptz, o tenantry.outcome_in)
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
  e.flags := e.flags || CASE
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

-- Settles, for each settlement at most once; returns by place whether anything was posted. A
-- request must not occur twice in one call.
CREATE FUNCTION tenantry.gate_settle(
  p_at timestamptz, p_outcomes tenantry.outcome_in[]
) RETURNS boolean[] LANGUAGE plpgsql AS $$
DECLARE
  rows   constant integer := cardinality(p_outcomes);
  result boolean[] := array_fill(false, ARRAY[p_outcomes[rows].place]);
  whole  record;
  moves  tenantry.move[];
  moved  integer;
  late   tenantry.outcome_in[] := '{}';
  first  integer := 1;
  last   integer;
  place  integer;
  step   record;
  o      tenantry.outcome_in;
  move   tenantry.move;
BEGIN
  whole := tenantry.settle_whole(p_at, p_outcomes);
  moves := whole.moves;
  FOREACH place IN ARRAY coalesce(whole.places, '{}') LOOP
    result[place] := true;
  END LOOP;
  IF coalesce(cardinality(whole.places), 0) < cardinality(result) THEN
    WHILE first <= rows LOOP
      place := p_outcomes[first].place;
      last := first;
      WHILE last < rows AND p_outcomes[last + 1].place = place LOOP
        last := last + 1;
      END LOOP;
      IF NOT result[place] THEN
        step := tenantry.settle_steps(p_at, p_outcomes[first:last]);
        result[place] := step.posted;
        IF step.move IS NOT NULL THEN
          moves := moves || step.move;
        END IF;
        IF NOT step.met THEN
          late := late || p_outcomes[first:last];
        END IF;
      END IF;
      first := last + 1;
    END LOOP;
  END IF;
  moved := tenantry.apply_moves(moves);

  FOREACH o IN ARRAY late LOOP
    move := tenantry.adjust_late(p_at, o);
    IF move.tenant_id IS NOT NULL THEN
      result[o.place] := true;
      moved := tenantry.apply_moves(ARRAY[move]);
    END IF;
  END LOOP;
  RETURN result;
END $$;

SET LOCAL ROLE tenantry_owner;
REVOKE CREATE ON SCHEMA tenantry FROM tenantry_gate;
