-- Attempts that have not ended, for whoever watches the deployment: as tenantry_control.

-- name: counts
-- `batch`: records of batch jobs that run, which may take days.
SELECT CASE WHEN i.state <> 'unknown' THEN 'open'
            WHEN i.quarantined IS NULL AND EXISTS (
              SELECT FROM tenantry.batch_job j
              WHERE j.tenant_id = i.tenant_id AND j.request_id = i.request_id
                AND j.state IN ('planned', 'submitting', 'running')) THEN 'batch'
            ELSE 'unknown' END AS state,
       count(*) AS attempts,
       clock_timestamp() - min(i.began_at) AS oldest
FROM tenantry.intent i
GROUP BY 1;
