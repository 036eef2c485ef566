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
-- The oldest first, with the whole seconds that each has been in its state.
SELECT *, floor(extract(epoch FROM clock_timestamp() - changed_at))::bigint AS age_s
FROM tenantry.batch_job
WHERE state IN ('planned', 'submitting', 'running')
ORDER BY created_at LIMIT $1;

-- name: listed
SELECT * FROM tenantry.batch_job
WHERE tenant_id = $1 ORDER BY created_at DESC LIMIT $2;
