-- The gate's other doors: who asks, sweeping, posting from the log, budgets. Each is documented in
-- docs/reference/definer-functions.md, and a test holds that list against the catalogue.

GRANT CREATE ON SCHEMA tenantry TO tenantry_gate;
SET LOCAL ROLE tenantry_gate;

-- One API key with its tenant, plan in force and placement; by bearer or access key id, the other
-- NULL: by what its holder presents, and by no id that anybody could name. No row: the key is not
-- known. What is wrong with it, the caller judges by `at`.
CREATE FUNCTION tenantry.authenticate(p_bearer_hmac bytea, p_access_key_id text)
RETURNS TABLE (
  at timestamptz, tenant_id text, tenant_name text, status text, zone text, anchor_day integer,
  currency text, regions_allowed text[], plan text, plan_version integer, plan_definition jsonb,
  placement_id text, placement_kind text, placement_definition jsonb, api_key_id text,
  bearer_hmac bytea, access_key_id text, secret_sealed bytea, scopes text[], models_allowed text[],
  expires_at timestamptz, revoked_at timestamptz
) LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, tenantry, pg_temp AS $$
  SELECT clock_timestamp(), t.tenant_id, t.name, t.status, t.zone, t.anchor_day, t.currency,
         t.regions_allowed, p.name, p.version, p.definition, l.placement_id, l.kind,
         l.definition, k.api_key_id, k.bearer_hmac, k.access_key_id, k.secret_sealed, k.scopes,
         k.models_allowed, k.expires_at, k.revoked_at
  FROM (
    SELECT * FROM tenantry.api_key WHERE bearer_hmac = p_bearer_hmac
    UNION ALL
    SELECT * FROM tenantry.api_key WHERE access_key_id = p_access_key_id
  ) k
  JOIN tenantry.tenant t ON t.tenant_id = k.tenant_id
  JOIN tenantry.plan p ON p.name = t.plan AND p.superseded_at IS NULL
  -- A tenant without a placement of its own is in the pool; a silo is never anybody's default.
  LEFT JOIN LATERAL (
    SELECT * FROM tenantry.placement x
    WHERE x.placement_id = t.placement_id
       OR (t.placement_id IS NULL AND x.kind = 'pool' AND p.placement_kind = 'pool')
    ORDER BY x.placement_id LIMIT 1
  ) l ON true
$$;
COMMENT ON FUNCTION tenantry.authenticate IS
  'Crosses tenants because the key says which tenant asks; answers for the one key presented.';
GRANT EXECUTE ON FUNCTION tenantry.authenticate TO tenantry_app;

-- Whether a tenant and its key are good at this instant: for routes that pass no admission.
CREATE FUNCTION tenantry.check_active(p_tenant_id text, p_api_key_id text)
RETURNS TABLE (
  at timestamptz, status text, known boolean, expires_at timestamptz, revoked_at timestamptz
) LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, tenantry, pg_temp AS $$
  SELECT clock_timestamp(), t.status, k.api_key_id IS NOT NULL, k.expires_at, k.revoked_at
  FROM tenantry.tenant t
  LEFT JOIN tenantry.api_key k ON k.tenant_id = t.tenant_id AND k.api_key_id = p_api_key_id
  WHERE t.tenant_id = p_tenant_id
$$;
COMMENT ON FUNCTION tenantry.check_active IS
  'Reads keys, to which the data plane has no grant; answers with status and times alone.';
GRANT EXECUTE ON FUNCTION tenantry.check_active TO tenantry_app, tenantry_control;

-- What the ledger and the open requests say of one budget and period. It runs with the rights of
-- its caller: gate, control and operator read both books.
CREATE FUNCTION tenantry.budget_replay(
  p_tenant_id text, p_subject text, p_basis text, p_start timestamptz, p_end timestamptz,
  OUT settled numeric, OUT reserved numeric
) LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF p_basis = 'charge' THEN
    SELECT coalesce(sum(e.amount), 0) INTO settled FROM tenantry.charge_entry e
    WHERE e.tenant_id = p_tenant_id AND e.admitted_at >= p_start AND e.admitted_at < p_end
      AND p_subject = ANY (tenantry.subjects(e.api_key_id, e.user_hash, e.run_id));
  ELSE
    SELECT coalesce(sum(e.amount), 0) INTO settled FROM tenantry.cost_entry e
    WHERE e.tenant_id = p_tenant_id AND e.admitted_at >= p_start AND e.admitted_at < p_end
      AND p_subject = ANY (tenantry.subjects(e.api_key_id, e.user_hash, e.run_id));
  END IF;
  SELECT coalesce(sum(CASE p_basis WHEN 'charge' THEN o.held_charge ELSE o.held_cost END), 0)
  INTO reserved FROM tenantry.open_request o
  WHERE o.tenant_id = p_tenant_id AND o.admitted_at >= p_start AND o.admitted_at < p_end
    AND p_subject = ANY (tenantry.subjects(o.api_key_id, o.user_hash, o.run_id));
