-- The year in an invoice's number is that of the date on it, which is of the document's zone.

GRANT CREATE ON SCHEMA tenantry TO tenantry_gate;
SET LOCAL ROLE tenantry_gate;

DROP FUNCTION tenantry.next_number(text);

-- The next number of the series of this year in a zone, and the instant of issue. The row stays locked
-- until the transaction ends, so numbers have no gap, and later numbers of a series later instants.
-- Who waits for it over the turn of a year takes the next year's row.
CREATE FUNCTION tenantry.next_number(
  p_prefix text, p_zone text DEFAULT 'UTC', OUT series text, OUT count bigint, OUT at timestamptz
) LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, tenantry, pg_temp AS $$
BEGIN
  at := clock_timestamp();
  FOR turn IN 1..2 LOOP
    series := p_prefix || '-' || extract(year FROM at AT TIME ZONE p_zone);
    INSERT INTO tenantry.invoice_series VALUES (series, 0) ON CONFLICT DO NOTHING;
    SELECT s.last + 1 INTO count FROM tenantry.invoice_series s
    WHERE s.series = next_number.series FOR UPDATE;
    at := clock_timestamp();
    IF series = p_prefix || '-' || extract(year FROM at AT TIME ZONE p_zone) THEN
      RETURN;
    END IF;
  END LOOP;
  RAISE EXCEPTION 'the clock was set while a number was taken'
    USING ERRCODE = 'object_not_in_prerequisite_state';
END $$;
COMMENT ON FUNCTION tenantry.next_number IS
  'Numbers are one series over all tenants; locks one row and writes no document.';
GRANT EXECUTE ON FUNCTION tenantry.next_number TO tenantry_control;

SET LOCAL ROLE tenantry_owner;
REVOKE CREATE ON SCHEMA tenantry FROM tenantry_gate;
