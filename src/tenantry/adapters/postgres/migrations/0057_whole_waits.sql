-- A minute's limit says the whole of its wait. What was used comes back after 60 to 66 seconds, and
-- was said to after 60 at most. The bound is what eleven slots of six seconds last: a clock that was
-- set back far would have one wait for days.

GRANT CREATE ON SCHEMA tenantry TO tenantry_gate;
SET LOCAL ROLE tenantry_gate;

-- Milliseconds until `p_need` of what is in the window has left it, at most 66 seconds. What is not
-- in it yet will be in its latest slot.
CREATE OR REPLACE FUNCTION tenantry.slots_wait_ms(
  p_slots bigint[], p_latest bigint, p_need bigint, p_at timestamptz
) RETURNS integer LANGUAGE plpgsql STABLE STRICT AS $$
DECLARE
  freed bigint := 0;
  first bigint := p_latest;
BEGIN
  FOR slot IN p_latest - 10 .. p_latest LOOP
    freed := freed + p_slots[slot % 11 + 1];
    IF freed >= p_need THEN
      first := slot;
      EXIT;
    END IF;
  END LOOP;
  RETURN least(greatest(
    ceil(((first + 11) * 6 - extract(epoch FROM p_at)) * 1000), 1), 66000)::integer;
END $$;

SET LOCAL ROLE tenantry_owner;
REVOKE CREATE ON SCHEMA tenantry FROM tenantry_gate;
