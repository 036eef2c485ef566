-- The gate's door for workers: one call for everything that waits, one commit for all of it.

CREATE TYPE tenantry.begin_in AS (
  tenant_id text, request_id uuid, call smallint, attempt smallint, operation text, model text,
  price_key text, account text, region text, deadline_ms integer, pinned jsonb
);
-- A reservation with the intent of its first attempt.
CREATE TYPE tenantry.reservation_in AS (
  request_id uuid, tenant_id text, api_key_id text, plan text, plan_version integer,
  price_version integer, worst_tokens bigint, worst_cost text, worst_charge text, user_hash text,
  run_id text, tags jsonb, counts_as_request boolean, paced_by_minute boolean,
  operation text, model text, price_key text, account text, region text, deadline_ms integer,
  pinned jsonb
);
-- What was decided of a reservation: `admitted`, or the refusal's code.
CREATE TYPE tenantry.verdict AS (
  code text, period_start timestamptz, limit_name text, retry_after_ms integer,
  resets_at timestamptz, requests_left_day bigint, requests_left_minute bigint,
  tokens_left_minute bigint, budget_left text
);

-- What a reservation that is admitted takes over from its tenant.
CREATE TYPE tenantry.picked AS (
  day date, period_start timestamptz, currency text, over_soft boolean  -- a soft budget is passed
);
-- What a tenant's counter has come to, and where its row lies.
CREATE TYPE tenantry.counted AS (
  place tid, day_requests bigint, in_flight bigint, latest_slot bigint, requests_minute bigint,
  tokens_minute bigint, request_slots bigint[], token_slots bigint[]
);

GRANT USAGE ON TYPE tenantry.begin_in, tenantry.reservation_in, tenantry.verdict
  TO tenantry_app, tenantry_gate;
GRANT USAGE ON TYPE tenantry.picked, tenantry.counted TO tenantry_gate;

GRANT CREATE ON SCHEMA tenantry TO tenantry_gate;
SET LOCAL ROLE tenantry_gate;

-- Commits the intents of later calls and attempts; true where the request is open.
CREATE FUNCTION tenantry.gate_begin(p_at timestamptz, p_begins tenantry.begin_in[])
RETURNS boolean[] LANGUAGE plpgsql AS $$
DECLARE
  found_open boolean[] := array_fill(false, ARRAY[cardinality(p_begins)]);
  r record;
BEGIN
  FOR r IN
    SELECT b.*
    FROM unnest(p_begins) WITH ORDINALITY AS b (tenant_id, request_id, call, attempt, operation,
           model, price_key, account, region, deadline_ms, pinned, ord)
    CROSS JOIN LATERAL (
      SELECT FROM tenantry.open_request o
      WHERE o.tenant_id = b.tenant_id AND o.request_id = b.request_id OFFSET 0
    ) o
  LOOP
    found_open[r.ord] := true;
    CONTINUE WHEN r.call = 0 AND r.attempt = 1;  -- it came with the reservation
    INSERT INTO tenantry.later_intent (tenant_id, request_id, call, attempt, began_at,
      deadline_at, operation, model, price_key, account, region, pinned)
    VALUES (r.tenant_id, r.request_id, r.call, r.attempt, p_at,
      p_at + r.deadline_ms * interval '1 millisecond', r.operation, r.model, r.price_key,
      r.account, r.region, r.pinned)
    ON CONFLICT DO NOTHING;
    IF FOUND THEN
      UPDATE tenantry.open_request o SET open_attempts = o.open_attempts + 1
      WHERE o.tenant_id = r.tenant_id AND o.request_id = r.request_id;
    END IF;
  END LOOP;
  RETURN found_open;
END $$;

