-- The worker's and the operator's side of the ledger, across tenants: as tenantry_control where it
-- acts, as tenantry_operator where it only reads.

-- name: sweep
SELECT tenantry.sweep($1);

-- name: post
SELECT tenantry.post($1);

-- name: write_off
SELECT tenant_id, request_id, call, attempt FROM tenantry.write_off($1, $2)
ORDER BY tenant_id, request_id, call, attempt;

-- name: give_up
-- Of account $1; NULL: of all.
SELECT tenant_id, request_id, call, attempt FROM tenantry.give_up($1, $2, $3)
ORDER BY tenant_id, request_id, call, attempt;

-- name: give_up_request
SELECT tenant_id, request_id, call, attempt FROM tenantry.give_up_request($1, $2, $3)
ORDER BY tenant_id, request_id, call, attempt;

-- name: forget_readings
-- What is gone stays gone, of a time before all attempts: it is not waited for again, whoever still has
-- it open. At most $2 of an account and region are remembered so, the last ones that were said.
UPDATE tenantry.log_reading r
SET logs = '{}', read_at = NULL, told_from = NULL, told_to = NULL, away_since = NULL, problem = '',
    gone = (
      SELECT coalesce(jsonb_object_agg(g.key, '1970-01-01T00:00:00+00:00'), '{}')
      FROM (SELECT key FROM jsonb_each_text(r.gone)
            ORDER BY value = '1970-01-01T00:00:00+00:00', key LIMIT $2::integer) g)
WHERE $1::text IS NULL OR account = $1;

-- name: open_attempts
-- The oldest unknown attempts, at most $1.
SELECT i.tenant_id, i.request_id, i.call, i.attempt, i.operation, i.model, i.price_key,
       r.price_version, r.plan, r.plan_version, p.definition - 'preamble' AS definition,
       r.admitted_at, i.pinned, i.estimate, i.account, i.region, i.quarantined,
       i.charged AND NOT EXISTS (
         SELECT FROM tenantry.cost_entry a
         WHERE a.tenant_id = i.tenant_id AND a.request_id = i.request_id AND a.call = i.call
           AND a.admitted_at = r.admitted_at AND a.charged) AS charged
FROM tenantry.intent i
JOIN tenantry.open_request r ON r.tenant_id = i.tenant_id AND r.request_id = i.request_id
JOIN tenantry.plan p ON p.name = r.plan AND p.version = r.plan_version
WHERE i.state = 'unknown'
ORDER BY i.began_at LIMIT $1;

-- name: find_open
-- Of the attempts ($1, $2, $3, $4), those that want what a log says: the unknown ones, and those that
-- were released or written off, for which it becomes an adjustment and our waste.
SELECT x.*, p.definition - 'preamble' AS definition
FROM (
  SELECT i.tenant_id, i.request_id, i.call, i.attempt, i.operation, i.model, i.price_key,
         r.price_version, r.plan, r.plan_version, r.admitted_at, i.pinned, i.estimate, i.account,
         i.region, i.quarantined, i.charged AND NOT EXISTS (
           SELECT FROM tenantry.cost_entry a
           WHERE a.tenant_id = i.tenant_id AND a.request_id = i.request_id AND a.call = i.call
             AND a.admitted_at = r.admitted_at AND a.charged) AS charged
  FROM unnest($1::text[], $2::uuid[], $3::smallint[], $4::smallint[])
    AS k (tenant_id, request_id, call, attempt)
  JOIN tenantry.intent i
    ON i.tenant_id = k.tenant_id AND i.request_id = k.request_id
   AND i.call = k.call AND i.attempt = k.attempt
  JOIN tenantry.open_request r ON r.tenant_id = i.tenant_id AND r.request_id = i.request_id
  WHERE i.state = 'unknown'
  UNION ALL
  SELECT a.tenant_id, a.request_id, a.call, a.attempt, a.operation, a.model, a.price_key,
         a.price_version, a.plan, a.plan_version, a.admitted_at,
         coalesce((SELECT jsonb_build_object('family', m.definition ->> 'family')
                   FROM tenantry.model m WHERE m.model_id = a.model), '{}')
           || coalesce(a.raw -> 'pinned', '{}'), '{}', a.account,
         a.region, NULL, false
  FROM unnest($1::text[], $2::uuid[], $3::smallint[], $4::smallint[])
    AS k (tenant_id, request_id, call, attempt)
  JOIN tenantry.attempt a
    ON a.tenant_id = k.tenant_id AND a.request_id = k.request_id
   AND a.call = k.call AND a.attempt = k.attempt
  WHERE a.ending IN ('released', 'written_off') AND NOT EXISTS (
    SELECT FROM tenantry.cost_entry j
    WHERE j.tenant_id = a.tenant_id AND j.request_id = a.request_id AND j.call = a.call
      AND j.attempt = a.attempt AND j.kind = 'adjustment' AND j.admitted_at = a.admitted_at)
) x
JOIN tenantry.plan p ON p.name = x.plan AND p.version = x.plan_version;

