-- Limits of budgets in charge are in the contract's currency. List charges stay in USD, as provider
-- prices are; a balance knows the rate of its period, the one that its invoice will use: the latest
-- dated on or before the first day. So a period has one rate, however many are entered meanwhile.

ALTER TABLE tenantry.budget_use ADD COLUMN rate numeric DEFAULT 1;
COMMENT ON COLUMN tenantry.budget_use.rate IS
  'What 1 USD is in the limit''s currency; NULL: no rate is known, and the limit leaves nothing.';

GRANT CREATE ON SCHEMA tenantry TO tenantry_gate;
SET LOCAL ROLE tenantry_gate;

-- In which currency a tenant's invoices are, and its limits in charge.
CREATE FUNCTION tenantry.contract_currency(p_tenant_id text) RETURNS text LANGUAGE sql STABLE AS $$
  SELECT coalesce((SELECT c.currency FROM tenantry.contract c WHERE c.tenant_id = p_tenant_id
                   ORDER BY c.version DESC LIMIT 1), 'USD')
$$;
GRANT EXECUTE ON FUNCTION tenantry.contract_currency
  TO tenantry_app, tenantry_control, tenantry_operator;

-- The rate of a tenant's charges on a civil day. A limit is no invoice: where the first rate of a
-- currency is later than the day, it is taken rather than none.
CREATE FUNCTION tenantry.charge_rate(p_tenant_id text, p_day date) RETURNS numeric
LANGUAGE sql STABLE AS $$
  SELECT CASE c.currency WHEN 'USD' THEN 1 ELSE coalesce(
    (SELECT r.rate FROM tenantry.exchange_rate r
     WHERE r.base = 'USD' AND r.quote = c.currency AND r.day <= p_day ORDER BY r.day DESC LIMIT 1),
    (SELECT r.rate FROM tenantry.exchange_rate r
     WHERE r.base = 'USD' AND r.quote = c.currency ORDER BY r.day LIMIT 1)) END
  FROM tenantry.contract_currency(p_tenant_id) AS c (currency)
$$;

-- The rate of a balance: that of its first day; without a beginning, that of the day it is opened.
CREATE FUNCTION tenantry.balance_rate(
  p_tenant_id text, p_basis text, p_period_start timestamptz, p_at timestamptz, p_zone text
) RETURNS numeric LANGUAGE sql STABLE AS $$
  SELECT CASE WHEN p_basis <> 'charge' THEN 1 ELSE tenantry.charge_rate(p_tenant_id,
    (CASE WHEN isfinite(p_period_start) THEN p_period_start ELSE p_at END
      AT TIME ZONE p_zone)::date) END
$$;

-- A limit in USD, never more than it is: what is left of the last digit is cut off.
CREATE FUNCTION tenantry.limit_in_usd(p_amount numeric, p_rate numeric) RETURNS numeric
LANGUAGE sql IMMUTABLE AS $$
  SELECT CASE WHEN p_rate = 1 THEN p_amount WHEN p_amount IS NULL THEN NULL
              ELSE coalesce(trunc(p_amount / p_rate, 15), 0) END
$$;
GRANT EXECUTE ON FUNCTION tenantry.limit_in_usd
  TO tenantry_app, tenantry_control, tenantry_operator;

-- As in 0006, with the rate.
CREATE OR REPLACE FUNCTION tenantry.roll_over(p_at timestamptz, p_tenants text[]) RETURNS void
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
    (tenant_id, subject, period, basis, period_start, period_end, amount, hard, rate)
  SELECT b.tenant_id, b.subject, b.period, b.basis, s.period_start, s.period_end, b.amount,
         b.hard, tenantry.balance_rate(b.tenant_id, b.basis, s.period_start, p_at, t.zone)
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

-- As in 0009, with the rate.
CREATE OR REPLACE FUNCTION tenantry.set_budget(
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
    amount, hard, settled, reserved, rate)
  SELECT t.tenant_id, p_subject, p_period, p_basis, s.period_start, s.period_end,
         p_amount, p_hard, r.settled, r.reserved,
         tenantry.balance_rate(t.tenant_id, p_basis, s.period_start, at, t.zone)
  FROM tenantry.tenant t,
       tenantry.budget_period(p_period, at, t.zone, t.anchor_day) s,
       tenantry.budget_replay(t.tenant_id, p_subject, p_basis, s.period_start, s.period_end) r
  WHERE t.tenant_id = p_tenant_id
  ON CONFLICT (tenant_id, subject, period_end, period, basis)
    DO UPDATE SET amount = excluded.amount, hard = excluded.hard;
  RETURN true;
END $$;

-- As in 0006, with the limit in USD.
CREATE OR REPLACE FUNCTION tenantry.passes_limit(
  p_tenant_id text, p_subjects text[], p_admitted_at timestamptz, p_charge numeric, p_cost numeric
) RETURNS boolean LANGUAGE sql STABLE AS $$
  SELECT EXISTS (
    SELECT FROM tenantry.budget_use u
    JOIN tenantry.tenant t ON t.tenant_id = u.tenant_id
    JOIN tenantry.plan p ON p.name = t.plan AND p.superseded_at IS NULL
    WHERE u.tenant_id = p_tenant_id AND u.subject = ANY (p_subjects)
      AND u.period_end > p_admitted_at AND u.period_start <= p_admitted_at
      AND u.settled + u.reserved + CASE u.basis WHEN 'charge' THEN p_charge ELSE p_cost END
        > tenantry.limit_in_usd(
            CASE u.subject WHEN 'plan' THEN p.monthly_budget ELSE u.amount END, u.rate)
  )