-- What admission knows of each reservation before it decides, by tenant and input order. OFFSET 0:
-- each row is found by its index, whatever the statistics say. A budget's room is what it would
-- have left after this reservation alone; NULL where it has no limit. Places are those of the rows
-- in their tables: the tenant's lock keeps them there, so that nobody looks for them twice.
CREATE FUNCTION tenantry.admission_facts(
  p_at timestamptz, p_reservations tenantry.reservation_in[]
) RETURNS TABLE (
  ord bigint, tenant_id text, refusal text, worst_tokens bigint, counts boolean, paced boolean,
  currency text, requests_per_day bigint, requests_per_minute bigint, tokens_per_minute bigint,
  concurrent_requests bigint, counter tenantry.counter, counter_place tid,
  budgets text[], places tid[], rooms numeric[], worsts numeric[], hard boolean[],
  ends timestamptz[]
) LANGUAGE sql STABLE AS $$
  SELECT a.ord, a.tenant_id,
         CASE
           WHEN t.status IS NULL THEN 'tenant_unknown'
           WHEN t.status <> 'active' THEN 'tenant_suspended'
           WHEN k.api_key_id IS NULL OR k.revoked_at <= p_at THEN 'key_revoked'
           WHEN k.expires_at <= p_at THEN 'key_expired'
           WHEN (p.name, p.version) IS DISTINCT FROM (a.plan, a.plan_version) THEN 'stale_plan'
           WHEN a.price_version IS DISTINCT FROM (
             SELECT e.version FROM tenantry.price_edition e WHERE e.effective_from <= p_at
             ORDER BY e.effective_from DESC, e.version DESC LIMIT 1) THEN 'stale_price'
           WHEN EXISTS (SELECT FROM tenantry.open_request o
                        WHERE o.tenant_id = a.tenant_id AND o.request_id = a.request_id OFFSET 0)
             OR EXISTS (SELECT FROM tenantry.cost_entry o
                        WHERE o.tenant_id = a.tenant_id AND o.request_id = a.request_id
                          AND o.admitted_at > p_at - interval '31 days' AND o.admitted_at <= p_at
                        OFFSET 0)
             THEN 'duplicate'
           WHEN a.paced_by_minute AND p.tokens_per_minute > 0
             AND a.worst_tokens > p.tokens_per_minute THEN 'larger_than_limit'
         END,
         a.worst_tokens, a.counts_as_request, a.paced_by_minute, t.currency, p.requests_per_day,
         p.requests_per_minute, p.tokens_per_minute, p.concurrent_requests, c.counter, c.place,
         b.budgets, b.places, b.rooms, b.worsts, b.hard, b.ends
  FROM unnest(p_reservations) WITH ORDINALITY AS a (
         request_id, tenant_id, api_key_id, plan, plan_version, price_version, worst_tokens,
         worst_cost, worst_charge, user_hash, run_id, tags, counts_as_request,
         paced_by_minute, operation, model, price_key, account, region, deadline_ms, pinned, ord)
  LEFT JOIN LATERAL (
    SELECT t.status, t.plan, t.currency FROM tenantry.tenant t
    WHERE t.tenant_id = a.tenant_id OFFSET 0
  ) t ON true
  LEFT JOIN LATERAL (
    SELECT c AS counter, c.ctid AS place FROM tenantry.counter c
    WHERE c.tenant_id = a.tenant_id OFFSET 0
  ) c ON true
  LEFT JOIN LATERAL (
    SELECT p.* FROM tenantry.plan p WHERE p.name = t.plan AND p.superseded_at IS NULL OFFSET 0
  ) p ON true
  LEFT JOIN LATERAL (
    SELECT k.api_key_id, k.revoked_at, k.expires_at FROM tenantry.api_key k
    WHERE k.tenant_id = a.tenant_id AND k.api_key_id = a.api_key_id OFFSET 0
  ) k ON true
  CROSS JOIN LATERAL (
    SELECT array_agg(u.subject || ' ' || u.period || ' ' || u.basis) AS budgets,
           array_agg(u.place) AS places,
           array_agg(CASE WHEN u.amount = 0 THEN -1 - u.worst  -- blocks what costs nothing too
                          ELSE u.amount - u.settled - u.reserved - u.worst END) AS rooms,
           array_agg(u.worst) AS worsts, array_agg(u.hard) AS hard,
           array_agg(u.period_end) AS ends
    FROM (
      SELECT u.ctid AS place, u.subject, u.period, u.basis, u.settled, u.reserved, u.period_end,
             CASE u.subject WHEN 'plan' THEN p.monthly_budget ELSE u.amount END AS amount,
             CASE u.subject WHEN 'plan' THEN p.budget_hard ELSE u.hard END AS hard,
             CASE u.basis WHEN 'charge' THEN a.worst_charge::numeric
                          ELSE a.worst_cost::numeric END AS worst
      FROM tenantry.budget_use u
      WHERE u.tenant_id = a.tenant_id
        AND u.subject = ANY (tenantry.subjects(a.api_key_id, a.user_hash, a.run_id))
        AND u.period_end > p_at AND u.period_start <= p_at
      OFFSET 0
    ) u
  ) b
  ORDER BY a.tenant_id COLLATE "C", a.ord
