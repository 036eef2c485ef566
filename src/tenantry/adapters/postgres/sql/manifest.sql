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
SELECT generation FROM tenantry.knowledge_partition WHERE tenant_id = $1;

-- name: partition
-- One statement sees one state: what is live always fits the generation read with it.
SELECT p.generation AS current, p.model, s.segment_id, s.generation, s.dimensions, s.row_count,
       s.size_bytes, d.documents, d.live_rows
FROM tenantry.knowledge_partition p
LEFT JOIN tenantry.segment s ON s.tenant_id = p.tenant_id
LEFT JOIN LATERAL (
  SELECT array_agg(document_id) AS documents, sum(passages)::bigint AS live_rows
  FROM tenantry.document
  WHERE tenant_id = s.tenant_id AND segment_id = s.segment_id
) d ON true
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
SELECT * FROM tenantry.document WHERE tenant_id = $1 AND document_id = $2;

-- name: document_by_content
SELECT * FROM tenantry.document WHERE tenant_id = $1 AND content_hmac = $2;

-- name: documents
SELECT * FROM tenantry.document
WHERE tenant_id = $1 AND ($2::text IS NULL OR document_id < $2)
ORDER BY document_id DESC LIMIT $3;

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
-- The one statement of the control plane: whose documents nobody works on.
SELECT DISTINCT tenant_id FROM tenantry.document
WHERE state = 'indexing' AND claimed_until < clock_timestamp()
LIMIT $1;

-- name: keep
UPDATE tenantry.document
SET claimed_until = clock_timestamp() + make_interval(secs => $3)
WHERE tenant_id = $1 AND document_id = $2 AND state = 'indexing';

-- name: insert_document
INSERT INTO tenantry.document
  (tenant_id, document_id, state, content_hmac, original_id, original_bytes, api_key_id,
   claimed_until)
VALUES ($1, $2, 'indexing', $3, $4, $5, $6, clock_timestamp() + make_interval(secs => $7))
RETURNING *;

-- name: ready_document
UPDATE tenantry.document
SET state = 'ready', segment_id = $3, passages = $4, claimed_until = NULL,
    updated_at = clock_timestamp()
WHERE tenant_id = $1 AND document_id = $2 AND state = 'indexing';

-- name: fail_document
UPDATE tenantry.document
SET state = 'failed', failure = $3, claimed_until = NULL, updated_at = clock_timestamp()
WHERE tenant_id = $1 AND document_id = $2 AND state = 'indexing';

-- name: delete_document
DELETE FROM tenantry.document WHERE tenant_id = $1 AND document_id = $2 RETURNING *;

-- name: move_documents
UPDATE tenantry.document SET segment_id = $3
WHERE tenant_id = $1 AND segment_id = ANY ($2::text[]);

-- name: insert_segment
INSERT INTO tenantry.segment
  (tenant_id, segment_id, generation, dimensions, row_count, size_bytes)
VALUES ($1, $2, $3, $4, $5, $6);

-- name: has_segments
SELECT EXISTS (SELECT FROM tenantry.segment WHERE tenant_id = $1);

-- name: count_segments
SELECT count(*) FROM tenantry.segment WHERE tenant_id = $1 AND segment_id = ANY ($2::text[]);

-- name: delete_empty_segments
DELETE FROM tenantry.segment s
WHERE s.tenant_id = $1 AND NOT EXISTS (
  SELECT FROM tenantry.document d
  WHERE d.tenant_id = s.tenant_id AND d.segment_id = s.segment_id
)
RETURNING s.segment_id;

-- name: objects
SELECT original_id AS name FROM tenantry.document WHERE tenant_id = $1
UNION ALL
SELECT segment_id FROM tenantry.segment WHERE tenant_id = $1;
