-- Whether the sealed objects are this database's, as tenantry_control. A database is named by its
-- server, the server's timeline, which a promotion and a recovery to a point in time change, and
-- its oid, which a dump that is restored has anew. The timeline is that of the log that is written:
-- the control file follows with the next checkpoint.

-- name: read
-- $1 the line of the mark, null for a mark of before there were lines: how far it came here.
SELECT concat_ws('/', c.system_identifier,
                 ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::int, d.oid) AS database,
       EXISTS (SELECT FROM tenantry.object_line) OR EXISTS (SELECT FROM tenantry.object_mark) AS used,
       CASE WHEN $1::text IS NULL THEN (SELECT at FROM tenantry.object_mark)
            ELSE (SELECT at FROM tenantry.object_line WHERE line = $1) END AS at
FROM pg_control_system() c, pg_database d WHERE d.datname = current_database();

-- name: advance
-- $1 and $2 line and instant of the mark, $3 the line that goes on. No row: the mark is of a state
-- that the database does not know. $4 lines are remembered.
WITH known AS (
  SELECT CASE
    WHEN $1::text IS NULL THEN EXISTS (SELECT FROM tenantry.object_mark WHERE at >= $2)
    WHEN $2::timestamptz IS NULL THEN EXISTS (SELECT FROM tenantry.object_line WHERE line = $1)
      OR NOT EXISTS (SELECT FROM tenantry.object_line)
      AND NOT EXISTS (SELECT FROM tenantry.object_mark)
    ELSE EXISTS (SELECT FROM tenantry.object_line WHERE line = $1 AND at >= $2)
  END AS it
), forgotten AS (
  DELETE FROM tenantry.object_line WHERE line <> $3 AND line IS DISTINCT FROM $1 AND line IN (
    SELECT line FROM tenantry.object_line WHERE (SELECT it FROM known)
    ORDER BY at DESC OFFSET $4
  )
)
INSERT INTO tenantry.object_line AS l (line, at)
SELECT $3, clock_timestamp() FROM known WHERE it
ON CONFLICT (line) DO UPDATE
  SET at = greatest(clock_timestamp(), l.at + interval '1 microsecond')
RETURNING at;

-- name: adopt
-- $1 a line that begins here.
INSERT INTO tenantry.object_line (line, at) VALUES ($1, clock_timestamp()) RETURNING at;
