-- A tenant's key that is given up may be in memory still, and so may what users are called under it.
ALTER TABLE tenantry.key_holder ADD COLUMN makes_place boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN tenantry.key_holder.makes_place IS
  'Whether it has to make place for another process since a tenant''s key was given up.';
GRANT UPDATE (makes_place) ON tenantry.key_holder TO tenantry_control;