$$;

-- Decides reservations in input order within each tenant, and writes those that are admitted. What
-- the tenant at hand has used is in plain variables: fields of a record cost ten times as much.
CREATE FUNCTION tenantry.gate_admit(
  p_at timestamptz, p_boot_id bigint, p_reservations tenantry.reservation_in[]
) RETURNS tenantry.verdict[] LANGUAGE plpgsql AS $$
DECLARE
  verdicts        tenantry.verdict[] := array_fill(
    NULL::tenantry.verdict, ARRAY[cardinality(p_reservations)]);
  now_slot        constant bigint := tenantry.slot_of(p_at);
  -- As p_reservations; NULL for what is not admitted.
  picked          tenantry.picked[] := array_fill(
    NULL::tenantry.picked, ARRAY[cardinality(p_reservations)]);
  tenant          tenantry.counter;
  taken           boolean;  -- something of this tenant was admitted
  window_slot     bigint;
  slot            integer;
  window_requests bigint[];
  window_tokens   bigint[];
  now_requests    bigint;
  now_tokens      bigint;
  now_day         bigint;
  now_in_flight   bigint;
  counters        tenantry.counted[] := '{}';
  budgets         tid[] := '{}';
  reserved        numeric[] := '{}';  -- by this batch, on each of the budgets
  budgets_before  integer;            -- those of other tenants
  place           integer;
  room            numeric;
  code            text;
  limit_name      text;
  retry_after_ms  integer;
  resets_at       timestamptz;
  budget_left     numeric;
  soft            boolean;
  r               record;
