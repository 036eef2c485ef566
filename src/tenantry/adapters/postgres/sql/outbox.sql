-- name: route
-- Chooses the sinks of the oldest notices that have none yet ($1: how many, $2: now). $3 to $5 are
-- the sinks, the kinds that each hears of, and whether it hears of linked tenants alone. $6 is what a
-- tenant's own endpoints hear of: never of a budget over the provider's cost. Where Stripe has heard of
-- an invoice, or is about to, it is owed the void and the credit notes also when there is no link any
-- more, and while it is not set up.
WITH fresh AS (
  SELECT tenant_id, notice_id, kind, body ->> 'basis' AS basis,
    coalesce(body #>> '{references,invoice}', body ->> 'number') AS invoice
  FROM tenantry.notice
  WHERE routed_at IS NULL ORDER BY created_at LIMIT $1 FOR UPDATE SKIP LOCKED
), routed AS (
  UPDATE tenantry.notice n SET routed_at = $2 FROM fresh f
  WHERE n.tenant_id = f.tenant_id AND n.notice_id = f.notice_id
), chosen AS (
  INSERT INTO tenantry.delivery (tenant_id, notice_id, sink, since, next_at)
  SELECT f.tenant_id, f.notice_id, s.sink, $2, $2
  FROM fresh f
  JOIN unnest($3::text[], $4::text[], $5::bool[]) AS s (sink, kinds, linked) ON f.kind ~ s.kinds
  WHERE NOT s.linked OR EXISTS (
    SELECT FROM tenantry.stripe_customer c WHERE c.tenant_id = f.tenant_id)
  UNION ALL
  SELECT f.tenant_id, f.notice_id, 'stripe', $2, $2
  FROM fresh f
  WHERE f.kind IN ('invoice.voided', 'credit_note.issued') AND (EXISTS (
      SELECT FROM tenantry.stripe_invoice i
      WHERE i.tenant_id = f.tenant_id AND i.number = f.invoice)
    OR EXISTS (
      SELECT FROM tenantry.notice o JOIN tenantry.delivery od USING (tenant_id, notice_id)
      WHERE o.tenant_id = f.tenant_id AND o.kind = 'invoice.finalised'
        AND o.body ->> 'number' = f.invoice AND od.sink = 'stripe' AND od.state = 'pending'))
  UNION
  SELECT f.tenant_id, f.notice_id, 'endpoint:' || e.endpoint_id, $2, $2
  FROM fresh f JOIN tenantry.webhook_endpoint e USING (tenant_id)
  WHERE e.disabled_at IS NULL AND f.kind ~ $6 AND f.basis IS DISTINCT FROM 'cost'
  ON CONFLICT DO NOTHING
)
SELECT count(*)::int FROM fresh;

-- name: due
-- Sinks with something to deliver, the longest waiting first; one index probe for each sink.
WITH RECURSIVE waiting (sink, next_at, tenant_id) AS (
  (SELECT sink, next_at, tenant_id FROM tenantry.delivery WHERE state = 'pending'
   ORDER BY sink, next_at LIMIT 1)
  UNION ALL
  SELECT d.sink, d.next_at, d.tenant_id FROM waiting w CROSS JOIN LATERAL (
    SELECT sink, next_at, tenant_id FROM tenantry.delivery
    WHERE state = 'pending' AND sink > w.sink ORDER BY sink, next_at LIMIT 1) d
)
SELECT sink, tenant_id FROM waiting WHERE next_at <= $1 ORDER BY next_at LIMIT $2;

-- name: claim
-- Leases what is due at a sink ($1) until $3. The attempt counts from here, so that a notice whose
-- delivery kills the worker runs out of attempts too. What Stripe is about to hear of, and for whom, is
-- noted with it. `waits`: an invoice that is voided is still on its way to this sink, be it by an attempt
-- that was dismissed and may run still; `heard_of`: Stripe may have it; `pushed`: it has it, for all of it was delivered; `superseded`: this
-- invoice has been voided since.
WITH due AS (
  SELECT tenant_id, notice_id, sink FROM tenantry.delivery
  WHERE sink = $1 AND state = 'pending' AND next_at <= $2
  ORDER BY next_at LIMIT $4 FOR UPDATE SKIP LOCKED
), leased AS (
  UPDATE tenantry.delivery d
  SET attempts = d.attempts + 1, next_at = $3, leased_until = $3, lease = gen_random_uuid()
  FROM due
  WHERE d.tenant_id = due.tenant_id AND d.notice_id = due.notice_id AND d.sink = due.sink
  RETURNING d.*
), noted AS (
  INSERT INTO tenantry.stripe_invoice AS s (tenant_id, number, customers)
  SELECT DISTINCT l.tenant_id, n.body ->> 'number', array(
    SELECT c.customer_id FROM tenantry.stripe_customer c WHERE c.tenant_id = l.tenant_id)
  FROM leased l JOIN tenantry.notice n USING (tenant_id, notice_id)
  WHERE l.sink = 'stripe' AND n.kind = 'invoice.finalised' AND n.body ->> 'number' IS NOT NULL
  ON CONFLICT (tenant_id, number) DO UPDATE SET customers = s.customers || excluded.customers
  WHERE NOT excluded.customers <@ s.customers
)
SELECT l.tenant_id, l.notice_id, l.sink, l.attempts, l.since, l.lease, $2 AS leased_at,
       n.kind, n.body::text AS body, n.created_at, c.customer_id,
       coalesce(s.customers, '{}') AS customers,
       n.kind = 'invoice.voided' AND EXISTS (
         SELECT FROM tenantry.notice o JOIN tenantry.delivery od USING (tenant_id, notice_id)
         WHERE o.tenant_id = n.tenant_id AND o.kind = 'invoice.finalised'
           AND o.body ->> 'number' = n.body ->> 'number'
           AND od.sink = l.sink
           AND (od.state = 'pending' OR od.leased_until > $2)) AS waits,
       n.kind = 'invoice.voided' AND s.number IS NOT NULL AS heard_of,
       n.kind = 'invoice.voided' AND s.pushed_at IS NOT NULL AS pushed,
       n.kind = 'invoice.finalised' AND (v.status IS NOT DISTINCT FROM 'void' OR EXISTS (
         SELECT FROM tenantry.notice o
         WHERE o.tenant_id = n.tenant_id AND o.kind = 'invoice.voided'
           AND o.body ->> 'number' = n.body ->> 'number')) AS superseded,
       v.invoice_id, encode(v.sha256, 'hex') AS sha256, v.currency, v.due, v.issued_at
FROM leased l
JOIN tenantry.notice n USING (tenant_id, notice_id)
LEFT JOIN tenantry.stripe_customer c USING (tenant_id)
LEFT JOIN tenantry.stripe_invoice s ON l.sink = 'stripe' AND s.tenant_id = n.tenant_id
  AND n.kind IN ('invoice.finalised', 'invoice.voided') AND s.number = n.body ->> 'number'
LEFT JOIN tenantry.invoice v ON l.sink = 'stripe' AND v.tenant_id = n.tenant_id
  AND n.kind IN ('invoice.finalised', 'invoice.voided') AND v.number = n.body ->> 'number';

-- name: end_delivery
-- An invoice that Stripe took stays known as pushed; one without lines is not made there, nor is one
-- that was void already ($8).
WITH ended AS (
  UPDATE tenantry.delivery
  SET state = $5, ended_at = $6, last_error = left($7, 500), leased_until = NULL
  WHERE tenant_id = $1 AND notice_id = $2 AND sink = $3 AND lease = $4 AND state = 'pending'
  RETURNING tenant_id, notice_id, sink, state, ended_at
), pushed AS (
  UPDATE tenantry.stripe_invoice s SET pushed_at = e.ended_at
  FROM ended e JOIN tenantry.notice n USING (tenant_id, notice_id)
  WHERE e.sink = 'stripe' AND e.state = 'delivered' AND n.kind = 'invoice.finalised'
    AND n.body -> 'lines' <> '[]' AND NOT $8 AND s.tenant_id = n.tenant_id
    AND s.number = n.body ->> 'number' AND s.pushed_at IS NULL
)
SELECT FROM ended;

-- name: postpone
-- $7: from there on it counts as tried.
UPDATE tenantry.delivery
SET next_at = $5, last_error = left($6, 500), since = coalesce($7::timestamptz, since),
  leased_until = NULL
WHERE tenant_id = $1 AND notice_id = $2 AND sink = $3 AND lease = $4 AND state = 'pending';

-- name: purge
-- Deletes the oldest notices that are past their keeping and owe no sink anything. To the sinks in $3
-- they owe what is dead, too, until it is dismissed.
DELETE FROM tenantry.notice n USING (
  SELECT tenant_id, notice_id FROM tenantry.notice o
  WHERE o.created_at < $1 AND o.routed_at IS NOT NULL AND NOT EXISTS (
    SELECT FROM tenantry.delivery d WHERE d.tenant_id = o.tenant_id
      AND d.notice_id = o.notice_id AND (d.state = 'pending'
        OR d.state = 'dead' AND d.next_at < 'infinity' AND d.sink = ANY ($3::text[])))
  ORDER BY o.created_at LIMIT $2 FOR UPDATE SKIP LOCKED
) old
WHERE n.tenant_id = old.tenant_id AND n.notice_id = old.notice_id;

-- name: listed
-- What is dead until for ever has been dismissed.
SELECT n.notice_id, n.tenant_id,
       (SELECT t.name FROM tenantry.tenant t WHERE t.tenant_id = n.tenant_id) AS tenant_name,
       n.kind, n.created_at, d.sink,
       CASE WHEN d.state = 'dead' AND d.next_at = 'infinity' THEN 'dismissed'
         ELSE coalesce(d.state, CASE WHEN n.routed_at IS NULL THEN 'new' ELSE 'no sink' END)
       END AS state,
       coalesce(d.attempts, 0) AS attempts,
       CASE WHEN d.state = 'pending' THEN d.next_at END AS next_at, d.last_error
FROM tenantry.notice n LEFT JOIN tenantry.delivery d USING (tenant_id, notice_id)
WHERE ($1::text IS NULL OR d.state = $1 AND d.next_at < 'infinity')
  AND ($3::uuid IS NULL OR n.notice_id = $3)
ORDER BY n.created_at DESC, n.notice_id, d.sink LIMIT $2;

-- name: retry
-- Begins anew what is dead, at one sink ($2) or at all: after an attempt that may run still.
UPDATE tenantry.delivery
SET state = 'pending', ended_at = NULL, attempts = 0, since = $3,
  next_at = greatest($3, leased_until), lease = NULL
WHERE notice_id = $1 AND state = 'dead' AND ($2::text IS NULL OR sink = $2);

-- name: dismiss
-- Leaves what is dead to a person, at one sink ($2) or at all: it stays dead, and counts no more. At a
-- sink that is named it also ends what is still tried; an attempt that runs goes on until its lease ends.
UPDATE tenantry.delivery
SET state = 'dead', next_at = 'infinity', ended_at = coalesce(ended_at, clock_timestamp())
WHERE notice_id = $1
  AND (state = 'dead' AND ($2::text IS NULL OR sink = $2) OR state = 'pending' AND sink = $2);

-- name: owed
-- What a sink ($1) does not have, and nobody has dismissed.
SELECT n.notice_id, n.tenant_id, n.kind, n.body ->> 'number' AS number, n.created_at, d.state,
       d.attempts, CASE WHEN d.state = 'pending' THEN d.next_at END AS next_at, d.last_error
FROM tenantry.delivery d JOIN tenantry.notice n USING (tenant_id, notice_id)
WHERE d.sink = $1 AND (d.state = 'pending' OR d.state = 'dead' AND d.next_at < 'infinity')
ORDER BY n.created_at, n.notice_id LIMIT $2;

-- name: overdue
-- The same of the sinks in $1, of notices from before $2. One that was just sent is not late yet.
WITH late AS (
  SELECT d.state, n.created_at, n.body ->> 'number' AS number
  FROM tenantry.delivery d JOIN tenantry.notice n USING (tenant_id, notice_id)
  WHERE d.sink = ANY ($1::text[]) AND n.created_at < $2
    AND (d.state = 'pending' AND (d.attempts > 0 OR d.since < $2)
         OR d.state = 'dead' AND d.next_at < 'infinity')
)
SELECT count(*) FILTER (WHERE state = 'pending')::int AS pending,
       count(*) FILTER (WHERE state = 'dead')::int AS dead, min(created_at) AS oldest_at,
       array(SELECT number FROM late WHERE number IS NOT NULL
             ORDER BY created_at, number LIMIT 10) AS numbers
FROM late;

-- name: send
-- Sends a notice to a sink that it was not routed to, or whose delivery is dead.
INSERT INTO tenantry.delivery (tenant_id, notice_id, sink, since, next_at)
SELECT tenant_id, notice_id, $2, $3, $3 FROM tenantry.notice WHERE notice_id = $1
ON CONFLICT (tenant_id, notice_id, sink) DO UPDATE
SET state = 'pending', ended_at = NULL, attempts = 0, since = $3,
  next_at = greatest($3, delivery.leased_until), lease = NULL
WHERE delivery.state = 'dead';

-- name: counts
-- But for notices of kind $1: what a test finds is told to whoever runs it.
SELECT count(*) FILTER (WHERE state = 'dead' AND next_at < 'infinity')::int AS dead,
       count(*) FILTER (WHERE state = 'pending')::int AS pending
FROM tenantry.delivery d WHERE state <> 'delivered' AND NOT EXISTS (
  SELECT FROM tenantry.notice n
  WHERE n.tenant_id = d.tenant_id AND n.notice_id = d.notice_id AND n.kind = $1);

-- name: link_stripe
INSERT INTO tenantry.stripe_customer (tenant_id, customer_id) VALUES ($1, $2)
ON CONFLICT (tenant_id) DO UPDATE SET customer_id = excluded.customer_id,
  linked_at = clock_timestamp();

-- name: unlink_stripe
DELETE FROM tenantry.stripe_customer WHERE tenant_id = $1;

-- name: stripe_links
SELECT t.tenant_id, t.name, c.customer_id, c.linked_at
FROM tenantry.stripe_customer c JOIN tenantry.tenant t USING (tenant_id)
ORDER BY t.name LIMIT 10000;

-- name: add_endpoint
INSERT INTO tenantry.webhook_endpoint (tenant_id, endpoint_id, url, secret_sealed)
SELECT $1, $2, $3, $4
WHERE (SELECT count(*) FROM tenantry.webhook_endpoint WHERE tenant_id = $1) < $5;

-- name: endpoint
SELECT * FROM tenantry.webhook_endpoint WHERE tenant_id = $1 AND endpoint_id = $2;

-- name: endpoints
SELECT * FROM tenantry.webhook_endpoint WHERE tenant_id = $1 ORDER BY created_at, endpoint_id;

-- name: rotate_endpoint
UPDATE tenantry.webhook_endpoint SET previous_sealed = secret_sealed, secret_sealed = $3
WHERE tenant_id = $1 AND endpoint_id = $2;

-- name: forget_previous
UPDATE tenantry.webhook_endpoint SET previous_sealed = NULL
WHERE tenant_id = $1 AND endpoint_id = $2;

-- name: disable_endpoint
UPDATE tenantry.webhook_endpoint SET disabled_at = $3, disabled_reason = left($4, 500)
WHERE tenant_id = $1 AND endpoint_id = $2 AND disabled_at IS NULL;

-- name: enable_endpoint
UPDATE tenantry.webhook_endpoint SET disabled_at = NULL, disabled_reason = NULL
WHERE tenant_id = $1 AND endpoint_id = $2;

-- name: remove_endpoint
-- What is still on its way to it is dropped with it.
WITH dropped AS (
  DELETE FROM tenantry.delivery WHERE tenant_id = $1 AND sink = 'endpoint:' || $2
)
DELETE FROM tenantry.webhook_endpoint WHERE tenant_id = $1 AND endpoint_id = $2;
