-- Bedrock logs each region of an account by itself, and a log may move to another bucket. So how far
-- was read is kept by account and region, and since when a log that was read is not set up any more:
-- attempts from before may be told of there alone.

ALTER TABLE tenantry.log_reading
  DROP CONSTRAINT log_reading_pkey,
  ADD COLUMN region text COLLATE "C" NOT NULL DEFAULT '',
  -- Of logs, by name: since when one is not set up any more.
  ADD COLUMN gone   jsonb NOT NULL DEFAULT '{}';
COMMENT ON TABLE tenantry.log_reading IS
  'How far the invocation logs of each account and region were read, and since when they cannot be.';

-- Each region has the logs that were its own or nobody's. How far they were read, the next reading says.
-- The deployment's own bucket, by now named with its address, keeps its old name until a worker that
-- has one gives it that.
GRANT INSERT ON tenantry.log_reading TO tenantry_gate;
GRANT CREATE ON SCHEMA tenantry TO tenantry_gate;
SET LOCAL ROLE tenantry_gate;

INSERT INTO tenantry.log_reading (account, region, logs, away_since, problem)
SELECT r.account, p.region,
       ARRAY(SELECT name FROM unnest(r.logs) name
             WHERE name NOT LIKE r.account || ' %' OR split_part(name, ' ', 2) = p.region),
       r.away_since, r.problem
FROM tenantry.log_reading r
JOIN (
  SELECT account, region FROM tenantry.intent
  UNION SELECT definition ->> 'account', definition ->> 'region' FROM tenantry.placement
  UNION SELECT definition ->> 'account', jsonb_array_elements_text(definition -> 'regions')
  FROM tenantry.placement
) p ON p.account = r.account AND p.region IS NOT NULL
WHERE r.region = '';

-- As in 0049, of the attempt's region.
CREATE OR REPLACE FUNCTION tenantry.write_off(p_before timestamptz, p_max integer)
RETURNS TABLE (tenant_id text, request_id uuid, call smallint, attempt smallint)
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, tenantry, pg_temp
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
BEGIN
  RETURN QUERY SELECT w.* FROM tenantry.end_as_waste(ARRAY(
    SELECT i FROM tenantry.intent i
    JOIN tenantry.log_reading r ON r.account = i.account AND r.region = i.region
    WHERE i.state = 'unknown' AND i.quarantined IS NULL AND i.began_at < p_before
      AND i.began_at >= r.told_from AND i.began_at < r.told_to
      AND coalesce(i.unknown_at, i.began_at) < r.read_at - interval '1 minute'
      AND NOT EXISTS (
        SELECT FROM tenantry.batch_job j
        WHERE j.tenant_id = i.tenant_id AND j.request_id = i.request_id
          AND j.state IN ('planned', 'submitting', 'running'))
    ORDER BY i.began_at LIMIT p_max)) w;
END $$;

SET LOCAL ROLE tenantry_owner;
REVOKE CREATE ON SCHEMA tenantry FROM tenantry_gate;
REVOKE INSERT ON tenantry.log_reading FROM tenantry_gate;
DELETE FROM tenantry.log_reading WHERE region = '';
ALTER TABLE tenantry.log_reading
  ALTER COLUMN region DROP DEFAULT,
  ADD PRIMARY KEY (account, region);
