-- The gate's door for workers: one call for everything that waits, one commit for all of it.

CREATE TYPE tenantry.begin_in AS (
  tenant_id text, request_id uuid, call smallint, attempt smallint, operation text, model text,
  price_key text, account text, region text, deadline_ms integer, pinned jsonb
);
-- A reservation with the intent of its first attempt.
CREATE TYPE tenantry.reservation_in AS (
  request_id uuid, tenant_id text, api_key_id text, plan_version integer, price_version integer,
  worst_tokens bigint, worst_cost numeric, worst_charge numeric, user_hash text, run_id text,
  tags jsonb, counts_as_request boolean, paced_by_minute boolean,
  call smallint, attempt smallint, operation text, model text, price_key text, account text,
  region text, deadline_ms integer, pinned jsonb
);
-- The answers: (`settled`, place, posted), (`begun`, place, found), (`admitted` or a refusal, …).
CREATE TYPE tenantry.verdict AS (
  code text, place bigint, yes boolean, at timestamptz, period_start timestamptz,
  limit_name text, retry_after_ms integer, resets_at timestamptz,
  requests_left_day bigint, requests_left_minute bigint, tokens_left_minute bigint,
  budget_left numeric
);

GRANT USAGE ON TYPE tenantry.begin_in, tenantry.reservation_in, tenantry.verdict
  TO tenantry_app, tenantry_gate;

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

