-- The gate's door for workers: one call for everything that waits, one commit for all of it.

CREATE TYPE tenantry.intent_in AS (
  call smallint, attempt smallint, operation text, model text, price_key text, account text,
  region text, deadline_ms integer, pinned jsonb
);
CREATE TYPE tenantry.begin_in AS (
  tenant_id text, request_id uuid, intent tenantry.intent_in
);
CREATE TYPE tenantry.reservation_in AS (
  request_id uuid, tenant_id text, api_key_id text, plan_version integer, price_version integer,
  worst_tokens bigint, worst_cost numeric, worst_charge numeric, user_hash text, run_id text,
  tags jsonb, counts_as_request boolean, paced_by_minute boolean, first tenantry.intent_in
);
-- A budget that a reservation is held against, as it stood before this batch.
CREATE TYPE tenantry.budget_now AS (
  key text, basis text, amount numeric, hard boolean, used numeric, period_end timestamptz
);
-- The answers: (`settled`, place, posted), (`begun`, place, found), (`admitted` or a refusal, …).
CREATE TYPE tenantry.verdict AS (
  code text, place bigint, yes boolean, at timestamptz, period_start timestamptz,
  limit_name text, retry_after_ms integer, resets_at timestamptz,
  requests_left_day bigint, requests_left_minute bigint, tokens_left_minute bigint,
  budget_left numeric
);

GRANT USAGE ON TYPE tenantry.intent_in, tenantry.begin_in, tenantry.reservation_in,
  tenantry.verdict TO tenantry_app, tenantry_gate;
GRANT USAGE ON TYPE tenantry.budget_now TO tenantry_gate;

GRANT CREATE ON SCHEMA tenantry TO tenantry_gate;
SET LOCAL ROLE tenantry_gate;

-- Moves tenants on to the day and period of p_at, and opens the balances that these begin with.
-- The calendar is asked here and nowhere on the way of a request.
CREATE FUNCTION tenantry.roll_over(p_at timestamptz, p_tenants text[]) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
  UPDATE tenantry.counter c
  SET day = d.day, day_start = d.day_start, day_end = d.day_end,
      day_requests = CASE c.day WHEN d.day THEN c.day_requests ELSE 0 END,
      period_start = m.period_start, period_end = m.period_end
  FROM tenantry.tenant t, tenantry.civil_day(p_at, t.zone) d,
       tenantry.billing_period(p_at, t.zone, t.anchor_day) m
  WHERE c.tenant_id = ANY (p_tenants) AND t.tenant_id = c.tenant_id
    AND (c.day_end <= p_at OR c.period_end <= p_at);

  INSERT INTO tenantry.budget_use (tenant_id, subject, period, basis, period_start, period_end)
  SELECT b.tenant_id, b.subject, b.period, b.basis, s.period_start, s.period_end
  FROM tenantry.tenant t
  CROSS JOIN LATERAL (
    SELECT t.tenant_id, 'plan' AS subject, 'month' AS period, 'charge' AS basis
    UNION ALL
    SELECT b.tenant_id, b.subject, b.period, b.basis FROM tenantry.budget b
    WHERE b.tenant_id = t.tenant_id
  ) b
  CROSS JOIN LATERAL tenantry.budget_period(b.period, p_at, t.zone, t.anchor_day) s
  WHERE t.tenant_id = ANY (p_tenants)
  ON CONFLICT DO NOTHING;
END $$;

-- Locks the tenants, in their order, so that no two batches can wait for each other in a ring;
-- a statement of its own, so that the next one's snapshot sees what the lock waited for.
CREATE FUNCTION tenantry.lock_tenants(p_tenants text[]) RETURNS timestamptz
LANGUAGE plpgsql AS $$
DECLARE
  at        timestamptz;
  next_roll timestamptz;
