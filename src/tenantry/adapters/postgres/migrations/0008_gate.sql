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
  tokens_left_minute bigint, budget_left numeric
);

-- The answers of one call, each array in the order of what was asked.
CREATE TYPE tenantry.answers AS (
  at timestamptz, settled boolean[], begun boolean[], verdicts tenantry.verdict[]
);

-- A budget that a reservation counts against. `room` is what it would have left after this
-- reservation alone; NULL where it has no limit.
CREATE TYPE tenantry.tested AS (
  name text, place tid, room numeric, worst numeric, hard boolean, ends timestamptz
);
-- What a reservation that is admitted takes over from its tenant.
CREATE TYPE tenantry.picked AS (
  day date, period_start timestamptz, currency text, over_soft boolean  -- a soft budget is passed
);
-- What is admitted of one tenant, and where its counter lies.
CREATE TYPE tenantry.counted AS (
  place tid, day_requests bigint, in_flight bigint, requests_minute bigint, tokens_minute bigint
);

GRANT USAGE ON TYPE tenantry.begin_in, tenantry.reservation_in, tenantry.verdict,
  tenantry.answers
  TO tenantry_app, tenantry_gate;
GRANT USAGE ON TYPE tenantry.tested, tenantry.picked, tenantry.counted TO tenantry_gate;

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
-- each row is found by its index, whatever the statistics say. Places are those of the rows in
-- their tables: the tenant's lock keeps them there, so that nobody looks for them twice.
CREATE FUNCTION tenantry.admission_facts(
  p_at timestamptz, p_reservations tenantry.reservation_in[]
) RETURNS TABLE (
  ord bigint, tenant_id text, refusal text, worst_tokens bigint, counts boolean, paced boolean,
  currency text, requests_per_day bigint, requests_per_minute bigint, tokens_per_minute bigint,
  concurrent_requests bigint, counter_place tid, day date, period_start timestamptz,
  day_requests bigint, in_flight bigint, requests_minute bigint, tokens_minute bigint,
  budgets tenantry.tested[], places tid[], worsts numeric[], least_room numeric
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
                          AND o.admitted_at > p_at - interval '31 days'
                          AND o.admitted_at < p_at + interval '1 day'  -- a clock may step back
                        OFFSET 0)
             THEN 'duplicate'
           WHEN a.paced_by_minute AND p.tokens_per_minute > 0
             AND a.worst_tokens > p.tokens_per_minute THEN 'larger_than_limit'
         END,
         a.worst_tokens, a.counts_as_request, a.paced_by_minute, t.currency, p.requests_per_day,
         p.requests_per_minute, p.tokens_per_minute, p.concurrent_requests, c.place, c.day,
         c.period_start, c.day_requests, c.in_flight, c.requests_minute, c.tokens_minute,
         b.budgets, b.places, b.worsts, b.least_room
  FROM unnest(p_reservations) WITH ORDINALITY AS a (
         request_id, tenant_id, api_key_id, plan, plan_version, price_version, worst_tokens,
         worst_cost, worst_charge, user_hash, run_id, tags, counts_as_request,
         paced_by_minute, operation, model, price_key, account, region, deadline_ms, pinned, ord)
  LEFT JOIN LATERAL (
    SELECT t.status, t.plan, t.currency FROM tenantry.tenant t
    WHERE t.tenant_id = a.tenant_id OFFSET 0
  ) t ON true
  LEFT JOIN LATERAL (
    SELECT c.*, c.ctid AS place FROM tenantry.counter c
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
    SELECT array_agg((u.subject || ' ' || u.period || ' ' || u.basis, u.place, u.room, u.worst,
             u.hard, u.period_end)::tenantry.tested) AS budgets,
           array_agg(u.place) AS places, array_agg(u.worst) AS worsts, min(u.room) AS least_room
    FROM (
      SELECT u.*, CASE WHEN u.amount = 0 THEN -1 - u.worst  -- blocks what costs nothing too
                       ELSE u.amount - u.settled - u.reserved - u.worst END AS room
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
    ) u
  ) b
  ORDER BY a.tenant_id COLLATE "C", a.ord
$$;

-- The refusal of the first budget that has not enough left after what p_reserved takes of p_taken;
-- else no code, and what the tightest would have left: less than 0 is past a soft one.
CREATE FUNCTION tenantry.test_budgets(
  p_tested tenantry.tested[], p_taken tid[], p_reserved numeric[]
) RETURNS tenantry.verdict LANGUAGE plpgsql AS $$
DECLARE
  b       tenantry.tested;
  room    numeric;
  verdict tenantry.verdict;
BEGIN
  FOREACH b IN ARRAY coalesce(p_tested, '{}') LOOP
    room := b.room - coalesce(p_reserved[array_position(p_taken, b.place)], 0);
    verdict.budget_left := least(verdict.budget_left, room);
    IF room < 0 AND b.hard IS NOT FALSE THEN
      verdict.code := 'budget';
      verdict.limit_name := b.name;
      verdict.resets_at := nullif(b.ends, 'infinity');
      verdict.budget_left := greatest(room + b.worst, 0);
      EXIT;
    END IF;
  END LOOP;
  RETURN verdict;