BEGIN
  FOR r IN SELECT * FROM tenantry.admission_facts(p_at, p_reservations) LOOP
    IF tenant.tenant_id IS DISTINCT FROM r.tenant_id THEN
      tenant := r.counter;
      taken := false;
      budgets_before := cardinality(budgets);
      window_slot := greatest(tenant.latest_slot, now_slot);
      window_requests := tenant.request_slots;
      window_tokens := tenant.token_slots;
      now_requests := tenant.requests_minute;
      now_tokens := tenant.tokens_minute;
      IF tenant.latest_slot < now_slot THEN
        window_requests := tenantry.slots_at(window_requests, tenant.latest_slot, now_slot);
        window_tokens := tenantry.slots_at(window_tokens, tenant.latest_slot, now_slot);
        now_requests := tenantry.slots_sum(window_requests);
        now_tokens := tenantry.slots_sum(window_tokens);
      END IF;
      slot := window_slot % 11 + 1;
      now_day := tenant.day_requests;
      now_in_flight := tenant.in_flight;
    END IF;
    code := r.refusal;
    limit_name := code;
    retry_after_ms := NULL;
    resets_at := NULL;
    budget_left := NULL;
    soft := false;

    IF code IS NOT NULL THEN
      IF code = 'larger_than_limit' THEN
        limit_name := 'tokens_per_minute';
      END IF;
    ELSIF r.counts AND now_day >= r.requests_per_day THEN
      code := 'requests_per_day';
      resets_at := tenant.day_end;
    ELSIF r.paced AND now_requests >= r.requests_per_minute THEN
      code := 'requests_per_minute';
      IF r.requests_per_minute > 0 THEN
        retry_after_ms := tenantry.slots_wait_ms(
          window_requests, window_slot, now_requests + 1 - r.requests_per_minute, p_at);
      END IF;
    ELSIF r.paced AND (r.tokens_per_minute = 0
        OR now_tokens + r.worst_tokens > r.tokens_per_minute) THEN
      code := 'tokens_per_minute';
      IF r.tokens_per_minute > 0 THEN
        retry_after_ms := tenantry.slots_wait_ms(window_tokens, window_slot,
          now_tokens + r.worst_tokens - r.tokens_per_minute, p_at);
      END IF;
    ELSIF now_in_flight >= r.concurrent_requests THEN
      code := 'concurrent_requests';
      IF r.concurrent_requests > 0 THEN
        retry_after_ms := 1000;  -- nobody knows when a slot falls free
      END IF;
    ELSE
      FOR i IN 1 .. coalesce(cardinality(r.rooms), 0) LOOP
        room := r.rooms[i];
        CONTINUE WHEN room IS NULL;
        IF taken THEN
          place := array_position(budgets, r.places[i], budgets_before + 1);
          room := room - coalesce(reserved[place], 0);
        END IF;
        budget_left := least(budget_left, greatest(room, 0));
        IF room < 0 THEN
          IF r.hard[i] IS NOT FALSE THEN
            code := 'budget';
            limit_name := r.budgets[i];
            budget_left := greatest(room + r.worsts[i], 0);
            resets_at := nullif(r.ends[i], 'infinity');
            EXIT;
          END IF;
          soft := true;
        END IF;
      END LOOP;
    END IF;

    IF code IS NULL THEN
      code := 'admitted';
      picked[r.ord] := (tenant.day, tenant.period_start, r.currency, soft)::tenantry.picked;
      now_in_flight := now_in_flight + 1;
      IF r.counts THEN
        now_day := now_day + 1;
      END IF;
      IF r.paced THEN
        window_requests[slot] := window_requests[slot] + 1;
        window_tokens[slot] := window_tokens[slot] + r.worst_tokens;
        now_requests := now_requests + 1;
        now_tokens := now_tokens + r.worst_tokens;
      END IF;
      FOR i IN 1 .. coalesce(cardinality(r.places), 0) LOOP
        place := NULL;
        IF taken THEN
          place := array_position(budgets, r.places[i], budgets_before + 1);
        END IF;
        place := coalesce(place, cardinality(budgets) + 1);
        budgets[place] := r.places[i];
        reserved[place] := coalesce(reserved[place], 0) + r.worsts[i];
      END LOOP;
      counters[cardinality(counters) + CASE WHEN taken THEN 0 ELSE 1 END] := (r.counter_place,
        now_day, now_in_flight, window_slot, now_requests, now_tokens, window_requests,
        window_tokens)::tenantry.counted;
      taken := true;
    ELSE
      limit_name := coalesce(limit_name, code);
    END IF;
    verdicts[r.ord] := (code, tenant.period_start, limit_name, retry_after_ms, resets_at,
      r.requests_per_day - now_day, r.requests_per_minute - now_requests,
      r.tokens_per_minute - now_tokens, budget_left)::tenantry.verdict;
  END LOOP;
  IF cardinality(counters) > 0 THEN
    PERFORM tenantry.write_admitted(
      p_at, p_boot_id, p_reservations, picked, counters, budgets, reserved);
  END IF;
  RETURN verdicts;
END $$;

