-- Whether the sealed objects are this database's, as tenantry_control. A database is named by its
-- server, the server's timeline, which a promotion and a recovery to a point in time change, and
-- its oid, which a dump that is restored has anew. The timeline is that of the log that is written:
-- the control file follows with the next checkpoint.

-- name: read
SELECT concat_ws('/', c.system_identifier,
                 ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::int, d.oid) AS database,
       (SELECT at FROM tenantry.object_mark) AS at
FROM pg_control_system() c, pg_database d WHERE d.datname = current_database();

-- name: advance
-- $1 not behind which it must be; null: there was no file. No row: it is behind.
INSERT INTO tenantry.object_mark AS m (at)
SELECT clock_timestamp() WHERE $1::timestamptz IS NULL OR EXISTS (SELECT FROM tenantry.object_mark)
ON CONFLICT (is_only) DO UPDATE
  SET at = greatest(clock_timestamp(), m.at + interval '1 microsecond')
  WHERE $1 IS NULL OR m.at >= $1
RETURNING at;

-- name: adopt
-- $1 as above, which it is not behind from now on.
INSERT INTO tenantry.object_mark AS m (at)
VALUES (greatest(clock_timestamp(), $1::timestamptz + interval '1 microsecond'))
ON CONFLICT (is_only) DO UPDATE
  SET at = greatest(excluded.at, m.at + interval '1 microsecond')
RETURNING at;