END $$;

-- What to say of any other refusal: the limit's name, and when to come again.
CREATE FUNCTION tenantry.refuse(
  p_code text, p_tenant_id text, p_at timestamptz, p_requests_over bigint, p_tokens_over bigint,
  p_limit bigint
) RETURNS tenantry.verdict LANGUAGE plpgsql STABLE AS $$
DECLARE
  c       tenantry.counter;
  refusal tenantry.verdict;
BEGIN
  SELECT x.* INTO c FROM tenantry.counter x WHERE x.tenant_id = p_tenant_id;
  refusal.code := p_code;
  refusal.limit_name := CASE p_code WHEN 'larger_than_limit' THEN 'tokens_per_minute'
                                    ELSE p_code END;
  refusal.period_start := c.period_start;
  IF p_code = 'requests_per_day' THEN
    refusal.resets_at := c.day_end;
  ELSIF p_limit > 0 THEN  -- where it is 0, waiting does not help
    refusal.retry_after_ms := CASE p_code
      WHEN 'requests_per_minute' THEN
        tenantry.slots_wait_ms(c.request_slots, c.latest_slot, p_requests_over, p_at)
      WHEN 'tokens_per_minute' THEN
        tenantry.slots_wait_ms(c.token_slots, c.latest_slot, p_tokens_over, p_at)
      WHEN 'concurrent_requests' THEN 1000  -- nobody knows when a slot falls free
    END;
  END IF;
  RETURN refusal;
END $$;

-- Decides reservations in input order within each tenant, and writes those that are admitted. A
-- statement here costs as much as a row of a set: what nearly all reservations do not need, such as
-- a budget's name, is looked up where it is.
CREATE FUNCTION tenantry.gate_admit(
  p_at timestamptz, p_boot_id bigint, p_reservations tenantry.reservation_in[]
) RETURNS tenantry.verdict[] LANGUAGE plpgsql AS $$
DECLARE
  verdicts   tenantry.verdict[] := array_fill(
    NULL::tenantry.verdict, ARRAY[cardinality(p_reservations)]);
  -- The reservation at hand, as in admission_facts.
  ord integer; of_tenant text; code text; worst_tokens bigint; counts boolean; paced boolean;
  currency text; day_limit bigint; minute_limit bigint; token_limit bigint; slot_limit bigint;
  counter_place tid; day date; period_start timestamptz; day_requests bigint; in_flight bigint;
  requests_minute bigint; tokens_minute bigint; tested tenantry.tested[]; places tid[];
  worsts numeric[]; least_room numeric;
  -- Its tenant, and what was admitted of it in this batch.
  tenant     text;
  home       tid;
  days       bigint := 0;  -- requests that count against the day
  slots      bigint := 0;
  requests   bigint := 0;  -- those that are paced, and their tokens
  tokens     bigint := 0;
  -- What is to be written.
  picked     tenantry.picked[] := array_fill(  -- as p_reservations; NULL for what is not admitted
    NULL::tenantry.picked, ARRAY[cardinality(p_reservations)]);
  counters   tenantry.counted[] := '{}';
  budgets    tid[] := '{}';
  reserved   numeric[] := '{}';  -- on each of the budgets
  of_others  integer := 0;       -- those of other tenants
  refusal    tenantry.verdict;
  written    integer;