BEGIN
  SELECT min(least(l.day_end, l.period_end)) INTO next_roll FROM (
    SELECT c.day_end, c.period_end FROM tenantry.counter c
    WHERE c.tenant_id = ANY (p_tenants) ORDER BY c.tenant_id FOR NO KEY UPDATE
  ) l;
  at := clock_timestamp();
  IF next_roll <= at THEN
    PERFORM tenantry.roll_over(at, p_tenants);
  END IF;
  RETURN at;
END $$;

-- Commits the intents of later calls and attempts; true where the request is open.
CREATE FUNCTION tenantry.gate_begin(p_at timestamptz, p_begins tenantry.begin_in[])
RETURNS boolean[] LANGUAGE plpgsql AS $$
DECLARE
  found_open boolean[] := array_fill(false, ARRAY[cardinality(p_begins)]);
  r record;
BEGIN
  FOR r IN
    SELECT b.ord, b.tenant_id, b.request_id, (b.intent).*
    FROM unnest(p_begins) WITH ORDINALITY AS b (tenant_id, request_id, intent, ord)
    JOIN tenantry.open_request o
      ON o.tenant_id = b.tenant_id AND o.request_id = b.request_id
  LOOP
    INSERT INTO tenantry.intent (tenant_id, request_id, call, attempt, began_at, deadline_at,
      operation, model, price_key, account, region, pinned)
    VALUES (r.tenant_id, r.request_id, r.call, r.attempt, p_at,
      p_at + r.deadline_ms * interval '1 millisecond', r.operation, r.model, r.price_key,
      r.account, r.region, r.pinned)
    ON CONFLICT DO NOTHING;
    IF FOUND THEN
      UPDATE tenantry.open_request o SET open_attempts = o.open_attempts + 1
      WHERE o.tenant_id = r.tenant_id AND o.request_id = r.request_id;
    END IF;
    found_open[r.ord] := true;
  END LOOP;
  RETURN found_open;
END $$;

-- Why a reservation may not be, before any limit is looked at; NULL where it may.
CREATE FUNCTION tenantry.refusal_of(
  p_at timestamptz, p_status text, p_key_id text, p_revoked_at timestamptz,
  p_expires_at timestamptz, p_plan integer, p_plan_now integer, p_price integer,
  p_price_now integer, p_known boolean
) RETURNS text LANGUAGE sql IMMUTABLE AS $$
  SELECT CASE
    WHEN p_status IS NULL THEN 'tenant_unknown'
    WHEN p_status <> 'active' THEN 'tenant_suspended'
    WHEN p_key_id IS NULL OR p_revoked_at <= p_at THEN 'key_revoked'
    WHEN p_expires_at <= p_at THEN 'key_expired'
    WHEN p_plan IS DISTINCT FROM p_plan_now THEN 'stale_plan'
    WHEN p_price IS DISTINCT FROM p_price_now THEN 'stale_price'
    WHEN p_known THEN 'duplicate'
  END
$$;

-- Decides reservations in input order within each tenant, and writes those that are admitted.
CREATE FUNCTION tenantry.gate_admit(
  p_at timestamptz, p_boot_id bigint, p_reservations tenantry.reservation_in[]
) RETURNS SETOF tenantry.verdict LANGUAGE plpgsql AS $$
DECLARE
  now_slot  constant bigint := tenantry.slot_of(p_at);
  price_now constant integer := (
    SELECT e.version FROM tenantry.price_edition e WHERE e.effective_from <= p_at
    ORDER BY e.effective_from DESC, e.version DESC LIMIT 1);
  admitted bigint[] := '{}';
  marked   boolean[] := '{}';  -- a soft budget is over
  c        tenantry.counter;   -- the tenant at hand
  changed  boolean := false;
  slot     integer;
  requests_minute bigint;
  tokens_minute   bigint;
  keys     text[];             -- of budgets, and what this batch has reserved on each
  extras   numeric[];
  place    integer;
  extra    numeric;
  worst    numeric;
  held     tenantry.budget_now;
  v        tenantry.verdict;
  soft     boolean;
  r        record;
