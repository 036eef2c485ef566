-- What a user deletes is known for it until its objects are gone; and a database that was used with
-- other objects, or with a copy of these, is told from the one that wrote the mark beside them.

-- A stretch of a database's life: each process, and each word of an operator, begins one. The mark
-- beside the objects names the one that wrote it. A restored database does not know those that began
-- later, and is behind in its last, whatever it was started over since. The row of object_mark stays
-- as it is: what marks of before are compared with.
CREATE TABLE tenantry.object_line (
  line text COLLATE "C" PRIMARY KEY CHECK (line ~ '^[0-9a-f]{32}$'),
  at   timestamptz NOT NULL  -- how far it came; grows
);
COMMENT ON TABLE tenantry.object_line IS
  'What this database has written into the marks beside sealed objects; of no tenant.';
GRANT SELECT, INSERT, UPDATE (at), DELETE ON tenantry.object_line TO tenantry_control;

-- Originals and segments that a user's deletion has left, or a version in the place of another.
CREATE TABLE tenantry.deleted_object (
  tenant_id  text COLLATE "C" NOT NULL REFERENCES tenantry.tenant,
  kind       text NOT NULL CHECK (kind IN ('originals', 'segments')),
  name       text COLLATE "C" NOT NULL,
  deleted_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (tenant_id, kind, name)
);
COMMENT ON TABLE tenantry.deleted_object IS
  'Objects to be deleted for good, noted in the commit that deletes their rows; until they are.';
ALTER TABLE tenantry.deleted_object ENABLE ROW LEVEL SECURITY;
ALTER TABLE tenantry.deleted_object FORCE ROW LEVEL SECURITY;
CREATE POLICY own_tenant ON tenantry.deleted_object TO tenantry_app
  USING (tenant_id = current_setting('tenantry.tenant', true))
  WITH CHECK (tenant_id = current_setting('tenantry.tenant', true));
GRANT SELECT, INSERT, DELETE ON tenantry.deleted_object TO tenantry_app;
CREATE TRIGGER refuse_shredded BEFORE INSERT ON tenantry.deleted_object FOR EACH ROW
  EXECUTE FUNCTION tenantry.refuse_shredded();