BEGIN
  FOR ord, of_tenant, code, worst_tokens, counts, paced, currency, day_limit, minute_limit,
      token_limit, slot_limit, counter_place, day, period_start, day_requests, in_flight,
      requests_minute, tokens_minute, tested, places, worsts, least_room IN
    SELECT * FROM tenantry.admission_facts(p_at, p_reservations)
  LOOP
    IF of_tenant <> tenant THEN
      IF slots > 0 THEN
        counters := counters || (home, days, slots, requests, tokens)::tenantry.counted;
        of_others := cardinality(budgets);
        days := 0;
        slots := 0;
        requests := 0;
        tokens := 0;
      END IF;
    END IF;
    tenant := of_tenant;
    home := counter_place;
    IF code IS NULL THEN
      code := CASE
        WHEN counts AND day_requests + days >= day_limit THEN 'requests_per_day'
        WHEN paced AND requests_minute + requests >= minute_limit THEN 'requests_per_minute'
        WHEN paced AND (token_limit = 0 OR tokens_minute + tokens + worst_tokens > token_limit)
          THEN 'tokens_per_minute'
        WHEN in_flight + slots >= slot_limit THEN 'concurrent_requests'
      END;
    END IF;
    IF code IS NULL AND (slots > 0 OR least_room < 0) THEN
      refusal := tenantry.test_budgets(
        tested, budgets[of_others + 1 :], reserved[of_others + 1 :]);
      code := refusal.code;
      least_room := refusal.budget_left;
    END IF;

    IF code IS NULL THEN
      picked[ord] := (day, period_start, currency, least_room < 0)::tenantry.picked;
      days := days + counts::integer;
      IF paced THEN
        requests := requests + 1;
        tokens := tokens + worst_tokens;
      END IF;
      IF slots = 0 THEN
        budgets := budgets || places;
        reserved := reserved || worsts;
      ELSE
        FOR i IN 1 .. coalesce(cardinality(places), 0) LOOP
          DECLARE
            at integer := coalesce(array_position(budgets, places[i], of_others + 1),
                                   cardinality(budgets) + 1);
          BEGIN
            budgets[at] := places[i];
            reserved[at] := coalesce(reserved[at], 0) + worsts[i];
          END;
        END LOOP;
      END IF;
      slots := slots + 1;
      verdicts[ord] := ('admitted', period_start, NULL, NULL, NULL,
        day_limit - day_requests - days, minute_limit - requests_minute - requests,
        token_limit - tokens_minute - tokens,
        CASE WHEN least_room < 0 THEN 0 ELSE least_room END)::tenantry.verdict;
    ELSE
      IF code <> 'budget' THEN
        refusal := tenantry.refuse(code, tenant, p_at,
          requests_minute + requests + 1 - minute_limit,
          tokens_minute + tokens + worst_tokens - token_limit,
          CASE code WHEN 'requests_per_minute' THEN minute_limit
                    WHEN 'tokens_per_minute' THEN token_limit ELSE slot_limit END);
      END IF;
      verdicts[ord] := refusal;
    END IF;
  END LOOP;
  IF slots > 0 THEN
    counters := counters || (home, days, slots, requests, tokens)::tenantry.counted;
  END IF;
  IF cardinality(counters) > 0 THEN
    written := tenantry.write_admitted(
      p_at, p_boot_id, p_reservations, picked, counters, budgets, reserved);
  END IF;
  RETURN verdicts;
END $$;

-- Writes the admitted: request and first intent, and what counters and budgets have come to.
CREATE FUNCTION tenantry.write_admitted(
  p_at timestamptz, p_boot_id bigint, p_reservations tenantry.reservation_in[],
  p_picked tenantry.picked[], p_counters tenantry.counted[], p_budgets tid[], p_reserved numeric[]
) RETURNS integer LANGUAGE plpgsql AS $$
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
    SET day_requests = c.day_requests + n.day_requests, in_flight = c.in_flight + n.in_flight,
        requests_minute = c.requests_minute + n.requests_minute,
        tokens_minute = c.tokens_minute + n.tokens_minute,
        request_slots[c.latest_slot % 11 + 1] =
          c.request_slots[c.latest_slot % 11 + 1] + n.requests_minute,
        token_slots[c.latest_slot % 11 + 1] =
          c.token_slots[c.latest_slot % 11 + 1] + n.tokens_minute
    FROM unnest(p_counters) n
    WHERE c.ctid = n.place
  )
  UPDATE tenantry.budget_use u SET reserved = u.reserved + b.reserved
  FROM unnest(p_budgets, p_reserved) AS b (place, reserved)
  WHERE u.ctid = b.place;
  RETURN cardinality(p_counters);
END $$;

-- Everything that waits on one worker, decided and written in one commit. Settlements come first,
-- so that what they free can be had at once; each array answers in its own order: whether a
-- settlement posted anything, whether a begun attempt's request is open, and the verdicts.
CREATE FUNCTION tenantry.gate_batch(
  p_boot_id bigint, p_outcomes tenantry.outcome_in[], p_begins tenantry.begin_in[],
  p_reservations tenantry.reservation_in[]
) RETURNS tenantry.answers LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, tenantry, pg_temp AS $$
DECLARE
  at       constant timestamptz := tenantry.lock_tenants(ARRAY(
    SELECT tenant_id FROM unnest(p_outcomes)
    UNION ALL SELECT tenant_id FROM unnest(p_begins)
    UNION ALL SELECT tenant_id FROM unnest(p_reservations)));
  settled  boolean[];
  begun    boolean[];
  verdicts tenantry.verdict[];
BEGIN
  IF cardinality(p_outcomes) > 0 THEN
    settled := tenantry.gate_settle(at, p_outcomes);
  END IF;
  IF cardinality(p_begins) > 0 THEN
    begun := tenantry.gate_begin(at, p_begins);
  END IF;
  IF cardinality(p_reservations) > 0 THEN
    verdicts := tenantry.gate_admit(at, p_boot_id, p_reservations);
  END IF;
  RETURN (at, settled, begun, verdicts)::tenantry.answers;
END $$;
COMMENT ON FUNCTION tenantry.gate_batch IS
  'Crosses tenants because one commit carries the requests of many; returns verdicts alone.';
GRANT EXECUTE ON FUNCTION tenantry.gate_batch TO tenantry_app;

SET LOCAL ROLE tenantry_owner;
REVOKE CREATE ON SCHEMA tenantry FROM tenantry_gate;