-- name: under_way
SELECT i.tenant_id, i.request_id, i.call, i.attempt
FROM unnest($1::text[], $2::uuid[], $3::smallint[], $4::smallint[])
    AS k (tenant_id, request_id, call, attempt)
JOIN tenantry.intent i
  ON i.tenant_id = k.tenant_id AND i.request_id = k.request_id
   AND i.call = k.call AND i.attempt = k.attempt
WHERE i.state <> 'unknown';

-- name: provider_usage
SELECT request_id, call, attempt, jsonb_object_agg(token_class, quantity) AS quantities
FROM (
  SELECT request_id, call, attempt, token_class, sum(quantity)::bigint AS quantity
  FROM tenantry.provider_ledger GROUP BY request_id, call, attempt, token_class
) x
GROUP BY request_id, call, attempt ORDER BY request_id, call, attempt;

-- name: booked
-- Attempts admitted in [$1, $2), ended or open, each with what was posted for it: a row a posting, in
-- the order of their keys, the end of an attempt before what came later, each correction after the one
-- before. What was written off was asked for at the tier that was pinned.
SELECT tenant_id, request_id, call, attempt, kind, ending AS state, model, price_key,
       price_version,
       CASE ending WHEN 'written_off' THEN coalesce(raw -> 'pinned' ->> 'tier', service_tier)
         ELSE service_tier END AS service_tier,
       admitted_at, posted_at AS last_at, upstream_request_id, error AS note, token_classes,
       quantities, amount, tenantry.step_of(kind) AS step
FROM tenantry.cost_entry
WHERE admitted_at >= $1 AND admitted_at < $2
UNION ALL
SELECT i.tenant_id, i.request_id, i.call, i.attempt, 'usage', i.state, i.model, i.price_key,
       r.price_version, coalesce(i.pinned ->> 'tier', 'default'), r.admitted_at, i.began_at,
       NULL, coalesce(i.quarantined, i.error), NULL, NULL, NULL, 0
FROM tenantry.intent i
JOIN tenantry.open_request r ON r.tenant_id = i.tenant_id AND r.request_id = i.request_id
WHERE r.admitted_at >= $1 AND r.admitted_at < $2
ORDER BY tenant_id, request_id, call, attempt, step, kind DESC;

-- name: inference_profiles
SELECT p.key AS arn, p.value AS model
FROM tenantry.placement, jsonb_each_text(definition -> 'inference_profiles') p;

-- name: log_locations
-- Where the invocation logs of accounts and regions are delivered: each bucket that placements name,
-- in its placement's region, which Bedrock asks for.
SELECT DISTINCT definition ->> 'account' AS account, definition ->> 'region' AS region,
       definition ->> 'invocation_log' AS url
FROM tenantry.placement
WHERE definition ->> 'invocation_log' IS NOT NULL
ORDER BY account, region, url;

-- name: name_settings
-- Before 0053 the deployment's own bucket was named without its address: it is the one of now, $1.
UPDATE tenantry.log_reading
SET logs = array_replace(logs, 'settings', $1::text), gone = gone - 'settings'
WHERE 'settings' = ANY (logs) OR gone ? 'settings';

-- name: note_gone
-- $1: the names of all logs that are set up. Since when one that was read is not, is noted once, and
-- holds until it is set up again.
UPDATE tenantry.log_reading r
SET gone = (r.gone - $1::text[]) || (
  SELECT coalesce(jsonb_object_agg(name, clock_timestamp()), '{}')
  FROM unnest(r.logs) name WHERE name <> ALL ($1) AND NOT r.gone ? name)
WHERE r.gone ?| $1 OR EXISTS (
  SELECT FROM unnest(r.logs) name WHERE name <> ALL ($1) AND NOT r.gone ? name);

-- name: drop_gone
-- What nothing can be told of in any more: it is in no reading, for a day nothing began that may be
-- logged there, nothing from before is open, and it was not an operator's word.
UPDATE tenantry.log_reading r
SET gone = r.gone - ARRAY(
  SELECT g.key FROM jsonb_each_text(r.gone) g
  WHERE g.key <> ALL (r.logs) AND g.value <> '1970-01-01T00:00:00+00:00'
    AND g.value::timestamptz + $1::interval < clock_timestamp() - interval '1 day'
    AND NOT EXISTS (
      SELECT FROM tenantry.intent i
      WHERE i.account = r.account AND i.region = r.region
        AND i.began_at <= g.value::timestamptz + $1::interval))
