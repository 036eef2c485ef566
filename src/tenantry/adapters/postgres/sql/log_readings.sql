-- How far the accounts' invocation logs were read: as tenantry_control.

-- name: waiting
-- The accounts and regions of unknown attempts, but for those that a person is to look at and those of batch jobs
-- that have not ended.
SELECT w.account, w.region, w.attempts, w.oldest_at, coalesce(r.logs, '{}') AS logs, r.read_at,
       r.away_since, coalesce(r.problem, '') AS problem, coalesce(r.gone, '{}') AS gone
FROM (
  SELECT i.account, i.region, count(*) AS attempts, min(i.began_at) AS oldest_at
  FROM tenantry.intent i
  WHERE i.state = 'unknown' AND i.quarantined IS NULL AND NOT EXISTS (
    SELECT FROM tenantry.batch_job j
    WHERE j.tenant_id = i.tenant_id AND j.request_id = i.request_id
      AND j.state IN ('planned', 'submitting', 'running'))
  GROUP BY i.account, i.region
) w
LEFT JOIN tenantry.log_reading r ON r.account = w.account AND r.region = w.region
ORDER BY w.account, w.region;

-- name: note
-- Of logs that an operator gave up none comes back, from a process that still has it open.
INSERT INTO tenantry.log_reading AS r (account, region, logs, read_at, told_from, told_to)
VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (account, region) DO UPDATE
SET logs = ARRAY(SELECT name FROM unnest(excluded.logs) name
                 WHERE r.gone ->> name IS DISTINCT FROM '1970-01-01T00:00:00+00:00'),
    read_at = excluded.read_at, told_from = excluded.told_from,
    told_to = excluded.told_to, away_since = NULL, problem = '';

-- name: note_away
-- As in `note`.
INSERT INTO tenantry.log_reading AS r (account, region, logs, away_since, problem)
VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (account, region) DO UPDATE
SET logs = ARRAY(SELECT name FROM unnest(excluded.logs) name
                 WHERE r.gone ->> name IS DISTINCT FROM '1970-01-01T00:00:00+00:00'),
    away_since = coalesce(r.away_since, excluded.away_since),
    problem = excluded.problem;