$$;

-- The balances of tenants that run at p_at, at the rates that are known now.
CREATE FUNCTION tenantry.convert_budgets(p_tenants text[]) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  at constant timestamptz := tenantry.lock_tenants(p_tenants);
BEGIN
  UPDATE tenantry.budget_use u SET rate = n.rate
  FROM (
    SELECT x.tenant_id, x.ctid AS place, tenantry.balance_rate(
             x.tenant_id, x.basis, x.period_start, coalesce(b.set_at, at), t.zone) AS rate
    FROM tenantry.budget_use x
    JOIN tenantry.tenant t ON t.tenant_id = x.tenant_id
    LEFT JOIN tenantry.budget b
      ON b.tenant_id = x.tenant_id AND b.subject = x.subject AND b.period = x.period
     AND b.basis = x.basis
    WHERE x.tenant_id = ANY (p_tenants) AND x.period_end > at
  ) n
  WHERE u.ctid = n.place AND u.tenant_id = n.tenant_id AND u.rate IS DISTINCT FROM n.rate;
END $$;

-- A rate may be entered after its day has begun, and a contract may be the first in its currency.
CREATE FUNCTION tenantry.convert_at_rate() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, tenantry, pg_temp AS $$
BEGIN
  PERFORM tenantry.convert_budgets(ARRAY(
    SELECT DISTINCT c.tenant_id FROM tenantry.contract c WHERE c.currency = NEW.quote));
  RETURN NULL;
END $$;
COMMENT ON FUNCTION tenantry.convert_at_rate IS
  'Writes balances, to which control has no grant; a trigger, for tenants of a rate''s currency.';
CREATE FUNCTION tenantry.convert_by_contract() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, tenantry, pg_temp AS $$
BEGIN
  PERFORM tenantry.convert_budgets(ARRAY[NEW.tenant_id]);
  RETURN NULL;
END $$;
COMMENT ON FUNCTION tenantry.convert_by_contract IS
  'Writes balances, to which control has no grant; a trigger, for the tenant of a new contract.';
GRANT EXECUTE ON FUNCTION tenantry.convert_at_rate, tenantry.convert_by_contract
  TO tenantry_owner;

-- As in 0008, with limits in USD.
CREATE OR REPLACE FUNCTION tenantry.admission_facts(
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
                       WHEN u.rate = 1 THEN u.amount - u.settled - u.reserved - u.worst
                       ELSE tenantry.limit_in_usd(u.amount, u.rate)
                         - u.settled - u.reserved - u.worst END AS room
      FROM (
        SELECT u.ctid AS place, u.subject, u.period, u.basis, u.settled, u.reserved, u.rate,
               u.period_end,
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

SELECT tenantry.convert_budgets(ARRAY(SELECT DISTINCT c.tenant_id FROM tenantry.contract c));

SET LOCAL ROLE tenantry_owner;
REVOKE CREATE ON SCHEMA tenantry FROM tenantry_gate;

CREATE TRIGGER convert_at_rate AFTER INSERT ON tenantry.exchange_rate
  FOR EACH ROW EXECUTE FUNCTION tenantry.convert_at_rate();
CREATE TRIGGER convert_by_contract AFTER INSERT ON tenantry.contract
  FOR EACH ROW EXECUTE FUNCTION tenantry.convert_by_contract();

-- The plan's budget and all that were set, with what is settled and reserved of the running period,
-- in the limit's currency. A period whose first request is yet to come has no balance yet.
CREATE VIEW tenantry.budget_now WITH (security_invoker = true) AS
SELECT t.tenant_id, b.subject, b.period, b.basis, b.amount, b.hard, b.set_by,
       u.settled * u.rate AS settled, u.reserved * u.rate AS reserved, t.zone, t.anchor_day,
       tenantry.contract_currency(t.tenant_id) AS currency, clock_timestamp() AS at
FROM tenantry.tenant t
JOIN tenantry.plan p ON p.name = t.plan AND p.superseded_at IS NULL
CROSS JOIN LATERAL (
  SELECT 'plan' COLLATE "C" AS subject, 'month' AS period, 'charge' AS basis,
         p.monthly_budget AS amount, p.budget_hard AS hard, 'plan' AS set_by
  WHERE p.monthly_budget IS NOT NULL
  UNION ALL
  SELECT b.subject, b.period, b.basis, b.amount, b.hard, b.set_by FROM tenantry.budget b
  WHERE b.tenant_id = t.tenant_id
) b
LEFT JOIN tenantry.budget_use u
  ON u.tenant_id = t.tenant_id AND u.subject = b.subject AND u.period = b.period
 AND u.basis = b.basis AND u.period_start <= clock_timestamp()
 AND u.period_end > clock_timestamp();
COMMENT ON VIEW tenantry.budget_now IS 'Budgets and what is left of them, as they are told.';
GRANT SELECT ON tenantry.budget_now TO tenantry_app, tenantry_control;