WHERE EXISTS (
  SELECT FROM jsonb_each_text(r.gone) g
  WHERE g.key <> ALL (r.logs) AND g.value <> '1970-01-01T00:00:00+00:00'
    AND g.value::timestamptz + $1::interval < clock_timestamp() - interval '1 day');

-- name: former_logs
-- The logs that are gone, where attempts are open that began no later than $1 after that: of each
-- account and region, for they may be told of there.
SELECT DISTINCT g.key AS name
FROM tenantry.log_reading r
CROSS JOIN LATERAL jsonb_each_text(r.gone) g
WHERE EXISTS (
  SELECT FROM tenantry.intent i
  WHERE i.account = r.account AND i.region = r.region AND i.quarantined IS NULL
    AND i.began_at <= g.value::timestamptz + $1::interval)
ORDER BY name;

-- name: violations
-- The invariants of the ledger, in one snapshot. $1: how long an unknown attempt may be held. $2: how
-- much later than its deadline the sweep may find an attempt, in seconds. $3: how long a batch job may
-- stay as it is, whose records wait no less.
SELECT 'transaction_sums_to_zero' AS invariant,
       format('%s %s %s/%s:%s %s %s', tenant_id, request_id, call, attempt, kind, book,
              sum(amount)) AS detail
FROM tenantry.ledger_entries
GROUP BY tenant_id, request_id, call, attempt, kind, book, currency
HAVING sum(amount) <> 0
UNION ALL
SELECT 'nothing_past_its_deadline',
       format('%s %s/%s:%s %s', tenant_id, request_id, call, attempt, state)
FROM tenantry.intent
WHERE state <> 'unknown' AND deadline_at < clock_timestamp() - $2::integer * interval '1 second'
UNION ALL
SELECT 'no_unknown_past_its_hold',
       format('%s %s/%s:%s', tenant_id, request_id, call, attempt)
FROM tenantry.intent i
LEFT JOIN (
  SELECT tenant_id, request_id, changed_at FROM tenantry.batch_job
  WHERE state IN ('planned', 'submitting', 'running')
) j USING (tenant_id, request_id)
WHERE i.state = 'unknown' AND i.quarantined IS NULL
  AND coalesce(j.changed_at, i.began_at) < clock_timestamp() - CASE
    WHEN j.changed_at IS NULL THEN $1::interval ELSE greatest($1::interval, $3::interval) END
UNION ALL
SELECT 'balances_equal_replay',
       format('%s %s %s %s from %s: settled %s, replay %s; reserved %s, replay %s', u.tenant_id,
              u.subject, u.period, u.basis, u.period_start, u.settled, r.settled, u.reserved,
              r.reserved)
FROM tenantry.budget_use u
CROSS JOIN LATERAL tenantry.budget_replay(
  u.tenant_id, u.subject, u.basis, u.period_start, u.period_end) r
WHERE u.settled <> r.settled OR u.reserved <> r.reserved
UNION ALL
SELECT 'slots_equal_open_requests',
       format('%s counts %s, open %s', c.tenant_id, c.in_flight, o.open)
FROM tenantry.counter c
CROSS JOIN LATERAL (
  SELECT count(*) AS open FROM tenantry.open_request r
  WHERE r.tenant_id = c.tenant_id AND r.has_slot
) o
WHERE c.in_flight <> o.open
UNION ALL
SELECT 'open_attempts_equal_intents',
       format('%s %s counts %s, intents %s', r.tenant_id, r.request_id, r.open_attempts, i.open)
FROM tenantry.open_request r
CROSS JOIN LATERAL (
  SELECT count(*) AS open FROM tenantry.intent i
  WHERE i.tenant_id = r.tenant_id AND i.request_id = r.request_id
) i
WHERE r.open_attempts <> i.open
UNION ALL
SELECT 'every_entry_has_its_attempt', format('%s %s/%s:%s', tenant_id, request_id, call, attempt)
FROM tenantry.cost_entry e
WHERE e.kind <> 'usage' AND NOT EXISTS (
  SELECT FROM tenantry.attempt a
  WHERE a.tenant_id = e.tenant_id AND a.request_id = e.request_id AND a.call = e.call
    AND a.attempt = e.attempt AND a.admitted_at = e.admitted_at)
