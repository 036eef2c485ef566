-- A limit in USD is cut at its last digit, and never above it: `numeric`'s quotient is rounded before
-- it can be cut, and was up to 5e-13 too high; `div` cuts the exact one.

GRANT CREATE ON SCHEMA tenantry TO tenantry_gate;
SET LOCAL ROLE tenantry_gate;
CREATE OR REPLACE FUNCTION tenantry.limit_in_usd(p_amount numeric, p_rate numeric) RETURNS numeric
LANGUAGE sql IMMUTABLE AS $$
  SELECT CASE WHEN p_rate = 1 THEN p_amount WHEN p_amount IS NULL THEN NULL
              ELSE coalesce(div(p_amount * 1000000000000000, p_rate) * 0.000000000000001, 0) END
$$;

SET LOCAL ROLE tenantry_owner;
REVOKE CREATE ON SCHEMA tenantry FROM tenantry_gate;