-- Writes the admitted: request and first intent, and what counters and budgets have come to.
CREATE FUNCTION tenantry.write_admitted(
  p_at timestamptz, p_boot_id bigint, p_reservations tenantry.reservation_in[],
  p_picked tenantry.picked[], p_counters tenantry.counted[], p_budgets tid[], p_reserved numeric[]
) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  WITH requests AS (
    INSERT INTO tenantry.open_request (tenant_id, request_id, boot_id, admitted_at, day,
      period_start, api_key_id, user_hash, run_id, tags, currency, plan, plan_version,
      price_version, worst_tokens, held_cost, held_charge, counted, paced, flags, deadline_at,
      operation, model, price_key, account, region, pinned)
    SELECT a.tenant_id, a.request_id, p_boot_id, p_at, a.day, a.period_start, a.api_key_id,
           a.user_hash, a.run_id, a.tags, a.currency, a.plan, a.plan_version, a.price_version,
           a.worst_tokens, a.worst_cost::numeric, a.worst_charge::numeric, a.counts_as_request,
           a.paced_by_minute,
           CASE WHEN a.over_soft THEN '{over_soft_budget}'::text[] ELSE '{}' END,
           p_at + a.deadline_ms * interval '1 millisecond', a.operation, a.model, a.price_key,
           a.account, a.region, a.pinned
    FROM ROWS FROM (unnest(p_reservations), unnest(p_picked)) AS a (
           request_id, tenant_id, api_key_id, plan, plan_version, price_version, worst_tokens,
           worst_cost, worst_charge, user_hash, run_id, tags, counts_as_request,
           paced_by_minute, operation, model, price_key, account, region, deadline_ms, pinned,
           day, period_start, currency, over_soft)
    WHERE a.day IS NOT NULL
  ), counters AS (
    UPDATE tenantry.counter c
    SET day_requests = n.day_requests, in_flight = n.in_flight, latest_slot = n.latest_slot,
        requests_minute = n.requests_minute, tokens_minute = n.tokens_minute,
        request_slots = n.request_slots, token_slots = n.token_slots
    FROM unnest(p_counters) n
    WHERE c.ctid = n.place
  )
  UPDATE tenantry.budget_use u SET reserved = u.reserved + b.reserved
  FROM unnest(p_budgets, p_reserved) AS b (place, reserved)
  WHERE u.ctid = b.place;
END $$;

-- Everything that waits on one worker, decided and written in one commit. Settlements come first,
-- so that what they free can be had at once; each array answers in its own order: whether a
-- settlement posted anything, whether a begun attempt's request is open, and the verdicts.
CREATE FUNCTION tenantry.gate_batch(
  p_boot_id bigint, p_outcomes tenantry.outcome_in[], p_begins tenantry.begin_in[],
  p_reservations tenantry.reservation_in[],
  OUT at timestamptz, OUT settled boolean[], OUT begun boolean[], OUT verdicts tenantry.verdict[]
) LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, tenantry, pg_temp
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
AS $$
DECLARE
  tenants text[] := '{}';
BEGIN
  -- In plain steps: a statement that gathers them would cost the start of an executor.
  FOR i IN 1 .. cardinality(p_outcomes) LOOP
    tenants[i] := p_outcomes[i].tenant_id;
  END LOOP;
  FOR i IN 1 .. cardinality(p_begins) LOOP
    tenants := tenants || p_begins[i].tenant_id;
  END LOOP;
  FOR i IN 1 .. cardinality(p_reservations) LOOP
    tenants := tenants || p_reservations[i].tenant_id;
  END LOOP;
  at := tenantry.lock_tenants(tenants);
  IF cardinality(p_outcomes) > 0 THEN
    settled := tenantry.gate_settle(at, p_outcomes);
  END IF;
  IF cardinality(p_begins) > 0 THEN
    begun := tenantry.gate_begin(at, p_begins);
  END IF;
  IF cardinality(p_reservations) > 0 THEN
    verdicts := tenantry.gate_admit(at, p_boot_id, p_reservations);
  END IF;
END $$;
COMMENT ON FUNCTION tenantry.gate_batch IS
  'Crosses tenants because one commit carries the requests of many; returns verdicts alone.';
GRANT EXECUTE ON FUNCTION tenantry.gate_batch TO tenantry_app;

SET LOCAL ROLE tenantry_owner;
REVOKE CREATE ON SCHEMA tenantry FROM tenantry_gate;
