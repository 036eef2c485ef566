-- Numbers that were given and that a restored database does not know stay a gap, which somebody told.

CREATE TABLE tenantry.invoice_gap (
  series  text        NOT NULL,
  first   bigint      NOT NULL CHECK (first >= 1),
  last    bigint      NOT NULL CHECK (last >= first),
  told_by text        NOT NULL CHECK (told_by <> ''),
  reason  text        NOT NULL CHECK (reason <> ''),
  told_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (series, first)
);
COMMENT ON TABLE tenantry.invoice_gap IS
  'Numbers of a series that have no document here and never will; who said so, and why.';
GRANT SELECT ON tenantry.invoice_gap TO tenantry_gate, tenantry_control, tenantry_operator;
GRANT INSERT ON tenantry.invoice_gap TO tenantry_gate;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON tenantry.invoice_gap
  EXECUTE FUNCTION tenantry.refuse_change();

GRANT CREATE ON SCHEMA tenantry TO tenantry_gate;
SET LOCAL ROLE tenantry_gate;

-- The next number of a series becomes the one after p_last; what lies between is told as a gap. Under
-- the series' lock, so that no number of it is given meanwhile.
CREATE FUNCTION tenantry.continue_after(
  p_series text, p_last bigint, p_by text, p_reason text,
  OUT series text, OUT first bigint, OUT last bigint, OUT told_by text, OUT reason text,
  OUT told_at timestamptz
) LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, tenantry, pg_temp AS $$
DECLARE
  gap_max constant bigint := 100000;
BEGIN
  -- The year may have begun already somewhere; a later one would be a slip of the pen.
  IF p_series !~ '^(INV|CN)-[0-9]{4}$'
     OR split_part(p_series, '-', 2)::integer > extract(year FROM now() + interval '1 day') THEN
    RAISE EXCEPTION 'no number of % can have been given yet', p_series
      USING ERRCODE = 'object_not_in_prerequisite_state';
  END IF;
  INSERT INTO tenantry.invoice_series VALUES (p_series, 0) ON CONFLICT DO NOTHING;
  SELECT s.last + 1 INTO first FROM tenantry.invoice_series s
  WHERE s.series = p_series FOR UPDATE;
  IF p_last < first THEN
    RAISE EXCEPTION 'the next number of % is %: there is no gap up to %', p_series, first, p_last
      USING ERRCODE = 'object_not_in_prerequisite_state';
  END IF;
  IF p_last - first >= gap_max THEN
    RAISE EXCEPTION 'a gap of % numbers in % is told in parts of at most %', p_last - first + 1,
      p_series, gap_max USING ERRCODE = 'object_not_in_prerequisite_state';
  END IF;
  UPDATE tenantry.invoice_series s SET last = p_last WHERE s.series = p_series;
  series := p_series;
  last := p_last;
  told_by := p_by;
  reason := p_reason;
  told_at := clock_timestamp();
  INSERT INTO tenantry.invoice_gap VALUES (series, first, last, told_by, reason, told_at);
END $$;
COMMENT ON FUNCTION tenantry.continue_after IS
  'Numbers are one series over all tenants; leaves out numbers of one, and says so for good.';
GRANT EXECUTE ON FUNCTION tenantry.continue_after TO tenantry_control;

SET LOCAL ROLE tenantry_owner;
REVOKE CREATE ON SCHEMA tenantry FROM tenantry_gate;
