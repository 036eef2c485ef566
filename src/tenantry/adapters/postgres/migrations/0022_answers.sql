-- Answers that may be given again: by whose HMAC, in which object, until when. The bytes lie sealed in
-- the placement's objects; without them, or without the tenant's key, an entry is worth nothing.

CREATE TABLE tenantry.answer (
  tenant_id  text COLLATE "C" NOT NULL REFERENCES tenantry.tenant,
  name_hmac  bytea       NOT NULL CHECK (octet_length(name_hmac) = 32),
  object_id  text        NOT NULL,
  account    text        NOT NULL,
  expires_at timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, name_hmac)
);
COMMENT ON TABLE tenantry.answer IS 'Answers of the cache and when they expire.';
CREATE INDEX answer_expired ON tenantry.answer (expires_at);

ALTER TABLE tenantry.answer ENABLE ROW LEVEL SECURITY;
ALTER TABLE tenantry.answer FORCE ROW LEVEL SECURITY;
CREATE POLICY own_tenant ON tenantry.answer TO tenantry_app
  USING (tenant_id = current_setting('tenantry.tenant', true))
  WITH CHECK (tenant_id = current_setting('tenantry.tenant', true));
GRANT SELECT, INSERT ON tenantry.answer TO tenantry_app;

-- The sweep sees what has expired and nothing else.
CREATE POLICY expired ON tenantry.answer FOR ALL TO tenantry_control
  USING (expires_at <= statement_timestamp()) WITH CHECK (false);
GRANT SELECT, DELETE ON tenantry.answer TO tenantry_control;