END $$;
GRANT EXECUTE ON FUNCTION tenantry.budget_replay TO tenantry_control, tenantry_operator;
GRANT EXECUTE ON FUNCTION tenantry.subjects TO tenantry_control, tenantry_operator;

-- Sets a budget. What the present period has spent already counts: its balance begins with what
-- the ledger and the open requests say, under the tenant's lock.
CREATE FUNCTION tenantry.set_budget(
  p_tenant_id text, p_subject text, p_period text, p_basis text, p_amount numeric, p_hard boolean
) RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, tenantry, pg_temp AS $$
DECLARE
  at constant timestamptz := tenantry.lock_tenants(ARRAY[p_tenant_id]);
BEGIN
  INSERT INTO tenantry.budget AS b (tenant_id, subject, period, basis, amount, hard)
  SELECT t.tenant_id, p_subject, p_period, p_basis, p_amount, p_hard
  FROM tenantry.tenant t WHERE t.tenant_id = p_tenant_id
  ON CONFLICT (tenant_id, subject, period, basis)
    DO UPDATE SET amount = excluded.amount, hard = excluded.hard, set_at = clock_timestamp();
  IF NOT FOUND THEN
    RETURN false;
  END IF;
  INSERT INTO tenantry.budget_use (tenant_id, subject, period, basis, period_start, period_end,
    amount, hard, settled, reserved)
  SELECT t.tenant_id, p_subject, p_period, p_basis, s.period_start, s.period_end,
         p_amount, p_hard, r.settled, r.reserved
  FROM tenantry.tenant t,
       tenantry.budget_period(p_period, at, t.zone, t.anchor_day) s,
       tenantry.budget_replay(t.tenant_id, p_subject, p_basis, s.period_start, s.period_end) r
  WHERE t.tenant_id = p_tenant_id
  ON CONFLICT (tenant_id, subject, period_end, period, basis)
    DO UPDATE SET amount = excluded.amount, hard = excluded.hard;
  RETURN true;
END $$;
COMMENT ON FUNCTION tenantry.set_budget IS
  'Writes balances, to which control has no grant; sets one budget of one tenant.';
GRANT EXECUTE ON FUNCTION tenantry.set_budget TO tenantry_control;

-- A tenant is born with its counter and the balance of its plan's budget.
CREATE FUNCTION tenantry.open_accounts() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, tenantry, pg_temp AS $$
DECLARE
  at constant timestamptz := clock_timestamp();
BEGIN
  INSERT INTO tenantry.counter (tenant_id, day, day_start, day_end, period_start, period_end)
  SELECT NEW.tenant_id, d.day, d.day_start, d.day_end, m.period_start, m.period_end
  FROM tenantry.civil_day(at, NEW.zone) d,
       tenantry.billing_period(at, NEW.zone, NEW.anchor_day) m;
  PERFORM tenantry.roll_over(at, ARRAY[NEW.tenant_id]);
  RETURN NULL;
END $$;
COMMENT ON FUNCTION tenantry.open_accounts IS
  'Writes balances, to which control has no grant; a trigger, for the tenant just created.';
GRANT EXECUTE ON FUNCTION tenantry.open_accounts TO tenantry_owner;

-- Posts outcomes that the invocation log or an operator brings, as a worker would have settled
-- them; returns by settlement whether anything was posted.
CREATE FUNCTION tenantry.post(p_outcomes tenantry.outcome_in[]) RETURNS boolean[]
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, tenantry, pg_temp
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
  at constant timestamptz := tenantry.lock_tenants(
    ARRAY(SELECT o.tenant_id FROM unnest(p_outcomes) o));
BEGIN
  IF cardinality(p_outcomes) = 0 THEN
    RETURN '{}';
  END IF;
  RETURN tenantry.gate_settle(at, p_outcomes);
END $$;
COMMENT ON FUNCTION tenantry.post IS
  'Crosses tenants because one log file holds the requests of many; posts each at most once.';
GRANT EXECUTE ON FUNCTION tenantry.post TO tenantry_control;

