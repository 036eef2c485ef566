-- Corrections that follow each other. The key of an entry has room for one reversal and one adjustment
-- of an attempt; each further correction has its number in the kind (`reversal.2`, `adjustment.2`). It
-- takes back what stands by then, the sum of all postings of the attempt, and posts it anew.

-- Not held against the rows of before, which would scan both books: those are allowed still.
ALTER DOMAIN tenantry.entry_kind DROP CONSTRAINT entry_kind_check;
ALTER DOMAIN tenantry.entry_kind ADD CONSTRAINT entry_kind_check CHECK (
  VALUE IN ('usage', 'adjustment', 'reversal')
  OR VALUE ~ '^(adjustment|reversal)\.([2-9]|[1-9][0-9]{1,7})$') NOT VALID;

GRANT CREATE ON SCHEMA tenantry TO tenantry_gate;
SET LOCAL ROLE tenantry_gate;

-- Which posting after the first one a kind is: 0 is `usage`, 1 what has no number.
CREATE FUNCTION tenantry.step_of(p_kind text) RETURNS integer LANGUAGE sql IMMUTABLE AS $$
  SELECT CASE p_kind WHEN 'usage' THEN 0
    ELSE coalesce(nullif(split_part(p_kind, '.', 2), '')::integer, 1) END
$$;
GRANT EXECUTE ON FUNCTION tenantry.step_of TO tenantry_control, tenantry_operator;

CREATE FUNCTION tenantry.kind_at(p_name text, p_step integer) RETURNS text
LANGUAGE sql IMMUTABLE AS $$
  SELECT CASE p_step WHEN 1 THEN p_name ELSE p_name || '.' || p_step END
$$;

-- What an attempt comes to by all that was posted for it: the last posting of each book that is no
-- reversal, with the lines that are left of the sum. A book in which nothing stands has no lines.
-- `step`: that of the last posting, in either book; NULL: the attempt has not ended.
-- It is asked attempt by attempt: planned once, and by index, whatever the statistics say.
CREATE FUNCTION tenantry.standing(
  p_tenant_id text, p_admitted_at timestamptz, p_request_id uuid, p_call smallint,
  p_attempt smallint,
  OUT step integer, OUT cost tenantry.cost_entry, OUT charge tenantry.charge_entry
) LANGUAGE plpgsql STABLE
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off AS $$
BEGIN
  SELECT x.* INTO cost FROM tenantry.cost_entry x
  WHERE x.tenant_id = p_tenant_id AND x.admitted_at = p_admitted_at
    AND x.request_id = p_request_id AND x.call = p_call AND x.attempt = p_attempt
    AND x.kind NOT LIKE 'reversal%'
  ORDER BY tenantry.step_of(x.kind) DESC LIMIT 1;
  SELECT x.* INTO charge FROM tenantry.charge_entry x
  WHERE x.tenant_id = cost.tenant_id AND x.admitted_at = cost.admitted_at
    AND x.request_id = cost.request_id AND x.call = cost.call AND x.attempt = cost.attempt
    AND x.kind NOT LIKE 'reversal%'
  ORDER BY tenantry.step_of(x.kind) DESC LIMIT 1;

  SELECT max(tenantry.step_of(k.kind)) INTO step FROM (
    SELECT x.kind FROM tenantry.cost_entry x
    WHERE x.tenant_id = cost.tenant_id AND x.admitted_at = cost.admitted_at
      AND x.request_id = cost.request_id AND x.call = cost.call AND x.attempt = cost.attempt
    UNION ALL
    SELECT x.kind FROM tenantry.charge_entry x
    WHERE x.tenant_id = cost.tenant_id AND x.admitted_at = cost.admitted_at
      AND x.request_id = cost.request_id AND x.call = cost.call AND x.attempt = cost.attempt
  ) k;

  SELECT coalesce(array_agg(l.token_class ORDER BY l.place, l.token_class), '{}'),
         coalesce(array_agg(l.quantity ORDER BY l.place, l.token_class), '{}'),
         coalesce(array_agg(l.unit_price ORDER BY l.place, l.token_class), '{}'),
         coalesce(array_agg(l.amount ORDER BY l.place, l.token_class), '{}'),
         coalesce(sum(l.amount), 0)
  INTO cost.token_classes, cost.quantities, cost.unit_prices, cost.amounts, cost.amount
  FROM (
    SELECT l.token_class, l.unit_price, sum(l.quantity)::bigint AS quantity,
           sum(l.amount) AS amount, min(l.place) AS place
    FROM tenantry.cost_entry x
    CROSS JOIN LATERAL unnest(x.token_classes, x.quantities, x.unit_prices, x.amounts)
      WITH ORDINALITY AS l (token_class, quantity, unit_price, amount, place)
    WHERE x.tenant_id = cost.tenant_id AND x.admitted_at = cost.admitted_at
      AND x.request_id = cost.request_id AND x.call = cost.call AND x.attempt = cost.attempt
    GROUP BY l.token_class, l.unit_price HAVING sum(l.quantity) <> 0 OR sum(l.amount) <> 0
  ) l;
  SELECT coalesce(array_agg(l.token_class ORDER BY l.place, l.token_class), '{}'),
         coalesce(array_agg(l.quantity ORDER BY l.place, l.token_class), '{}'),
         coalesce(array_agg(l.unit_price ORDER BY l.place, l.token_class), '{}'),
         coalesce(array_agg(l.amount ORDER BY l.place, l.token_class), '{}'),
         coalesce(sum(l.amount), 0)
  INTO charge.token_classes, charge.quantities, charge.unit_prices, charge.amounts, charge.amount
  FROM (
    SELECT l.token_class, l.unit_price, sum(l.quantity)::bigint AS quantity,
           sum(l.amount) AS amount, min(l.place) AS place
    FROM tenantry.charge_entry x
    CROSS JOIN LATERAL unnest(x.token_classes, x.quantities, x.unit_prices, x.amounts)
      WITH ORDINALITY AS l (token_class, quantity, unit_price, amount, place)
    WHERE x.tenant_id = cost.tenant_id AND x.admitted_at = cost.admitted_at
      AND x.request_id = cost.request_id AND x.call = cost.call AND x.attempt = cost.attempt
    GROUP BY l.token_class, l.unit_price HAVING sum(l.quantity) <> 0 OR sum(l.amount) <> 0
  ) l;
