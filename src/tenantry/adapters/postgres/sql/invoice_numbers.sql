-- The series of documents' numbers, of no tenant; read and continued by tenantry_control.

-- name: series
SELECT series, last FROM tenantry.invoice_series ORDER BY series;

-- name: digests
-- Asked once a minute, and of numbers that another gave.
SELECT number, encode(sha256, 'hex') AS sha256 FROM tenantry.invoice WHERE number = ANY($1);

-- name: gaps
SELECT series, first, last, told_by, reason, told_at FROM tenantry.invoice_gap
ORDER BY told_at DESC, series, first LIMIT $1;

-- name: continue_after
SELECT * FROM tenantry.continue_after($1, $2, $3, $4);
