-- Where a tenant's documents are searched, read by every search: a unit of work of one round trip.

SET LOCAL ROLE tenantry_owner;

-- Runs as whoever calls it: under the row policies, for the tenant that it names until its own
-- transaction ends; within a unit of another tenant it is refused, which would be that one's from
-- then on. The pin decides where something is searched; else nothing does yet.
CREATE FUNCTION tenantry.knowledge_spaces(asked text)
RETURNS TABLE (
  generation bigint, model text, dimensions int, live boolean, next_model text, next_dimensions int
)
LANGUAGE plpgsql AS $$
BEGIN
  IF current_setting('tenantry.tenant', true) NOT IN ('', asked) THEN
    RAISE EXCEPTION 'a unit of work is of one tenant' USING ERRCODE = 'insufficient_privilege';
  END IF;
  PERFORM set_config('tenantry.tenant', asked, true);
  RETURN QUERY
  SELECT p.generation, p.model, p.dimensions,
         EXISTS (SELECT FROM tenantry.document d
                 WHERE d.tenant_id = asked AND d.segment_id IS NOT NULL),
         r.model, r.dimensions
  FROM tenantry.knowledge_partition p
  LEFT JOIN tenantry.reindex r ON r.tenant_id = p.tenant_id AND r.state IN ('running', 'paused')
  WHERE p.tenant_id = asked;
END $$;

GRANT EXECUTE ON FUNCTION tenantry.knowledge_spaces TO tenantry_app;
