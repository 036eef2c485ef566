-- The manifest's statements. `$1` is the tenant, but for the control plane's one: in every statement as well as in the row
-- policy, which is the wall behind a filter that someone forgets.

-- name: open_partition
-- The partition row, made with the tenant's first document.
INSERT INTO tenantry.knowledge_partition (tenant_id) VALUES ($1) ON CONFLICT DO NOTHING;

-- name: lock_partition
-- Every writer takes this lock first, so that a tenant's writers come one after the other.
SELECT generation, model, dimensions
FROM tenantry.knowledge_partition WHERE tenant_id = $1 FOR UPDATE;

-- name: generation
SELECT generation FROM tenantry.knowledge_spaces($1);

-- name: spaces
-- The reindex is looked up for each row of the function's, which has named the tenant by then.
SELECT s.*, EXISTS (
  SELECT FROM tenantry.reindex r
  WHERE r.tenant_id = $1 AND r.state = 'running' AND r.model = s.next_model
) AS advances
FROM tenantry.knowledge_spaces($1) s;

-- name: partition
-- One statement sees one state: what is live always fits the generation read with it.
SELECT p.generation AS current, p.model, s.segment_id, s.generation, s.dimensions, s.row_count,
       s.size_bytes, d.documents, d.live_rows
FROM tenantry.knowledge_partition p
LEFT JOIN (
  tenantry.segment s
  CROSS JOIN LATERAL (
    SELECT array_agg(document_id) AS documents, sum(passages)::bigint AS live_rows
    FROM tenantry.document
    WHERE tenant_id = s.tenant_id AND segment_id = s.segment_id
  ) d
) ON s.tenant_id = p.tenant_id AND d.documents IS NOT NULL
WHERE p.tenant_id = $1
ORDER BY s.created_at, s.segment_id;

-- name: next_partition
-- What a reindex has built so far.
SELECT p.generation AS current, r.pin AS model, s.segment_id, s.generation, s.dimensions, s.row_count,
       s.size_bytes, d.documents, d.live_rows
FROM tenantry.knowledge_partition p
JOIN tenantry.reindex r ON r.tenant_id = p.tenant_id AND r.state IN ('running', 'paused')
LEFT JOIN (
  tenantry.segment s
  CROSS JOIN LATERAL (
    SELECT array_agg(document_id) AS documents, sum(next_passages)::bigint AS live_rows
    FROM tenantry.document
    WHERE tenant_id = s.tenant_id AND next_segment_id = s.segment_id
  ) d
) ON s.tenant_id = p.tenant_id AND d.documents IS NOT NULL
WHERE p.tenant_id = $1
ORDER BY s.created_at, s.segment_id;

-- name: live
-- One row a live document of the segments ($2) or documents ($3) that are asked for, or one of nulls.
SELECT p.generation, p.model, p.dimensions, d.segment_id, d.document_id
FROM tenantry.knowledge_partition p
LEFT JOIN tenantry.document d
  ON d.tenant_id = p.tenant_id AND d.segment_id IS NOT NULL
  AND (d.segment_id = ANY ($2::text[]) OR d.document_id = ANY ($3::text[]))
WHERE p.tenant_id = $1;

-- name: advance
UPDATE tenantry.knowledge_partition SET generation = generation + 1 WHERE tenant_id = $1;

-- name: pin
UPDATE tenantry.knowledge_partition
SET generation = generation + 1, model = $2, dimensions = $3
WHERE tenant_id = $1;

-- name: count
UPDATE tenantry.knowledge_partition
SET documents = documents + $2, original_bytes = original_bytes + $3
WHERE tenant_id = $1
RETURNING documents, original_bytes;

-- name: document_by_id
SELECT * FROM tenantry.document
WHERE tenant_id = $1 AND document_id = $2 AND replaces IS NULL;

-- name: any_by_id
-- A document, or a version on its way.
SELECT * FROM tenantry.document WHERE tenant_id = $1 AND document_id = $2;

-- name: document_by_content
SELECT * FROM tenantry.document WHERE tenant_id = $1 AND content_hmac = $2;

-- name: documents
SELECT * FROM tenantry.document
WHERE tenant_id = $1 AND replaces IS NULL AND ($2::text IS NULL OR document_id < $2)
ORDER BY document_id DESC LIMIT $3;