BEGIN
  FOR r IN
    SELECT a.*, t.status, k.api_key_id AS key_id, k.revoked_at, k.expires_at,
           p.version AS plan_now, p.requests_per_day, p.requests_per_minute,
           p.tokens_per_minute, p.concurrent_requests, n AS counter,
           EXISTS (SELECT FROM tenantry.open_request o
                   WHERE o.tenant_id = a.tenant_id AND o.request_id = a.request_id)
           OR EXISTS (SELECT FROM tenantry.attempt e
                      WHERE e.tenant_id = a.tenant_id AND e.request_id = a.request_id) AS known,
           ARRAY(
             SELECT ROW(u.subject || ' ' || u.period || ' ' || u.basis, u.basis,
                        CASE u.subject WHEN 'plan' THEN p.monthly_budget ELSE b.amount END,
                        CASE u.subject WHEN 'plan' THEN p.budget_hard ELSE b.hard END,
                        u.settled + u.reserved, u.period_end)::tenantry.budget_now
             FROM tenantry.budget_use u
             LEFT JOIN tenantry.budget b
               ON b.tenant_id = u.tenant_id AND b.subject = u.subject AND b.period = u.period
              AND b.basis = u.basis
             WHERE u.tenant_id = a.tenant_id
               AND u.subject = ANY (tenantry.subjects(a.api_key_id, a.user_hash, a.run_id))
               AND u.period_end > p_at AND u.period_start <= p_at
           ) AS budgets
    FROM unnest(p_reservations) WITH ORDINALITY AS a (
           request_id, tenant_id, api_key_id, plan_version, price_version, worst_tokens,
           worst_cost, worst_charge, user_hash, run_id, tags, counts_as_request,
           paced_by_minute, first, ord)
    LEFT JOIN tenantry.tenant t ON t.tenant_id = a.tenant_id
    LEFT JOIN tenantry.counter n ON n.tenant_id = a.tenant_id
    LEFT JOIN tenantry.plan p ON p.name = t.plan AND p.superseded_at IS NULL
    LEFT JOIN tenantry.api_key k
      ON k.tenant_id = a.tenant_id AND k.api_key_id = a.api_key_id
    ORDER BY a.tenant_id, a.ord
  LOOP
    IF c.tenant_id IS DISTINCT FROM r.tenant_id THEN
      IF changed THEN
        PERFORM tenantry.store_counter(c);
      END IF;
      c := r.counter;
      c.tenant_id := r.tenant_id;
      changed := false;
      keys := '{}';
      extras := '{}';
      IF c.latest_slot < now_slot THEN
        c.request_slots := tenantry.slots_at(c.request_slots, c.latest_slot, now_slot);
        c.token_slots := tenantry.slots_at(c.token_slots, c.latest_slot, now_slot);
        c.latest_slot := now_slot;
      END IF;
      slot := c.latest_slot % 11 + 1;
      requests_minute := tenantry.slots_sum(c.request_slots);
      tokens_minute := tenantry.slots_sum(c.token_slots);
    END IF;

    v := NULL;
    v.place := r.ord;
    v.code := tenantry.refusal_of(p_at, r.status, r.key_id, r.revoked_at, r.expires_at,
      r.plan_version, r.plan_now, r.price_version, price_now, r.known);
    IF v.code IS NOT NULL THEN
      NULL;
    ELSIF r.paced_by_minute AND r.tokens_per_minute > 0
        AND r.worst_tokens > r.tokens_per_minute THEN
      v.code := 'larger_than_limit';
      v.limit_name := 'tokens_per_minute';
    ELSIF r.counts_as_request AND c.day_requests >= r.requests_per_day THEN
      v.code := 'requests_per_day';
      v.resets_at := c.day_end;
    ELSIF r.paced_by_minute AND requests_minute >= r.requests_per_minute THEN
      v.code := 'requests_per_minute';
      IF r.requests_per_minute > 0 THEN
        v.retry_after_ms := tenantry.slots_wait_ms(
          c.request_slots, c.latest_slot, requests_minute + 1 - r.requests_per_minute, p_at);
      END IF;
    ELSIF r.paced_by_minute AND (tokens_minute + r.worst_tokens > r.tokens_per_minute
        OR r.tokens_per_minute = 0) THEN
      v.code := 'tokens_per_minute';
      IF r.tokens_per_minute > 0 THEN
        v.retry_after_ms := tenantry.slots_wait_ms(c.token_slots, c.latest_slot,
          tokens_minute + r.worst_tokens - r.tokens_per_minute, p_at);
      END IF;
    ELSIF c.in_flight >= r.concurrent_requests THEN
      v.code := 'concurrent_requests';
      v.retry_after_ms := 1000;  -- nobody knows when a slot falls free
    END IF;

    soft := false;
    IF v.code IS NULL THEN
      FOREACH held IN ARRAY r.budgets LOOP
        CONTINUE WHEN held.amount IS NULL;
        worst := CASE held.basis WHEN 'charge' THEN r.worst_charge ELSE r.worst_cost END;
        place := array_position(keys, held.key);
        extra := coalesce(extras[place], 0);
        IF held.used + extra + worst > held.amount OR held.amount = 0 THEN
          IF held.hard IS NOT FALSE THEN
            v.code := 'budget';
            v.limit_name := held.key;
            v.resets_at := nullif(held.period_end, 'infinity');
            EXIT;
          END IF;
          soft := true;
        END IF;
        v.budget_left := least(v.budget_left, held.amount - held.used - extra - worst);
      END LOOP;
    END IF;

    IF v.code IS NULL THEN
      v.code := 'admitted';
      changed := true;
      admitted := admitted || r.ord;
      marked := marked || soft;
      c.in_flight := c.in_flight + 1;
      IF r.counts_as_request THEN
        c.day_requests := c.day_requests + 1;
      END IF;
      IF r.paced_by_minute THEN
        c.request_slots[slot] := c.request_slots[slot] + 1;
        c.token_slots[slot] := c.token_slots[slot] + r.worst_tokens;
        requests_minute := requests_minute + 1;
        tokens_minute := tokens_minute + r.worst_tokens;
      END IF;
      FOREACH held IN ARRAY r.budgets LOOP
        worst := CASE held.basis WHEN 'charge' THEN r.worst_charge ELSE r.worst_cost END;
        place := array_position(keys, held.key);
        IF place IS NULL THEN
          keys := keys || held.key;
          extras := extras || worst;
        ELSE
          extras[place] := extras[place] + worst;
        END IF;
      END LOOP;
    END IF;
    v.at := p_at;
    v.period_start := c.period_start;
    v.limit_name := coalesce(v.limit_name, nullif(v.code, 'admitted'));
    v.requests_left_day := r.requests_per_day - c.day_requests;
    v.requests_left_minute := r.requests_per_minute - requests_minute;
    v.tokens_left_minute := r.tokens_per_minute - tokens_minute;
    RETURN NEXT v;
  END LOOP;
  IF changed THEN
    PERFORM tenantry.store_counter(c);
  END IF;
  IF cardinality(admitted) > 0 THEN
    PERFORM tenantry.write_admitted(p_at, p_boot_id, p_reservations, admitted, marked);
  END IF;
