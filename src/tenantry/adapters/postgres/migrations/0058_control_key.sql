-- Under which key of the control plane API keys are kept: by its fingerprint a machine with another
-- `control/key`, or with none, is refused before it serves. A fingerprint opens nothing.
CREATE TABLE tenantry.control_key (
  is_only     boolean     PRIMARY KEY DEFAULT true CHECK (is_only),
  fingerprint bytea       NOT NULL CHECK (octet_length(fingerprint) = 32),
  noted_at    timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE tenantry.control_key IS
  'Fingerprint of the key that API keys are kept under; of no tenant, and never the key.';
GRANT SELECT, INSERT, UPDATE ON tenantry.control_key TO tenantry_control;