-- What admission knows of each reservation before it decides, by tenant and input order. OFFSET 0:
-- each row is found by its index, whatever the statistics say. A budget's room is what it would
-- have left after this reservation alone; NULL where it has no limit.
CREATE FUNCTION tenantry.admission_facts(
  p_at timestamptz, p_reservations tenantry.reservation_in[]
) RETURNS TABLE (
  ord bigint, tenant_id text, more boolean, refusal text, worst_tokens bigint,
  counts boolean, paced boolean, requests_per_day bigint, requests_per_minute bigint,
  tokens_per_minute bigint, concurrent_requests bigint, counter tenantry.counter,
  budgets text[], rooms numeric[], worsts numeric[], hard boolean[], ends timestamptz[]
) LANGUAGE sql STABLE AS $$
  SELECT a.ord, a.tenant_id,
         lead(a.tenant_id) OVER (ORDER BY a.tenant_id COLLATE "C", a.ord) = a.tenant_id,
         CASE
           WHEN t.status IS NULL THEN 'tenant_unknown'
           WHEN t.status <> 'active' THEN 'tenant_suspended'
           WHEN k.api_key_id IS NULL OR k.revoked_at <= p_at THEN 'key_revoked'
           WHEN k.expires_at <= p_at THEN 'key_expired'
           WHEN p.version IS DISTINCT FROM a.plan_version THEN 'stale_plan'
           WHEN a.price_version IS DISTINCT FROM (
             SELECT e.version FROM tenantry.price_edition e WHERE e.effective_from <= p_at
             ORDER BY e.effective_from DESC, e.version DESC LIMIT 1) THEN 'stale_price'
           WHEN EXISTS (SELECT FROM tenantry.open_request o
                        WHERE o.tenant_id = a.tenant_id AND o.request_id = a.request_id OFFSET 0)
             OR EXISTS (SELECT FROM tenantry.attempt o
                        WHERE o.tenant_id = a.tenant_id AND o.request_id = a.request_id OFFSET 0)
             THEN 'duplicate'
           WHEN a.paced_by_minute AND p.tokens_per_minute > 0
             AND a.worst_tokens > p.tokens_per_minute THEN 'larger_than_limit'
         END,
         a.worst_tokens, a.counts_as_request, a.paced_by_minute, p.requests_per_day,
         p.requests_per_minute, p.tokens_per_minute, p.concurrent_requests, c.counter,
         b.budgets, b.rooms, b.worsts, b.hard, b.ends
  FROM unnest(p_reservations) WITH ORDINALITY AS a (
         request_id, tenant_id, api_key_id, plan_version, price_version, worst_tokens,
         worst_cost, worst_charge, user_hash, run_id, tags, counts_as_request,
         paced_by_minute, call, attempt, operation, model, price_key, account, region,
         deadline_ms, pinned, ord)
  LEFT JOIN LATERAL (
    SELECT t.status, t.plan FROM tenantry.tenant t WHERE t.tenant_id = a.tenant_id OFFSET 0
  ) t ON true
  LEFT JOIN LATERAL (
    SELECT c AS counter FROM tenantry.counter c WHERE c.tenant_id = a.tenant_id OFFSET 0
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
           array_agg(CASE WHEN u.amount = 0 THEN -1
                          ELSE u.amount - u.settled - u.reserved - u.worst END) AS rooms,
           array_agg(u.worst) AS worsts, array_agg(u.hard) AS hard,
           array_agg(u.period_end) AS ends
    FROM (
      SELECT u.subject, u.period, u.basis, u.settled, u.reserved, u.period_end,
             CASE u.subject WHEN 'plan' THEN p.monthly_budget ELSE u.amount END AS amount,
             CASE u.subject WHEN 'plan' THEN p.budget_hard ELSE u.hard END AS hard,
             CASE u.basis WHEN 'charge' THEN a.worst_charge ELSE a.worst_cost END AS worst
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
) RETURNS SETOF tenantry.verdict LANGUAGE plpgsql AS $$
DECLARE
  now_slot  constant bigint := tenantry.slot_of(p_at);
  admitted  boolean[] := array_fill(false, ARRAY[cardinality(p_reservations)]);
  over_soft boolean[] := admitted;  -- a soft budget is passed
  any_admitted    boolean := false;
  fresh           boolean := true;  -- the next reservation is of another tenant
  tenant          tenantry.counter;
  changed         boolean := false;
  window_slot     bigint;
  slot            integer;
  window_requests   bigint[];
  window_tokens     bigint[];
  now_requests    bigint;
  now_tokens      bigint;
  now_day    bigint;
  now_in_flight       bigint;
  reserved_on     text[];     -- budgets, and what this batch has reserved on each
  reserved        numeric[];
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
    IF fresh THEN
      tenant := r.counter;
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
      reserved_on := '{}';
      reserved := '{}';
      changed := false;
    END IF;
    fresh := r.more IS NOT TRUE;
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
        place := array_position(reserved_on, r.budgets[i]);
        IF place IS NOT NULL THEN
          room := room - reserved[place];
        END IF;
        budget_left := least(budget_left, greatest(room, 0));
        IF room < 0 THEN
          IF r.hard[i] IS NOT FALSE THEN
            code := 'budget';
            limit_name := r.budgets[i];
            resets_at := nullif(r.ends[i], 'infinity');
            EXIT;
          END IF;
          soft := true;
        END IF;
      END LOOP;
    END IF;

    IF code IS NULL THEN
      code := 'admitted';
      changed := true;
      any_admitted := true;
      admitted[r.ord] := true;
      over_soft[r.ord] := soft;
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
      IF r.more THEN
        FOR i IN 1 .. coalesce(cardinality(r.rooms), 0) LOOP
          place := array_position(reserved_on, r.budgets[i]);
          IF place IS NULL THEN
            reserved_on := reserved_on || r.budgets[i];
            reserved := reserved || r.worsts[i];
          ELSE
            reserved[place] := reserved[place] + r.worsts[i];
          END IF;
        END LOOP;
      END IF;
    ELSE
      limit_name := coalesce(limit_name, code);
    END IF;
    RETURN NEXT (code, r.ord, NULL, p_at, tenant.period_start, limit_name, retry_after_ms,
      resets_at, r.requests_per_day - now_day, r.requests_per_minute - now_requests,
      r.tokens_per_minute - now_tokens, budget_left)::tenantry.verdict;
    IF fresh AND changed THEN
      UPDATE tenantry.counter c
      SET day_requests = now_day, in_flight = now_in_flight, latest_slot = window_slot,
          requests_minute = now_requests, tokens_minute = now_tokens,
          request_slots = window_requests, token_slots = window_tokens
      WHERE c.tenant_id = r.tenant_id;
    END IF;
  END LOOP;
  IF any_admitted THEN
    PERFORM tenantry.write_admitted(p_at, p_boot_id, p_reservations, admitted, over_soft);
  END IF;
END $$;

-- The rows of admitted reservations: request, first intent, and what their budgets now hold.
CREATE FUNCTION tenantry.write_admitted(
  p_at timestamptz, p_boot_id bigint, p_reservations tenantry.reservation_in[],
  p_admitted boolean[], p_over_soft boolean[]
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  moves tenantry.move[];
BEGIN
  WITH picked AS MATERIALIZED (
    SELECT a.*, p_over_soft[a.ord] AS over_soft, c.day, c.period_start, t.currency
    FROM unnest(p_reservations) WITH ORDINALITY AS a (
           request_id, tenant_id, api_key_id, plan_version, price_version, worst_tokens,
           worst_cost, worst_charge, user_hash, run_id, tags, counts_as_request,
           paced_by_minute, call, attempt, operation, model, price_key, account, region,
           deadline_ms, pinned, ord)
    CROSS JOIN LATERAL (
      SELECT c.day, c.period_start FROM tenantry.counter c WHERE c.tenant_id = a.tenant_id OFFSET 0
    ) c
    CROSS JOIN LATERAL (
      SELECT t.currency FROM tenantry.tenant t WHERE t.tenant_id = a.tenant_id OFFSET 0
    ) t
    WHERE p_admitted[a.ord]
  ), requests AS (
    INSERT INTO tenantry.open_request (tenant_id, request_id, boot_id, admitted_at, day,
      period_start, api_key_id, user_hash, run_id, tags, currency, plan_version, price_version,
      worst_tokens, held_cost, held_charge, counted, paced, flags)
    SELECT a.tenant_id, a.request_id, p_boot_id, p_at, a.day, a.period_start, a.api_key_id,
           a.user_hash, a.run_id, a.tags, a.currency, a.plan_version, a.price_version,
           a.worst_tokens, a.worst_cost, a.worst_charge, a.counts_as_request, a.paced_by_minute,
           CASE WHEN a.over_soft THEN '{over_soft_budget}'::text[] ELSE '{}' END
    FROM picked a
  ), intents AS (
    INSERT INTO tenantry.intent (tenant_id, request_id, call, attempt, began_at, deadline_at,
      operation, model, price_key, account, region, pinned)
    SELECT a.tenant_id, a.request_id, a.call, a.attempt, p_at,
           p_at + a.deadline_ms * interval '1 millisecond', a.operation, a.model, a.price_key,
           a.account, a.region, a.pinned
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
