-- The statements of the vector engine `pgvector`. `$1` is the tenant, in every statement as well as in the row
-- policy: with a value the planner sees one partition, and the policy is the wall behind a forgotten filter.

-- name: open_room
SELECT tenantry_vectors.open_room($1);

-- name: empty_room
SELECT tenantry_vectors.empty_room();

-- name: close_room
SELECT tenantry_vectors.close_room();

-- name: put
INSERT INTO tenantry_vectors.passage
  (tenant_id, segment_id, row_number, dimensions, embedding, sealed)
VALUES ($1, $2, $3, $4, $5::text::halfvec, $6)
ON CONFLICT (tenant_id, segment_id, row_number)
DO UPDATE SET dimensions = excluded.dimensions, embedding = excluded.embedding,
  sealed = excluded.sealed;

-- name: search
-- Exact: every row of the tenant is compared, once. Rows of another length are left out before that.
SELECT tenant_id, segment_id, row_number, sealed, 1 - distance AS score
FROM (
  SELECT tenant_id, segment_id, row_number, sealed, embedding <=> $2::text::halfvec AS distance
  FROM tenantry_vectors.passage
  WHERE tenant_id = $1 AND dimensions = $3 AND ($5::text[] IS NULL OR segment_id = ANY ($5))
  ORDER BY distance LIMIT $4
) AS nearest;

-- name: search_indexed
-- Approximate: {dimensions} is a whole number, written into the text so that the index fits.
SELECT tenant_id, segment_id, row_number, sealed, 1 - distance AS score
FROM (
  SELECT tenant_id, segment_id, row_number, sealed,
    embedding::halfvec({dimensions}) <=> $2::text::halfvec({dimensions}) AS distance
  FROM tenantry_vectors.passage
  WHERE tenant_id = $1 AND dimensions = {dimensions}
    AND ($4::text[] IS NULL OR segment_id = ANY ($4))
  ORDER BY distance LIMIT $3
) AS nearest;

-- name: widen
-- How far an index is looked through: at least as far as there are passages to find.
SELECT set_config('hnsw.ef_search', $1, true), set_config('hnsw.iterative_scan', 'strict_order', true);

-- name: fetch
SELECT tenant_id, segment_id, row_number, sealed, 0 AS score
FROM tenantry_vectors.passage
WHERE tenant_id = $1
  AND (segment_id, row_number) IN (SELECT * FROM unnest($2::text[], $3::int[]));

-- name: delete
DELETE FROM tenantry_vectors.passage WHERE tenant_id = $1 AND segment_id = ANY ($2::text[]);

-- name: segments
SELECT DISTINCT segment_id FROM tenantry_vectors.passage WHERE tenant_id = $1;