-- name: replacements
SELECT * FROM tenantry.document WHERE tenant_id = $1 AND replaces = ANY ($2::text[]);

-- name: indexing_version
-- The version of a document that is waited for: its first, or one that is to replace it.
SELECT * FROM tenantry.document
WHERE tenant_id = $1 AND (document_id = $2 OR replaces = $2) AND state = 'indexing'
  AND ($3 = '' OR original_id = $3)
LIMIT 1;

-- name: ready_version
SELECT * FROM tenantry.document
WHERE tenant_id = $1 AND document_id = $2 AND state = 'ready' AND original_id = $3;

-- name: claim
-- Documents whose indexer has not been heard of; two that ask at once get different ones.
UPDATE tenantry.document
SET claimed_until = clock_timestamp() + make_interval(secs => $3)
WHERE tenant_id = $1 AND document_id IN (
  SELECT document_id FROM tenantry.document
  WHERE tenant_id = $1 AND state = 'indexing' AND claimed_until < clock_timestamp()
  ORDER BY document_id LIMIT $2
  FOR UPDATE SKIP LOCKED
)
RETURNING *;

-- name: unfinished_tenants
-- The one statement of the control plane: whose documents or reindexes nobody works on.
SELECT tenant_id FROM tenantry.document
WHERE state = 'indexing' AND claimed_until < clock_timestamp()
UNION
SELECT tenant_id FROM tenantry.reindex
WHERE state = 'running' AND claimed_until < clock_timestamp()
LIMIT $1;

-- name: keep
UPDATE tenantry.document
SET claimed_until = clock_timestamp() + make_interval(secs => $3),
    passages_done = coalesce($4, passages_done), passages_total = coalesce($5, passages_total)
WHERE tenant_id = $1 AND document_id = $2 AND state = 'indexing';

-- name: insert_document
INSERT INTO tenantry.document
  (tenant_id, document_id, state, content_hmac, original_id, original_bytes, api_key_id,
   claimed_until, replaces, request_id, passages_total, card_bytes)
VALUES ($1, $2, 'indexing', $3, $4, $5, $6, clock_timestamp() + make_interval(secs => $7), $8, $9,
        $10, $11)
RETURNING *;

-- name: restart_document
-- A failed document whose own content is sent again keeps its id.
UPDATE tenantry.document
SET state = 'indexing', original_id = $3, original_bytes = $4, api_key_id = $5, failure = NULL,
    claimed_until = clock_timestamp() + make_interval(secs => $6), request_id = $7,
    passages_total = $8, passages_done = 0, card_bytes = $9, updated_at = clock_timestamp()
WHERE tenant_id = $1 AND document_id = $2 AND state = 'failed'
RETURNING *;

-- name: ready_document
UPDATE tenantry.document
SET state = 'ready', segment_id = $3, passages = $4, pages = $5, pages_without_text = $6,
    claimed_until = NULL, updated_at = clock_timestamp()
WHERE tenant_id = $1 AND document_id = $2 AND state = 'indexing';

-- name: replace_document
-- What a version was becomes what its document is. Passages of the one before are dead with it,
-- also in the index that a reindex builds.
UPDATE tenantry.document
SET state = 'ready', content_hmac = $3, original_id = $4, original_bytes = $5, api_key_id = $6,
    request_id = $7, segment_id = $8, passages = $9, card_bytes = $10, pages = $11,
    pages_without_text = $12, next_segment_id = NULL, next_passages = 0, next_pages = NULL,
    next_pages_without_text = NULL, failure = NULL, claimed_until = NULL,
    updated_at = clock_timestamp()
WHERE tenant_id = $1 AND document_id = $2;

-- name: next_document
UPDATE tenantry.document
SET next_segment_id = $3, next_passages = $4, next_pages = $5, next_pages_without_text = $6
WHERE tenant_id = $1 AND document_id = $2 AND state = 'ready';

-- name: fail_document
UPDATE tenantry.document
SET state = 'failed', failure = $3, claimed_until = NULL, updated_at = clock_timestamp()
WHERE tenant_id = $1 AND document_id = $2 AND state = 'indexing'
RETURNING *;