-- The outcome of an attempt that nothing is posted for.
CREATE FUNCTION tenantry.given_up(
  p_place integer, p_alone boolean, p_tenant_id text, p_request_id uuid, p_final boolean,
  p_call smallint, p_attempt smallint, p_ending text, p_charged boolean, p_error text
) RETURNS tenantry.outcome_in LANGUAGE sql IMMUTABLE AS $$
  SELECT (p_place, p_alone, p_tenant_id, p_request_id, p_final, p_call, p_attempt, p_ending,
    p_charged, 0, 0, 0, 'default', NULL, '{}', 0, '{}', NULL, p_error, '{}', '{}', '{}', '{}',
    '{}', '{}', '{}')::tenantry.outcome_in
$$;

-- Ends unknown attempts that began before an instant as our waste: nothing is charged, their hold
-- falls free, and what the log still brings becomes an adjustment. Returns what was written off.
CREATE FUNCTION tenantry.write_off(p_before timestamptz, p_max integer)
RETURNS TABLE (tenant_id text, request_id uuid, call smallint, attempt smallint)
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, tenantry, pg_temp
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
  old tenantry.outcome_in[];
BEGIN
  SELECT array_agg(tenantry.given_up(x.place::integer, x.alone, x.tenant_id, x.request_id, false,
           x.call, x.attempt, 'written_off', false, x.error) ORDER BY x.place)
  INTO old FROM (
    SELECT i.*, dense_rank() OVER (ORDER BY i.tenant_id, i.request_id) AS place,
           count(*) OVER (PARTITION BY i.tenant_id, i.request_id) = 1 AS alone
    FROM (
      SELECT * FROM tenantry.intent
      WHERE state = 'unknown' AND quarantined IS NULL AND began_at < p_before
      ORDER BY began_at LIMIT p_max
    ) i
  ) x;
  IF old IS NULL THEN
    RETURN;
  END IF;
  PERFORM tenantry.post(old);
  RETURN QUERY SELECT o.tenant_id, o.request_id, o.call, o.attempt FROM unnest(old) o;
END $$;
COMMENT ON FUNCTION tenantry.write_off IS
  'Crosses tenants because age decides; ends attempts that nobody can account for.';
GRANT EXECUTE ON FUNCTION tenantry.write_off TO tenantry_control;

-- Finds what dead workers and missed deadlines left behind. A worker holds the advisory lock of
-- its boot id for as long as it lives. `dispatched` becomes `unknown` and keeps its hold; the slot
-- falls free; a request with nothing open ends. Run again later: a dying worker's last batch can
-- commit after the first sweep. Returns how many attempts and requests it moved.
CREATE FUNCTION tenantry.sweep(p_max integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, tenantry, pg_temp
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
  dead      bigint[];
  abandoned tenantry.outcome_in[];
  at        timestamptz;
BEGIN
  WITH boots AS MATERIALIZED (
    SELECT DISTINCT o.boot_id FROM tenantry.open_request o WHERE NOT o.final
  )
  SELECT array_agg(boot_id) INTO dead FROM boots WHERE pg_try_advisory_xact_lock(boot_id);

  SELECT array_agg(tenantry.given_up(x.place::integer, x.alone, x.tenant_id, x.request_id, true,
           x.call, x.attempt, CASE x.state WHEN 'reserved' THEN 'released' ELSE 'unknown' END,
           true, 'worker gone or deadline passed') ORDER BY x.place)
  INTO abandoned FROM (
    SELECT o.tenant_id, o.request_id, i.call, i.attempt, i.state,
           count(*) OVER (PARTITION BY o.tenant_id, o.request_id) = 1 AS alone,
           dense_rank() OVER (ORDER BY o.admitted_at, o.tenant_id, o.request_id) AS place
    FROM tenantry.open_request o
    LEFT JOIN tenantry.intent i
      ON i.tenant_id = o.tenant_id AND i.request_id = o.request_id AND i.state <> 'unknown'
    WHERE (NOT o.final AND o.boot_id = ANY (dead)) OR i.deadline_at < clock_timestamp()
  ) x
  WHERE x.place <= p_max;
  IF abandoned IS NULL THEN
    RETURN 0;
  END IF;
  at := tenantry.lock_tenants(ARRAY(SELECT o.tenant_id FROM unnest(abandoned) o));
  PERFORM tenantry.gate_settle(at, abandoned);
  RETURN cardinality(abandoned);
END $$;
COMMENT ON FUNCTION tenantry.sweep IS
  'Crosses tenants because a dead worker served many; moves states, posts nothing.';
GRANT EXECUTE ON FUNCTION tenantry.sweep TO tenantry_control;

SET LOCAL ROLE tenantry_owner;
REVOKE CREATE ON SCHEMA tenantry FROM tenantry_gate;

CREATE TRIGGER open_accounts AFTER INSERT ON tenantry.tenant
  FOR EACH ROW EXECUTE FUNCTION tenantry.open_accounts();