END $$;
GRANT EXECUTE ON FUNCTION tenantry.standing TO tenantry_control;

-- Takes back what stands in the provider's book, and posts it at other prices. Returns by how much it
-- moved.
CREATE FUNCTION tenantry.correct_cost(
  p_at timestamptz, p_stands tenantry.cost_entry, p_step integer, p_price_version integer,
  p_unit_prices numeric[], p_amounts numeric[]
) RETURNS numeric LANGUAGE plpgsql AS $$
DECLARE
  e   tenantry.cost_entry := p_stands;
  new constant numeric := (SELECT coalesce(sum(a), 0) FROM unnest(p_amounts) a);
BEGIN
  e.posted_at := p_at;
  e.flags := array_remove(e.flags, 'corrected') || '{corrected}';
  e.kind := tenantry.kind_at('reversal', p_step);
  e.amount := -e.amount;
  e.quantities := ARRAY(SELECT -x.n FROM unnest(e.quantities) WITH ORDINALITY x (n, at) ORDER BY at);
  e.amounts := ARRAY(SELECT -x.n FROM unnest(e.amounts) WITH ORDINALITY x (n, at) ORDER BY at);
  INSERT INTO tenantry.cost_entry VALUES (e.*);
  e.kind := tenantry.kind_at('adjustment', p_step);
  e.amount := new;
  e.price_version := p_price_version;
  e.quantities := p_stands.quantities;
  e.unit_prices := p_unit_prices;
  e.amounts := p_amounts;
  INSERT INTO tenantry.cost_entry VALUES (e.*);
  RETURN new - p_stands.amount;
END $$;

-- The same in the customer's book, where there is anything to take back.
CREATE FUNCTION tenantry.correct_charge(
  p_at timestamptz, p_stands tenantry.charge_entry, p_step integer, p_price_version integer,
  p_unit_prices numeric[], p_amounts numeric[]
) RETURNS numeric LANGUAGE plpgsql AS $$
DECLARE
  e   tenantry.charge_entry := p_stands;
  new constant numeric := (SELECT coalesce(sum(a), 0) FROM unnest(p_amounts) a);
BEGIN
  IF e.token_classes = '{}' THEN
    RETURN 0;
  END IF;
  e.posted_at := p_at;
  e.flags := array_remove(e.flags, 'corrected') || '{corrected}';
  e.kind := tenantry.kind_at('reversal', p_step);
  e.amount := -e.amount;
  e.quantities := ARRAY(SELECT -x.n FROM unnest(e.quantities) WITH ORDINALITY x (n, at) ORDER BY at);
  e.amounts := ARRAY(SELECT -x.n FROM unnest(e.amounts) WITH ORDINALITY x (n, at) ORDER BY at);
  INSERT INTO tenantry.charge_entry VALUES (e.*);
  e.kind := tenantry.kind_at('adjustment', p_step);
  e.amount := new;
  e.price_version := p_price_version;
  e.quantities := p_stands.quantities;
  e.unit_prices := p_unit_prices;
  e.amounts := p_amounts;
  INSERT INTO tenantry.charge_entry VALUES (e.*);
  RETURN new - p_stands.amount;
