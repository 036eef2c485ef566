-- Conversations of retrieveAndGenerate: by whose keyed hash, in which object, until when. What was
-- said lies sealed in the placement's objects; without them, or without the tenant's key, a row is
-- worth nothing.

CREATE TABLE tenantry.session (
  tenant_id   text COLLATE "C" NOT NULL REFERENCES tenantry.tenant,
  session_id  text COLLATE "C" NOT NULL CHECK (octet_length(session_id) BETWEEN 2 AND 100),
  user_hash   text,
  owner_hmac  bytea       NOT NULL CHECK (octet_length(owner_hmac) = 32),
  account     text        NOT NULL,
  object_id   text,
  size_bytes  bigint      NOT NULL DEFAULT 0 CHECK (size_bytes >= 0),
  turns       integer     NOT NULL DEFAULT 0 CHECK (turns >= 0),
  loose       text[]      NOT NULL DEFAULT '{}',
  holder      text,
  held_until  timestamptz,
  expires_at  timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, session_id)
);
COMMENT ON TABLE tenantry.session IS 'Conversations and when they expire.';
COMMENT ON COLUMN tenantry.session.user_hash IS 'Of the end user, as the ledger has it: by it a user''s sessions are ended.';
COMMENT ON COLUMN tenantry.session.owner_hmac IS 'Of the end user and groups that alone may go on with it.';
COMMENT ON COLUMN tenantry.session.loose IS 'Objects that may exist and are not what was said: the next turn or the sweep deletes them.';
COMMENT ON COLUMN tenantry.session.holder IS 'The object that the turn under way will write; its lease ends at held_until.';
CREATE INDEX session_expired ON tenantry.session (expires_at);
CREATE INDEX session_newest ON tenantry.session (tenant_id, expires_at);
CREATE INDEX session_of_user ON tenantry.session (tenant_id, user_hash) WHERE user_hash IS NOT NULL;

ALTER TABLE tenantry.session ENABLE ROW LEVEL SECURITY;
ALTER TABLE tenantry.session FORCE ROW LEVEL SECURITY;
CREATE POLICY own_tenant ON tenantry.session TO tenantry_app
  USING (tenant_id = current_setting('tenantry.tenant', true))
  WITH CHECK (tenant_id = current_setting('tenantry.tenant', true));
GRANT SELECT, INSERT, UPDATE ON tenantry.session TO tenantry_app;

-- The sweep sees what has expired and nothing else.
CREATE POLICY expired ON tenantry.session FOR ALL TO tenantry_control
  USING (expires_at <= statement_timestamp()) WITH CHECK (false);
GRANT SELECT, DELETE ON tenantry.session TO tenantry_control;
