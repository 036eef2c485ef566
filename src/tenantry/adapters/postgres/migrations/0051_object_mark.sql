-- What the sealed objects were last used with. The same instant stands in a file beside them: a
-- database that is behind the file is of before, as one that was restored, and its rows do not name
-- all objects that somebody may still want.
CREATE TABLE tenantry.object_mark (
  is_only boolean     PRIMARY KEY DEFAULT true CHECK (is_only),
  at      timestamptz NOT NULL  -- grows with each round, and by nothing else
);
COMMENT ON TABLE tenantry.object_mark IS
  'How far this database and the sealed objects are known to belong together; of no tenant.';
GRANT SELECT, INSERT, UPDATE (at) ON tenantry.object_mark TO tenantry_control;
