-- Readers ask the database where a billing period begins and ends, instead of computing it by time
-- zones of another age. Like the rest of the calendar, the functions read no table.

SET LOCAL ROLE tenantry_gate;

GRANT EXECUTE ON FUNCTION tenantry.billing_period, tenantry.anchor
  TO tenantry_app, tenantry_control;

SET LOCAL ROLE tenantry_owner;
