-- A budget's refusal says which limit refused and what was left of it, in its own currency: by the time
-- that somebody is told, the limit may be another, and its period over.

ALTER TYPE tenantry.verdict ADD ATTRIBUTE budget_limit numeric, ADD ATTRIBUTE left_of_limit numeric,
  ADD ATTRIBUTE budget_unit text, ADD ATTRIBUTE budget_rate numeric;

GRANT CREATE ON SCHEMA tenantry TO tenantry_gate;
SET LOCAL ROLE tenantry_gate;

-- As in 0008, with what refused. `budget_left` stays in USD, as what is reserved.
CREATE OR REPLACE FUNCTION tenantry.test_budgets(
  p_tested tenantry.tested[], p_taken tid[], p_reserved numeric[]
) RETURNS tenantry.verdict LANGUAGE plpgsql AS $$
DECLARE
  b       tenantry.tested;
  taken   numeric;
  room    numeric;
  verdict tenantry.verdict;
BEGIN
  FOREACH b IN ARRAY coalesce(p_tested, '{}') LOOP
    taken := coalesce(p_reserved[array_position(p_taken, b.place)], 0);
    room := b.room - taken;
    verdict.budget_left := least(verdict.budget_left, room);
    IF room < 0 AND b.hard IS NOT FALSE THEN
      verdict.code := 'budget';
      verdict.limit_name := b.name;
      verdict.resets_at := nullif(b.ends, 'infinity');
      verdict.budget_left := greatest(room + b.worst, 0);
      SELECT l.amount, greatest(l.amount - (u.settled + u.reserved + taken) * u.rate, 0),
             CASE u.basis WHEN 'charge' THEN tenantry.contract_currency(u.tenant_id)
                          ELSE 'USD' END, u.rate
      INTO verdict.budget_limit, verdict.left_of_limit, verdict.budget_unit, verdict.budget_rate
      FROM tenantry.budget_use u
      JOIN tenantry.tenant t ON t.tenant_id = u.tenant_id
      JOIN tenantry.plan p ON p.name = t.plan AND p.superseded_at IS NULL
      CROSS JOIN LATERAL (
        SELECT CASE u.subject WHEN 'plan' THEN p.monthly_budget ELSE u.amount END AS amount) l
      WHERE u.ctid = b.place;
      EXIT;
    END IF;
  END LOOP;
  RETURN verdict;
END $$;

-- As in 0008, with nothing of that for who is admitted.
CREATE OR REPLACE FUNCTION tenantry.gate_admit(
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
        CASE WHEN least_room < 0 THEN 0 ELSE least_room END,
        NULL, NULL, NULL, NULL)::tenantry.verdict;
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

SET LOCAL ROLE tenantry_owner;
REVOKE CREATE ON SCHEMA tenantry FROM tenantry_gate;