UNION ALL
SELECT 'a_call_is_charged_once', format('%s %s/%s', tenant_id, request_id, call)
FROM tenantry.charge_entry WHERE kind NOT LIKE 'reversal%'
GROUP BY tenant_id, request_id, call HAVING count(DISTINCT attempt) > 1
UNION ALL
SELECT 'every_charge_has_its_cost',
       format('%s %s/%s:%s', h.tenant_id, h.request_id, h.call, h.attempt)
FROM tenantry.charge_entry h
LEFT JOIN tenantry.cost_entry e
  ON e.tenant_id = h.tenant_id AND e.admitted_at = h.admitted_at
 AND e.request_id = h.request_id AND e.call = h.call AND e.attempt = h.attempt
 AND e.kind = h.kind
WHERE NOT (h.kind LIKE 'reversal%' AND 'undelivered' = ANY (h.flags))  -- of this book alone
  AND (e.token_classes IS DISTINCT FROM h.token_classes
       OR e.quantities IS DISTINCT FROM h.quantities)
UNION ALL
SELECT 'lines_add_up', format('%s %s/%s:%s %s', x.tenant_id, x.request_id, x.call, x.attempt, x.book)
FROM (
  SELECT 'charge' AS book, tenant_id, request_id, call, attempt, amount, amounts, token_classes,
         quantities FROM tenantry.charge_entry
  UNION ALL
  SELECT 'cost', tenant_id, request_id, call, attempt, amount, amounts, token_classes,
         quantities FROM tenantry.cost_entry
) x
WHERE x.amount <> (SELECT coalesce(sum(a), 0) FROM unnest(x.amounts) a)
   OR cardinality(x.token_classes) <> cardinality(x.amounts)
   OR cardinality(x.quantities) <> cardinality(x.amounts)
UNION ALL
-- A correction takes back all that stood, in both books, and posts as much at another price: what
-- stands is its last posting. A charge whose answer was never delivered is taken back for good, in the customer's book alone.
SELECT 'corrections_follow_each_other',
       format('%s %s/%s:%s %s: postings come to %s, the last is of %s', t.tenant_id, t.request_id,
              t.call, t.attempt, y.book, y.amount, y.last_amount)
FROM (
  SELECT DISTINCT tenant_id, admitted_at, request_id, call, attempt FROM tenantry.cost_entry
  WHERE kind <> 'usage' AND 'corrected' = ANY (flags)
) t
CROSS JOIN LATERAL (
  SELECT x.book, max(x.step) AS step, max(x.cost_step) AS cost_step, sum(x.amount) AS amount,
         sum(x.quantity) AS quantity,
         coalesce(sum(x.amount) FILTER (WHERE x.stands), 0) AS last_amount,
         coalesce(sum(x.quantity) FILTER (WHERE x.stands), 0) AS last_quantity,
         bool_or(x.stands) AS stands,
         min(x.quantity) FILTER (WHERE x.is_rated) <> max(x.quantity) FILTER (WHERE x.is_rated)
           AS counts_otherwise,
         bool_or(x.book = 'charge' AND x.is_back AND 'undelivered' = ANY (x.flags)) AS undelivered
  FROM (
    SELECT b.*, NOT b.is_back AND b.step = max(b.step) OVER (PARTITION BY b.book) AS stands,
           max(b.step) FILTER (WHERE b.book = 'cost') OVER () AS cost_step
    FROM (
      SELECT 'charge' AS book, tenantry.step_of(e.kind) AS step, e.kind LIKE 'reversal%' AS is_back,
             e.amount, e.flags,
             e.kind NOT LIKE 'reversal%' AND e.token_classes <> '{}' AS is_rated,
             (SELECT coalesce(sum(q), 0) FROM unnest(e.quantities) q) AS quantity
      FROM tenantry.charge_entry e
      WHERE e.tenant_id = t.tenant_id AND e.admitted_at = t.admitted_at
        AND e.request_id = t.request_id AND e.call = t.call AND e.attempt = t.attempt
      UNION ALL
      SELECT 'cost', tenantry.step_of(e.kind), e.kind LIKE 'reversal%', e.amount, e.flags,
             e.kind NOT LIKE 'reversal%' AND e.token_classes <> '{}',
             (SELECT coalesce(sum(q), 0) FROM unnest(e.quantities) q)
      FROM tenantry.cost_entry e
      WHERE e.tenant_id = t.tenant_id AND e.admitted_at = t.admitted_at
        AND e.request_id = t.request_id AND e.call = t.call AND e.attempt = t.attempt
    ) b
  ) x
  GROUP BY x.book
) y
WHERE y.amount <> y.last_amount OR y.quantity <> y.last_quantity OR y.counts_otherwise
   OR NOT (y.undelivered OR y.stands AND y.step = y.cost_step)
LIMIT 1000;
