-- Reindexes. `$1` is the tenant in every statement; every writer holds the lock of its partition.

-- name: open
SELECT * FROM tenantry.reindex WHERE tenant_id = $1 AND state IN ('running', 'paused');

-- name: latest
SELECT * FROM tenantry.reindex WHERE tenant_id = $1 ORDER BY created_at DESC, reindex_id DESC LIMIT 1;

-- name: insert
INSERT INTO tenantry.reindex
  (tenant_id, reindex_id, state, model, dimensions, api_key_id, request_id, claimed_until, pin)
VALUES ($1, $2, 'running', $3, $4, $5, $6, clock_timestamp() + make_interval(secs => $7), $8)
RETURNING *;

-- name: go_on
-- Its first request stays the one that counts.
UPDATE tenantry.reindex
SET state = 'running', failure = NULL, failed_document_id = NULL, api_key_id = $3,
    claimed_until = clock_timestamp() + make_interval(secs => $4), updated_at = clock_timestamp()
WHERE tenant_id = $1 AND reindex_id = $2 AND state = 'paused'
RETURNING *;

-- name: claim
UPDATE tenantry.reindex
SET claimed_until = clock_timestamp() + make_interval(secs => $2), updated_at = clock_timestamp()
WHERE tenant_id = $1 AND state = 'running' AND claimed_until < clock_timestamp()
RETURNING *;

-- name: keep
UPDATE tenantry.reindex
SET claimed_until = clock_timestamp() + make_interval(secs => $3), updated_at = clock_timestamp()
WHERE tenant_id = $1 AND reindex_id = $2 AND state = 'running';

-- name: pause
UPDATE tenantry.reindex
SET state = 'paused', failure = $3, failed_document_id = $4, claimed_until = NULL,
    updated_at = clock_timestamp()
WHERE tenant_id = $1 AND reindex_id = $2 AND state = 'running';

-- name: end
UPDATE tenantry.reindex
SET state = $3, failure = NULL, failed_document_id = NULL, claimed_until = NULL, documents = $4,
    passages = $5, updated_at = clock_timestamp()
WHERE tenant_id = $1 AND reindex_id = $2
RETURNING *;

-- name: pending
SELECT * FROM tenantry.document
WHERE tenant_id = $1 AND state = 'ready' AND next_segment_id IS NULL
  AND ($2::text IS NULL OR document_id > $2)
ORDER BY document_id LIMIT $3;

-- name: is_pending
SELECT EXISTS (
  SELECT FROM tenantry.document
  WHERE tenant_id = $1 AND document_id = $2 AND original_id = $3 AND state = 'ready'
    AND next_segment_id IS NULL
);

-- name: is_any_pending
SELECT EXISTS (
  SELECT FROM tenantry.document
  WHERE tenant_id = $1 AND state = 'ready' AND next_segment_id IS NULL
);

-- name: is_being_fed
-- Uploads that somebody embeds for the old index just now.
SELECT EXISTS (
  SELECT FROM tenantry.document
  WHERE tenant_id = $1 AND state = 'indexing' AND claimed_until > clock_timestamp()
);

-- name: progress
-- Passages in batches that are kept for a document on its way count too, but none of an upload's,
-- which has the same space where documents are indexed again.
SELECT count(*) AS documents, count(next_segment_id) AS documents_done,
       coalesce(sum(CASE WHEN next_segment_id IS NULL THEN passages ELSE next_passages END), 0)
         ::bigint AS passages,
       (coalesce(sum(next_passages), 0) + (
         SELECT coalesce(sum(b.passages), 0)
         FROM tenantry.embedded_batch b JOIN tenantry.document d USING (tenant_id, content_hmac)
         WHERE b.tenant_id = $1 AND b.model = $2 AND b.dimensions = $3 AND d.state = 'ready'
       ))::bigint AS passages_done
FROM tenantry.document WHERE tenant_id = $1 AND state = 'ready';

-- name: switch_documents
UPDATE tenantry.document
SET segment_id = next_segment_id, passages = next_passages, pages = next_pages,
    pages_without_text = next_pages_without_text, next_segment_id = NULL, next_passages = 0,
    next_pages = NULL, next_pages_without_text = NULL
WHERE tenant_id = $1 AND state = 'ready';

-- name: pin
-- A generation is of what is searched: where no document is, none begins.
UPDATE tenantry.knowledge_partition
SET model = $2, dimensions = $3, generation = generation + EXISTS (
  SELECT FROM tenantry.document WHERE tenant_id = $1 AND state = 'ready'
)::int
WHERE tenant_id = $1;

-- name: forget_documents
UPDATE tenantry.document
SET next_segment_id = NULL, next_passages = 0, next_pages = NULL, next_pages_without_text = NULL
WHERE tenant_id = $1 AND next_segment_id IS NOT NULL;

-- name: delete_batches_of
-- But those of uploads on their way, which have the same space where documents are indexed again.
DELETE FROM tenantry.embedded_batch b
WHERE tenant_id = $1 AND model = $2 AND dimensions = $3 AND NOT EXISTS (
  SELECT FROM tenantry.document d
  WHERE d.tenant_id = b.tenant_id AND d.content_hmac = b.content_hmac AND d.state = 'indexing'
);

-- name: delete_batches_but
DELETE FROM tenantry.embedded_batch
WHERE tenant_id = $1 AND (model, dimensions) IS DISTINCT FROM ($2, $3::int);
