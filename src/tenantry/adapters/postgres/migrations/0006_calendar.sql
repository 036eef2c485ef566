-- The gate's calendar: civil days, billing periods, the slots of the minute limits, the lock of a
-- tenant, which moves it on to the present day and period, and what moves its balances. Days and periods equal those of
-- domain/period.py; a property test holds them together.

-- What a settlement does to balances and counters. Amounts and holds are added, so a release is
-- negative; slots and tokens are given back.
CREATE TYPE tenantry.move AS (
  tenant_id text, subjects text[], admitted_at timestamptz,
  charge numeric, cost numeric, held_charge numeric, held_cost numeric,
  slots bigint, tokens bigint
);

GRANT USAGE ON TYPE tenantry.move TO tenantry_gate;

GRANT CREATE ON SCHEMA tenantry TO tenantry_gate;
SET LOCAL ROLE tenantry_gate;

-- The first instant of a civil day. Where midnight comes twice (clocks go back over it) it is the
-- first one; PostgreSQL alone would take the second. Where it never comes, the jump itself.
CREATE FUNCTION tenantry.midnight(p_day date, p_zone text) RETURNS timestamptz
LANGUAGE plpgsql STABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  late  constant timestamptz := p_day::timestamp AT TIME ZONE p_zone;
  eve   constant timestamptz := late - interval '6 hours';
  early constant timestamptz := late - (
    (eve AT TIME ZONE p_zone) - (eve AT TIME ZONE 'UTC')
    - ((late AT TIME ZONE p_zone) - (late AT TIME ZONE 'UTC')));
BEGIN
  IF early < late AND (early AT TIME ZONE p_zone) = p_day::timestamp THEN
    RETURN early;
  END IF;
  RETURN late;
END $$;

-- The anchor day of a month, or that month's last day where it is shorter.
CREATE FUNCTION tenantry.anchor(p_month date, p_anchor_day integer) RETURNS date
LANGUAGE sql IMMUTABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
  SELECT least(p_month + (p_anchor_day - 1), (p_month + interval '1 month')::date - 1)
$$;

-- The day whose span holds an instant. Where clocks go back over midnight, the date that they show
-- is yesterday's once more; the day that has begun goes on.
CREATE FUNCTION tenantry.day_of(p_at timestamptz, p_zone text) RETURNS date
LANGUAGE plpgsql STABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  shown constant date := (p_at AT TIME ZONE p_zone)::date;
BEGIN
  RETURN CASE WHEN p_at >= tenantry.midnight(shown + 1, p_zone) THEN shown + 1 ELSE shown END;
END $$;

CREATE FUNCTION tenantry.civil_day(
  p_at timestamptz, p_zone text, OUT day date, OUT day_start timestamptz, OUT day_end timestamptz
) LANGUAGE plpgsql STABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  day := tenantry.day_of(p_at, p_zone);
  day_start := tenantry.midnight(day, p_zone);
  day_end := tenantry.midnight(day + 1, p_zone);
END $$;

CREATE FUNCTION tenantry.billing_period(
  p_at timestamptz, p_zone text, p_anchor_day integer,
  OUT period_start timestamptz, OUT period_end timestamptz
) LANGUAGE plpgsql STABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  today constant date := tenantry.day_of(p_at, p_zone);
  month date := date_trunc('month', today::timestamp)::date;
BEGIN
  IF today < tenantry.anchor(month, p_anchor_day) THEN
    month := (month - interval '1 month')::date;
  END IF;
  period_start := tenantry.midnight(tenantry.anchor(month, p_anchor_day), p_zone);
  period_end := tenantry.midnight(
    tenantry.anchor((month + interval '1 month')::date, p_anchor_day), p_zone);
END $$;

