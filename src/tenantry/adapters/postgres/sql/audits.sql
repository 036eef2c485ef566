-- Reports of audits of isolation, as tenantry_control.

-- name: add
INSERT INTO tenantry.audit_report
  (audit_id, started_at, ended_at, version, url, held, found, void, not_run, report)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10::jsonb)
RETURNING audit_id, stored_at, started_at, ended_at, version, url, held, found, void, not_run;

-- name: page
-- Ids sort by time.
SELECT audit_id, stored_at, started_at, ended_at, version, url, held, found, void, not_run
FROM tenantry.audit_report
WHERE $1::text IS NULL OR audit_id < $1
ORDER BY audit_id DESC LIMIT $2;

-- name: get
SELECT * FROM tenantry.audit_report WHERE audit_id = $1;
