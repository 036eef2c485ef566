-- What a tenant owns, page by page, and what is forgotten of an end user: in its unit of work ($1).

-- name: usage_entries
SELECT e.admitted_at, e.request_id, e.call, e.attempt, e.kind, e.posted_at, e.day, e.model,
       e.currency, e.amount, e.token_classes, e.quantities, e.unit_prices, e.amounts, e.plan,
       e.plan_version, e.price_version, e.api_key_id, e.user_hash, e.run_id, e.tags, e.flags
FROM tenantry.charge_entry e
WHERE e.tenant_id = $1
  AND (e.admitted_at, e.request_id, e.call, e.attempt, e.kind)
    > ($2::timestamptz, $3::uuid, $4::smallint, $5::smallint, $6::text)
  AND ($7::text[] IS NULL OR e.user_hash = ANY ($7))
ORDER BY e.admitted_at, e.request_id, e.call, e.attempt, e.kind LIMIT $8;

-- name: kept_results
SELECT i.kind, i.api_key_id, i.key_hmac, i.request_id, i.expires_at, i.sealed
FROM tenantry.idempotency i
WHERE i.tenant_id = $1 AND i.state = 'kept' AND i.expires_at > clock_timestamp()
  AND (i.kind, i.api_key_id, i.key_hmac) > ($2::text, $3::text, $4::bytea)
  AND ($5::text[] IS NULL OR i.user_hash = ANY ($5)
    -- Kept by a worker of before 0039, for seven days at most: the books know whose it is.
    OR (i.user_hash IS NULL AND i.request_id IN (
      SELECT e.request_id FROM tenantry.charge_entry e
      WHERE e.tenant_id = $1 AND e.user_hash = ANY ($5)
        AND e.admitted_at > clock_timestamp() - interval '9 days')))
ORDER BY i.kind, i.api_key_id, i.key_hmac LIMIT $6;

-- name: kept_replies
SELECT a.name_hmac, a.object_id, a.account, a.request_id, a.expires_at FROM tenantry.answer a
WHERE a.tenant_id = $1 AND a.expires_at > clock_timestamp() AND a.name_hmac > $2::bytea
  AND ($3::text[] IS NULL OR a.user_hash = ANY ($3)
    -- Kept by a worker of before 0043: the books know whose it is.
    OR (a.user_hash IS NULL AND a.request_id IN (
      SELECT e.request_id FROM tenantry.charge_entry e
      WHERE e.tenant_id = $1 AND e.user_hash = ANY ($3)
        AND e.admitted_at > clock_timestamp() - interval '35 days')))
ORDER BY a.name_hmac LIMIT $4;

-- name: sessions
SELECT s.account, s.session_id, s.object_id, s.turns, s.expires_at FROM tenantry.session s
WHERE s.tenant_id = $1 AND s.expires_at > clock_timestamp() AND s.session_id > $2::text
  AND ($3::text[] IS NULL OR s.user_hash = ANY ($3))
ORDER BY s.session_id LIMIT $4;

-- name: jobs
SELECT * FROM tenantry.batch_job WHERE tenant_id = $1 AND request_id > $2
ORDER BY request_id LIMIT $3;

-- name: forget_results
-- The keys stay used: whoever sends one again is told that its answer is not kept. What has been
-- charged and still runs will not be kept either. In the order in which claims lock.
UPDATE tenantry.idempotency i SET state = 'lost', sealed = NULL
FROM (
  SELECT o.kind, o.api_key_id, o.key_hmac FROM tenantry.idempotency o
  WHERE o.tenant_id = $1 AND o.state IN ('kept', 'running')
    AND (o.user_hash = ANY ($2::text[])
      OR (o.user_hash IS NULL AND o.request_id IN (  -- as in `kept_results`
        SELECT e.request_id FROM tenantry.charge_entry e
        WHERE e.tenant_id = $1 AND e.user_hash = ANY ($2)
          AND e.admitted_at > clock_timestamp() - interval '9 days')))
  ORDER BY o.kind, o.api_key_id, o.key_hmac FOR UPDATE
) own
WHERE i.tenant_id = $1 AND i.kind = own.kind AND i.api_key_id = own.api_key_id
  AND i.key_hmac = own.key_hmac;

-- name: forget_reply
DELETE FROM tenantry.answer WHERE tenant_id = $1 AND object_id = $2;

-- name: known_user
SELECT EXISTS (SELECT FROM tenantry.charge_entry
               WHERE tenant_id = $1 AND user_hash = ANY ($2::text[]))
    OR EXISTS (SELECT FROM tenantry.charge_hour_detail
               WHERE tenant_id = $1 AND user_hash = ANY ($2::text[]));

-- name: count_erased
SELECT count(*) FROM tenantry.erased_user WHERE tenant_id = $1;

-- name: await_keepers
-- Who was told by `may_keep_of` that the user is there has ended from here on, and nobody else is told
-- anything before this transaction has.
SELECT pg_advisory_xact_lock(hashtext('tenantry.erased_user'), hashtext($1));

-- name: erase_user
INSERT INTO tenantry.erased_user (tenant_id, user_hash) SELECT $1, unnest($2::text[])
ON CONFLICT DO NOTHING;

-- name: erased_users
SELECT user_hash FROM tenantry.erased_user WHERE tenant_id = $1;

-- name: capped_users
SELECT DISTINCT substr(b.subject, 6) AS user_hash FROM tenantry.budget b
WHERE b.tenant_id = $1 AND b.subject LIKE 'user:%';
