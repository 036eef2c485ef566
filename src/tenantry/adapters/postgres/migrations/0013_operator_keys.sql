-- Idempotency keys of the operator's POST requests, kept 24 h. Keys and bodies are here only as
-- HMACs under the server's pepper; answers are sealed, because that of a new API key holds its secret.
CREATE TABLE tenantry.operator_key (
  key_hmac    bytea       PRIMARY KEY CHECK (octet_length(key_hmac) = 32),
  body_hmac   bytea       NOT NULL CHECK (octet_length(body_hmac) = 32),
  run_id      uuid        NOT NULL,  -- of the run that holds the key
  lease_until timestamptz NOT NULL,  -- past it a run without an answer is lost
  expires_at  timestamptz NOT NULL,
  sealed      bytea                  -- NULL: it runs, or was lost
);
COMMENT ON TABLE tenantry.operator_key IS
  'Idempotency keys of the control plane; of no tenant.';
CREATE INDEX operator_key_expired ON tenantry.operator_key (expires_at);
GRANT SELECT, INSERT, UPDATE, DELETE ON tenantry.operator_key TO tenantry_control;