-- The period of a budget: `day`, `month` (the contract's billing period) or `total`.
CREATE FUNCTION tenantry.budget_period(
  p_period text, p_at timestamptz, p_zone text, p_anchor_day integer,
  OUT period_start timestamptz, OUT period_end timestamptz
) LANGUAGE plpgsql STABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  CASE p_period
    WHEN 'day' THEN
      SELECT d.day_start, d.day_end INTO period_start, period_end
      FROM tenantry.civil_day(p_at, p_zone) d;
    WHEN 'month' THEN
      SELECT b.period_start, b.period_end INTO period_start, period_end
      FROM tenantry.billing_period(p_at, p_zone, p_anchor_day) b;
    WHEN 'total' THEN
      period_start := '-infinity';
      period_end := 'infinity';
  END CASE;
END $$;

-- The 6 s slot of an instant. 11 slots cover at least 60 s whatever the instant. The slot functions
-- set no search path of their own (it takes longer than they do): only the gate's functions call
-- them, and those have theirs pinned.
CREATE FUNCTION tenantry.slot_of(p_at timestamptz) RETURNS bigint
LANGUAGE sql STABLE STRICT AS $$
  SELECT floor(extract(epoch FROM p_at) / 6)::bigint
$$;

-- The window moved on to the slot p_now: what has left it is zero.
CREATE FUNCTION tenantry.slots_at(p_slots bigint[], p_latest bigint, p_now bigint)
RETURNS bigint[] LANGUAGE plpgsql IMMUTABLE STRICT AS $$
BEGIN
  FOR slot IN greatest(p_latest + 1, p_now - 10) .. p_now LOOP
    p_slots[slot % 11 + 1] := 0;
  END LOOP;
  RETURN p_slots;
END $$;

CREATE FUNCTION tenantry.slots_sum(p_slots bigint[]) RETURNS bigint
LANGUAGE plpgsql IMMUTABLE STRICT AS $$
DECLARE
  amount bigint;
  total  bigint := 0;
BEGIN
  FOREACH amount IN ARRAY p_slots LOOP
    total := total + amount;
  END LOOP;
  RETURN total;
END $$;

-- Gives amounts back to the slots they were taken from, as far as those are still in the window.
CREATE FUNCTION tenantry.slots_back(
  p_slots bigint[], p_latest bigint, p_taken_in bigint[], p_amounts bigint[]
) RETURNS bigint[] LANGUAGE plpgsql IMMUTABLE STRICT AS $$
DECLARE
  place integer;
BEGIN
  FOR i IN 1 .. cardinality(p_taken_in) LOOP
    IF p_taken_in[i] > p_latest - 11 AND p_taken_in[i] <= p_latest THEN
      place := p_taken_in[i] % 11 + 1;
      p_slots[place] := greatest(p_slots[place] - p_amounts[i], 0);
    END IF;
  END LOOP;
  RETURN p_slots;
END $$;

-- Milliseconds until `p_need` of what is in the window has left it, at most a minute.
CREATE FUNCTION tenantry.slots_wait_ms(
  p_slots bigint[], p_latest bigint, p_need bigint, p_at timestamptz
) RETURNS integer LANGUAGE plpgsql STABLE STRICT AS $$
DECLARE
  freed bigint := 0;
BEGIN
  FOR slot IN p_latest - 10 .. p_latest LOOP
    freed := freed + p_slots[slot % 11 + 1];
    IF freed >= p_need THEN
      RETURN least(greatest(
        ceil(((slot + 11) * 6 - extract(epoch FROM p_at)) * 1000), 1), 60000)::integer;
    END IF;
  END LOOP;
  RETURN 60000;
END $$;

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

  INSERT INTO tenantry.budget_use
    (tenant_id, subject, period, basis, period_start, period_end, amount, hard)
  SELECT b.tenant_id, b.subject, b.period, b.basis, s.period_start, s.period_end, b.amount, b.hard
  FROM tenantry.tenant t
  CROSS JOIN LATERAL (
    SELECT t.tenant_id, 'plan' AS subject, 'month' AS period, 'charge' AS basis,
           NULL::numeric AS amount, NULL::boolean AS hard
    UNION ALL
    SELECT b.tenant_id, b.subject, b.period, b.basis, b.amount, b.hard FROM tenantry.budget b
    WHERE b.tenant_id = t.tenant_id
  ) b
  CROSS JOIN LATERAL tenantry.budget_period(b.period, p_at, t.zone, t.anchor_day) s
  WHERE t.tenant_id = ANY (p_tenants)
  ON CONFLICT DO NOTHING;
END $$;

-- Moves the minute's windows of tenants on to the slot p_now.
CREATE FUNCTION tenantry.move_windows(p_now bigint, p_tenants text[]) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
  UPDATE tenantry.counter c
  SET latest_slot = p_now,
      requests_minute = tenantry.slots_sum(m.requests), request_slots = m.requests,
      tokens_minute = tenantry.slots_sum(m.tokens), token_slots = m.tokens
  FROM (
    SELECT x.tenant_id, tenantry.slots_at(x.request_slots, x.latest_slot, p_now) AS requests,
           tenantry.slots_at(x.token_slots, x.latest_slot, p_now) AS tokens
    FROM tenantry.counter x
    WHERE x.tenant_id = ANY (p_tenants) AND x.latest_slot < p_now
    OFFSET 0
  ) m
  WHERE c.tenant_id = m.tenant_id;
END $$;

-- Locks the tenants, in their order, so that no two batches can wait for each other in a ring;
-- a statement of its own, so that the next one's snapshot sees what the lock waited for. What time
-- has done to their counters is done on return.
CREATE FUNCTION tenantry.lock_tenants(p_tenants text[]) RETURNS timestamptz
LANGUAGE plpgsql AS $$
DECLARE
  at        timestamptz;
  next_roll timestamptz;
  oldest    bigint;
BEGIN
  SELECT min(least(l.day_end, l.period_end)), min(l.latest_slot) INTO next_roll, oldest FROM (
    SELECT c.day_end, c.period_end, c.latest_slot FROM tenantry.counter c
    WHERE c.tenant_id = ANY (p_tenants) ORDER BY c.tenant_id FOR NO KEY UPDATE
  ) l;
  at := clock_timestamp();
  IF next_roll <= at THEN
    PERFORM tenantry.roll_over(at, p_tenants);
  END IF;
  IF oldest < tenantry.slot_of(at) THEN
    PERFORM tenantry.move_windows(tenantry.slot_of(at), p_tenants);
  END IF;
  RETURN at;
END $$;

-- Whose budgets a request counts against; a NULL matches nothing.
CREATE FUNCTION tenantry.subjects(p_api_key_id text, p_user_hash text, p_run_id text)
RETURNS text[] LANGUAGE sql IMMUTABLE AS $$
  SELECT ARRAY['plan', 'tenant', 'api_key:' || p_api_key_id, 'user:' || p_user_hash,
               'run:' || p_run_id]
$$;

-- Balances and counters follow. A budget's row is found once, by key, and changed by place, for
-- several moves may concern it; the tenant's lock keeps it there. (It returns a number so that it can
-- be called by assignment: PERFORM would start an executor of its own.)
CREATE FUNCTION tenantry.apply_moves(p_moves tenantry.move[])
RETURNS integer LANGUAGE plpgsql AS $$
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

  UPDATE tenantry.counter c
  SET in_flight = c.in_flight - f.slots,
      token_slots = CASE WHEN f.tokens = 0 THEN c.token_slots ELSE
        tenantry.slots_back(c.token_slots, c.latest_slot, f.taken_in, f.amounts) END,
      tokens_minute = CASE WHEN f.tokens = 0 THEN c.tokens_minute ELSE tenantry.slots_sum(
        tenantry.slots_back(c.token_slots, c.latest_slot, f.taken_in, f.amounts)) END
  FROM (
    SELECT tenant_id, sum(slots)::bigint AS slots, sum(tokens) AS tokens,
           array_agg(tenantry.slot_of(admitted_at)) AS taken_in, array_agg(tokens) AS amounts
    FROM unnest(p_moves) GROUP BY tenant_id
  ) f
  WHERE c.tenant_id = f.tenant_id;
  RETURN cardinality(p_moves);
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

SET LOCAL ROLE tenantry_owner;
REVOKE CREATE ON SCHEMA tenantry FROM tenantry_gate;
