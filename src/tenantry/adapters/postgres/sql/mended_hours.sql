-- What roll-ups were mended by, as the invoices of the tenant $1 look at it; as tenantry_control.

-- name: waiting
-- Hours before $2 that were mended and wait for an invoice. None of them is mended again until this
-- transaction ends.
SELECT m.hour FROM tenantry.mended_hour m
WHERE m.tenant_id = $1 AND m.hour <= $2::timestamptz - interval '1 hour' AND m.seen_at IS NULL
ORDER BY m.hour FOR UPDATE;

-- name: seen
-- The invoice of the watermark $3 that is issued at $4 has looked at those hours $2; those that were
-- issued before have not, whatever the clock said then. What was posted later waits on.
UPDATE tenantry.mended_hour m
SET seen_at = greatest($4, (SELECT max(i.issued_at) + interval '1 microsecond'
                            FROM tenantry.invoice i WHERE i.tenant_id = $1))
WHERE m.tenant_id = $1 AND m.hour = ANY ($2) AND NOT EXISTS (
  SELECT FROM tenantry.charge_hour c
  WHERE c.tenant_id = $1 AND c.hour = m.hour AND c.last_posted_at > $3);
