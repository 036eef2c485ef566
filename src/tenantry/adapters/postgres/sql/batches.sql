-- Batch jobs: in a tenant's unit of work, or as tenantry_control over all of them.

-- name: plan
INSERT INTO tenantry.batch_job (tenant_id, request_id, state, definition)
VALUES ($1, $2, 'planned', $3);

-- name: advance
-- From state $3 to state $4; no row where it is in another by now.
UPDATE tenantry.batch_job
SET state = $4, job_arn = coalesce($5, job_arn), message = $6, changed_at = clock_timestamp()
WHERE tenant_id = $1 AND request_id = $2 AND state = $3
RETURNING true;

-- name: open_jobs
-- The oldest first, behind the job ($1, $2, $3), at most $4: with the whole seconds that each has
-- been in its state, and whether a record is still to end that no person is to look at.
SELECT j.*, floor(extract(epoch FROM clock_timestamp() - j.changed_at))::bigint AS age_s,
       EXISTS (
         SELECT FROM tenantry.intent i
         WHERE i.tenant_id = j.tenant_id AND i.request_id = j.request_id
           AND i.quarantined IS NULL) AS waits
FROM tenantry.batch_job j
WHERE j.state IN ('planned', 'submitting', 'running')
  AND (j.created_at, j.tenant_id, j.request_id) > ($1::timestamptz, $2::text, $3::uuid)
ORDER BY j.created_at, j.tenant_id, j.request_id LIMIT $4;

-- name: listed
SELECT * FROM tenantry.batch_job
WHERE tenant_id = $1 ORDER BY created_at DESC LIMIT $2;