END $$;

CREATE FUNCTION tenantry.store_counter(p tenantry.counter) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
  UPDATE tenantry.counter c
  SET day_requests = p.day_requests, in_flight = p.in_flight, latest_slot = p.latest_slot,
      request_slots = p.request_slots, token_slots = p.token_slots
  WHERE c.tenant_id = p.tenant_id;
END $$;

-- The rows of admitted reservations: request, first intent, and what their budgets now hold.
CREATE FUNCTION tenantry.write_admitted(
  p_at timestamptz, p_boot_id bigint, p_reservations tenantry.reservation_in[],
  p_places bigint[], p_over_soft boolean[]
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  moves tenantry.move[];
BEGIN
  WITH picked AS MATERIALIZED (
    SELECT (p_reservations[a.place]).*, a.over_soft
    FROM unnest(p_places, p_over_soft) AS a (place, over_soft)
  ), requests AS (
    INSERT INTO tenantry.open_request (tenant_id, request_id, boot_id, admitted_at, day,
      period_start, api_key_id, user_hash, run_id, tags, plan_version, price_version,
      worst_tokens, held_cost, held_charge, counted, paced, flags)
    SELECT a.tenant_id, a.request_id, p_boot_id, p_at, c.day, c.period_start, a.api_key_id,
           a.user_hash, a.run_id, a.tags, a.plan_version, a.price_version, a.worst_tokens,
           a.worst_cost, a.worst_charge, a.counts_as_request, a.paced_by_minute,
           CASE WHEN a.over_soft THEN '{over_soft_budget}'::text[] ELSE '{}' END
    FROM picked a JOIN tenantry.counter c ON c.tenant_id = a.tenant_id
  ), intents AS (
    INSERT INTO tenantry.intent (tenant_id, request_id, call, attempt, began_at, deadline_at,
      operation, model, price_key, account, region, pinned)
    SELECT a.tenant_id, a.request_id, (a.first).call, (a.first).attempt, p_at,
           p_at + (a.first).deadline_ms * interval '1 millisecond', (a.first).operation,
           (a.first).model, (a.first).price_key, (a.first).account, (a.first).region,
           (a.first).pinned
    FROM picked a
  )
  SELECT array_agg(ROW(a.tenant_id, tenantry.subjects(a.api_key_id, a.user_hash, a.run_id),
           p_at, 0, 0, a.worst_charge, a.worst_cost)::tenantry.move)
  INTO moves FROM picked a;
  PERFORM tenantry.apply_moves(moves);
END $$;

-- Everything that waits on one worker, decided and written in one commit. Settlements come first,
-- so that what they free can be had at once; each array answers in `place` of its own order.
CREATE FUNCTION tenantry.gate_batch(
  p_boot_id bigint, p_settlements tenantry.settlement_in[], p_begins tenantry.begin_in[],
  p_reservations tenantry.reservation_in[]
) RETURNS SETOF tenantry.verdict
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, tenantry, pg_temp
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
AS $$
DECLARE
  at constant timestamptz := tenantry.lock_tenants(ARRAY(
    SELECT s.tenant_id FROM unnest(p_settlements) s
    UNION ALL SELECT b.tenant_id FROM unnest(p_begins) b
    UNION ALL SELECT a.tenant_id FROM unnest(p_reservations) a));
BEGIN
  IF cardinality(p_settlements) > 0 THEN
    RETURN QUERY SELECT 'settled', s.ord, s.posted, at, NULL::timestamptz, NULL, NULL::integer,
      NULL::timestamptz, NULL::bigint, NULL::bigint, NULL::bigint, NULL::numeric
    FROM unnest(tenantry.gate_settle(at, p_settlements)) WITH ORDINALITY AS s (posted, ord);
  END IF;
  IF cardinality(p_begins) > 0 THEN
    RETURN QUERY SELECT 'begun', b.ord, b.known, at, NULL::timestamptz, NULL, NULL::integer,
      NULL::timestamptz, NULL::bigint, NULL::bigint, NULL::bigint, NULL::numeric
    FROM unnest(tenantry.gate_begin(at, p_begins)) WITH ORDINALITY AS b (known, ord);
  END IF;
  IF cardinality(p_reservations) > 0 THEN
    RETURN QUERY SELECT * FROM tenantry.gate_admit(at, p_boot_id, p_reservations);
  END IF;
END $$;
COMMENT ON FUNCTION tenantry.gate_batch IS
  'Crosses tenants because one commit carries the requests of many; returns verdicts alone.';
GRANT EXECUTE ON FUNCTION tenantry.gate_batch TO tenantry_app;

SET LOCAL ROLE tenantry_owner;
REVOKE CREATE ON SCHEMA tenantry FROM tenantry_gate;
