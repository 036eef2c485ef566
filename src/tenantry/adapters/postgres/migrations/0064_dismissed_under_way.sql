-- An attempt that is dismissed while it runs goes on to its end: until then what it does is not seen at
-- the sink.

ALTER TABLE tenantry.delivery
  ADD COLUMN leased_until timestamptz;  -- of an attempt that has not said how it ended
