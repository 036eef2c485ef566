-- Conversations: in a tenant's unit of work, or as tenantry_control, which sees the expired ones alone.

-- name: begin
-- A conversation that is held from the start. No row where its end user was erased meanwhile.
INSERT INTO tenantry.session
  (tenant_id, session_id, user_hash, owner_hmac, account, loose, holder, held_until, expires_at)
SELECT $1, $2, $3, $4, $5, ARRAY[$6::text], $6,
       clock_timestamp() + $7::integer * interval '1 second',
       clock_timestamp() + $8::integer * interval '1 second'
WHERE tenantry.may_keep_of($3)
RETURNING true;

-- name: crowd_out
-- Of the conversations beyond the $2 newest, at most $3 end now; the sweep removes them.
UPDATE tenantry.session SET expires_at = clock_timestamp()
WHERE tenant_id = $1 AND session_id IN (
  SELECT session_id FROM tenantry.session
  WHERE tenant_id = $1 AND expires_at > clock_timestamp()
  ORDER BY expires_at DESC OFFSET $2 LIMIT $3
);

-- name: find
-- For its owner alone; whoever else asks finds nothing.
SELECT object_id, turns, loose,
       held_until IS NOT NULL AND held_until > clock_timestamp() AS held
FROM tenantry.session
WHERE tenant_id = $1 AND session_id = $2 AND owner_hmac = $3 AND expires_at > clock_timestamp()
FOR UPDATE;

-- name: hold
UPDATE tenantry.session
SET loose = loose || $3::text, holder = $3,
    held_until = clock_timestamp() + $4::integer * interval '1 second'
WHERE tenant_id = $1 AND session_id = $2;

-- name: beat
-- The turn is still under way. No row where the lease has passed to another.
UPDATE tenantry.session SET held_until = clock_timestamp() + $4::integer * interval '1 second'
WHERE tenant_id = $1 AND session_id = $2 AND holder = $3
RETURNING true;

-- name: keep
-- The object that was said until now is loose from here on; $5 are those already deleted. No row where
-- the lease has passed to another turn.
UPDATE tenantry.session
SET object_id = $3, size_bytes = $4, turns = turns + 1, holder = NULL, held_until = NULL,
    loose = ARRAY(
      SELECT name FROM unnest(loose || object_id) AS name
      WHERE name IS NOT NULL AND name <> $3 AND name <> ALL ($5::text[])
    )
WHERE tenant_id = $1 AND session_id = $2 AND holder = $3
RETURNING true;

-- name: release
UPDATE tenantry.session SET holder = NULL, held_until = NULL
WHERE tenant_id = $1 AND session_id = $2 AND holder = $3;

-- name: end_of_user
UPDATE tenantry.session SET expires_at = clock_timestamp()
WHERE tenant_id = $1 AND user_hash = ANY ($2::text[]) AND expires_at > clock_timestamp();

-- name: expired
SELECT tenant_id, session_id, account, object_id, loose FROM tenantry.session
WHERE expires_at <= statement_timestamp()
  AND (held_until IS NULL OR held_until <= statement_timestamp())
ORDER BY expires_at LIMIT $1;

-- name: forget
DELETE FROM tenantry.session
WHERE tenant_id = $1 AND session_id = $2 AND expires_at <= statement_timestamp()
  AND (held_until IS NULL OR held_until <= statement_timestamp());