-- name: delete_document
DELETE FROM tenantry.document WHERE tenant_id = $1 AND document_id = $2 RETURNING *;

-- name: batches
SELECT * FROM tenantry.embedded_batch
WHERE tenant_id = $1 AND content_hmac = $2 AND model = $3 AND dimensions = $4
ORDER BY first;

-- name: keep_batch
-- For as long as somebody wants it: an upload on its way, or a reindex into its space.
INSERT INTO tenantry.embedded_batch
  (tenant_id, content_hmac, model, dimensions, first, passages, object_id)
SELECT $1, $2, $3, $4, $5, $6, $7
WHERE EXISTS (
  SELECT FROM tenantry.document d
  WHERE d.tenant_id = $1 AND d.content_hmac = $2 AND (
    d.state = 'indexing' OR EXISTS (
      SELECT FROM tenantry.reindex r
      WHERE r.tenant_id = $1 AND r.state IN ('running', 'paused') AND r.model = $3
        AND r.dimensions = $4
    )
  )
)
ON CONFLICT DO NOTHING;

-- name: delete_batches
-- Of one content, in one space or in all of them.
DELETE FROM tenantry.embedded_batch
WHERE tenant_id = $1 AND content_hmac = $2
  AND ($3::text IS NULL OR (model = $3 AND dimensions = $4::int));

-- name: move_documents
UPDATE tenantry.document SET segment_id = $3
WHERE tenant_id = $1 AND segment_id = ANY ($2::text[]);

-- name: move_next_documents
UPDATE tenantry.document SET next_segment_id = $3
WHERE tenant_id = $1 AND next_segment_id = ANY ($2::text[]);

-- name: insert_segment
INSERT INTO tenantry.segment
  (tenant_id, segment_id, generation, dimensions, row_count, size_bytes)
VALUES ($1, $2, $3, $4, $5, $6);

-- name: is_decided
-- Where something is searched the pin holds, and so does that of a reindex since ($2) an upload came:
-- it may have read where to go before.
SELECT EXISTS (
  SELECT FROM tenantry.document WHERE tenant_id = $1 AND segment_id IS NOT NULL
) OR EXISTS (
  SELECT FROM tenantry.reindex r JOIN tenantry.knowledge_partition p USING (tenant_id)
  WHERE r.tenant_id = $1 AND r.state = 'done' AND r.updated_at > $2
    AND r.pin = p.model AND r.dimensions = p.dimensions
);

-- name: is_searched_in
SELECT EXISTS (
  SELECT FROM tenantry.document WHERE tenant_id = $1 AND segment_id = ANY ($2::text[])
);

-- name: count_segments
SELECT count(*) FROM tenantry.segment WHERE tenant_id = $1 AND segment_id = ANY ($2::text[]);

-- name: delete_empty_segments
DELETE FROM tenantry.segment s
WHERE s.tenant_id = $1 AND NOT EXISTS (
  SELECT FROM tenantry.document d
  WHERE d.tenant_id = s.tenant_id AND d.segment_id = s.segment_id
) AND NOT EXISTS (
  SELECT FROM tenantry.document d
  WHERE d.tenant_id = s.tenant_id AND d.next_segment_id = s.segment_id
)
RETURNING s.segment_id;

-- name: delete_segments_left
-- Of those that a document has left, what holds no other one.
DELETE FROM tenantry.segment s
WHERE s.tenant_id = $1 AND s.segment_id = ANY ($2::text[]) AND NOT EXISTS (
  SELECT FROM tenantry.document d
  WHERE d.tenant_id = s.tenant_id AND d.segment_id = s.segment_id
) AND NOT EXISTS (
  SELECT FROM tenantry.document d
  WHERE d.tenant_id = s.tenant_id AND d.next_segment_id = s.segment_id
)
RETURNING s.segment_id;

-- name: objects
-- A failed version is a note of why; its original is held no longer.
SELECT original_id AS name FROM tenantry.document
WHERE tenant_id = $1 AND NOT (replaces IS NOT NULL AND state = 'failed')
UNION ALL
SELECT segment_id FROM tenantry.segment WHERE tenant_id = $1
UNION ALL
SELECT object_id FROM tenantry.embedded_batch WHERE tenant_id = $1;