END $$;

-- Posts, for each attempt that is named, a reversal of what stands and an adjustment at other prices.
-- A fix names the step that it was made after: where anything was posted since, by another correction
-- or by this one, it is passed over. Returns the places, from 1, of those that were posted. Balances
-- of budgets move by the differences, which their replay comes to as well.
DROP FUNCTION tenantry.correct(text, jsonb);
CREATE FUNCTION tenantry.correct(p_tenant_id text, p_fixes jsonb) RETURNS integer[]
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, tenantry, pg_temp AS $$
DECLARE
  at     constant timestamptz := tenantry.lock_tenants(ARRAY[p_tenant_id]);
  f      record;
  s      record;
  c      tenantry.cost_entry;
  h      tenantry.charge_entry;
  cost   numeric;
  charge numeric;
  moves  tenantry.move[] := '{}';
  moved  integer;
  posted integer[] := '{}';
BEGIN
  FOR f IN
    SELECT x.place::integer AS place, y.*
    FROM jsonb_array_elements(p_fixes) WITH ORDINALITY AS x (fix, place)
    CROSS JOIN LATERAL jsonb_to_record(x.fix) AS y (
      request_id uuid, admitted_at timestamptz, call smallint, attempt smallint, step integer,
      price_version integer, unit_costs numeric[], costs numeric[], unit_prices numeric[],
      charges numeric[])
    ORDER BY x.place
  LOOP
    SELECT * INTO s FROM tenantry.standing(
      p_tenant_id, f.admitted_at, f.request_id, f.call, f.attempt);
    CONTINUE WHEN (s.step = f.step) IS NOT TRUE;
    c := s.cost;
    h := s.charge;
    CONTINUE WHEN c.token_classes = '{}';
    cost := tenantry.correct_cost(
      at, c, f.step + 1, f.price_version, f.unit_costs, f.costs);
    charge := tenantry.correct_charge(
      at, h, f.step + 1, f.price_version, f.unit_prices, f.charges);
    moves := moves || (c.tenant_id, tenantry.subjects(c.api_key_id, c.user_hash, c.run_id),
      c.admitted_at, charge, cost, 0, 0, 0, 0)::tenantry.move;
    posted := posted || f.place;
  END LOOP;
  moved := tenantry.apply_moves(moves);
  RETURN posted;
END $$;
COMMENT ON FUNCTION tenantry.correct IS
  'Writes both books, which control may only read; corrects attempts of one tenant.';
GRANT EXECUTE ON FUNCTION tenantry.correct TO tenantry_control;

-- As in 0007, of what stands: a charge that was corrected before this was heard is taken back, too.
CREATE OR REPLACE FUNCTION tenantry.reverse_charge(
  p_at timestamptz, p_cost tenantry.cost_entry
) RETURNS tenantry.move LANGUAGE plpgsql AS $$
DECLARE
  s record;
  e tenantry.charge_entry;
BEGIN
  SELECT * INTO s FROM tenantry.standing(
    p_cost.tenant_id, p_cost.admitted_at, p_cost.request_id, p_cost.call, p_cost.attempt);
  e := s.charge;
  IF e.token_classes = '{}' THEN
    RETURN NULL;
  END IF;
  e.kind := tenantry.kind_at('reversal', s.step + 1);
  e.amount := -e.amount;
  e.quantities := ARRAY(SELECT -x.n FROM unnest(e.quantities) WITH ORDINALITY x (n, at) ORDER BY at);
  e.amounts := ARRAY(SELECT -x.n FROM unnest(e.amounts) WITH ORDINALITY x (n, at) ORDER BY at);
  e.posted_at := p_at;
  e.flags := e.flags || '{undelivered}';
  INSERT INTO tenantry.charge_entry VALUES (e.*);
  RETURN (e.tenant_id, tenantry.subjects(e.api_key_id, e.user_hash, e.run_id), e.admitted_at,
    e.amount, 0, 0, 0, 0, 0)::tenantry.move;
END $$;

SET LOCAL ROLE tenantry_owner;
REVOKE CREATE ON SCHEMA tenantry FROM tenantry_gate;
